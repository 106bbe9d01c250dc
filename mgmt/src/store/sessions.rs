//! Login sessions.

use gantry_common::id::SessionUuid;

use super::{SqlValue, StoreError, Tx};
use crate::{clock::Timestamp, resource::Session};

impl Tx<'_> {
    /// The session, if it has not expired.
    pub fn live_session(&self, uuid: SessionUuid, now: Timestamp) -> Result<Option<Session>, StoreError> {
        Ok(self.get::<Session>(uuid)?.filter(|session| session.expired_date > now))
    }

    /// Moves a session's end.
    pub fn renew_session(&self, uuid: SessionUuid, until: Timestamp) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE session SET expired_date = ?2 WHERE uuid = ?1")?
            .execute([uuid.to_sql(), until.to_sql()])?;
        Ok(())
    }

    /// Forgets all sessions that have expired.
    pub fn drop_expired_sessions(&self, now: Timestamp) -> Result<usize, StoreError> {
        Ok(self.connection.prepare_cached("DELETE FROM session WHERE expired_date <= ?")?.execute([now.to_sql()])?)
    }
}

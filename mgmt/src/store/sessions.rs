//! Login sessions.

use gantry_common::id::{AccountUuid, SessionUuid};

use super::{SqlValue, StoreError, Tx};
use crate::{clock::Timestamp, resource::Session};

impl Tx<'_> {
    /// How many sessions of an account are alive.
    pub fn live_sessions(&self, account: AccountUuid, now: Timestamp) -> Result<u64, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT count(*) FROM session WHERE account_uuid = ? AND expired_date > ?")?;
        Ok(statement.query_row([account.to_sql(), now.to_sql()], |row| row.get::<_, i64>(0))?.unsigned_abs())
    }

    /// The session, if it has not expired.
    pub fn live_session(&self, uuid: SessionUuid, now: Timestamp) -> Result<Option<Session>, StoreError> {
        Ok(self.get::<Session>(uuid)?.filter(|session| session.expired_date > now))
    }

    /// Ends an account's sessions, all but one if one is to stay.
    pub fn end_sessions(&self, account: AccountUuid, stays: Option<SessionUuid>) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM session WHERE account_uuid = ?1 AND uuid IS NOT ?2")?
            .execute([account.to_sql(), stays.to_sql()])?;
        Ok(())
    }

    /// Moves a session's end.
    pub fn renew_session(&self, uuid: SessionUuid, until: Timestamp) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE session SET expired_date = ?2 WHERE uuid = ?1")?
            .execute([uuid.to_sql(), until.to_sql()])?;
        Ok(())
    }

    /// Lets no session last longer than until the given moment.
    pub fn shorten_sessions(&self, until: Timestamp) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE session SET expired_date = ?1 WHERE expired_date > ?1")?
            .execute([until.to_sql()])?;
        Ok(())
    }

    /// Forgets all sessions that have expired.
    pub fn drop_expired_sessions(&self, now: Timestamp) -> Result<usize, StoreError> {
        Ok(self.connection.prepare_cached("DELETE FROM session WHERE expired_date <= ?")?.execute([now.to_sql()])?)
    }
}

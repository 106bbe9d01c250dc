//! Bounding the notifications.

use super::{SqlValue, StoreError, Tx};
use crate::clock::Timestamp;

impl Tx<'_> {
    /// Forgets the oldest notifications, so that no more than `most` are left.
    pub fn bound_notifications(&self, most: u32) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "DELETE FROM notification
                 WHERE rowid IN (SELECT rowid FROM notification ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
            )?
            .execute([most])?;
        Ok(())
    }

    /// Forgets the notifications of what last happened before the given moment.
    pub fn drop_old_notifications(&self, before: Timestamp) -> Result<usize, StoreError> {
        Ok(self
            .connection
            .prepare_cached("DELETE FROM notification WHERE last_op_date < ?")?
            .execute([before.to_sql()])?)
    }
}

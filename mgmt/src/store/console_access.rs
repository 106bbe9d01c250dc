//! Tokens that open a VM's console.

use gantry_common::id::{AccountUuid, VmUuid};

use super::{SqlValue, StoreError, Tx, column};
use crate::clock::Timestamp;

/// A token that was not used yet.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsoleAccess {
    /// The token's digest.
    pub token_digest: String,
    /// The VM whose console it opens.
    pub vm_uuid: VmUuid,
    /// The account that asked for it.
    pub account_uuid: AccountUuid,
    /// When it ends.
    pub expires_date: Timestamp,
}

impl Tx<'_> {
    /// Adds a token.
    pub fn insert_console_access(&self, access: &ConsoleAccess) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO console_access (token_digest, vm_uuid, account_uuid, expires_date) VALUES (?, ?, ?, ?)",
            )?
            .execute(rusqlite::params_from_iter([
                access.token_digest.to_sql(),
                access.vm_uuid.to_sql(),
                access.account_uuid.to_sql(),
                access.expires_date.to_sql(),
            ]))?;
        Ok(())
    }

    /// Removes the token with this digest, and answers what it was.
    pub fn take_console_access(&self, token_digest: &str) -> Result<Option<ConsoleAccess>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM console_access WHERE token_digest = ? RETURNING token_digest, vm_uuid, account_uuid, expires_date",
        )?;
        let mut rows = statement.query([token_digest])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let access = ConsoleAccess {
            token_digest: column(row, 0)?,
            vm_uuid: column(row, 1)?,
            account_uuid: column(row, 2)?,
            expires_date: column(row, 3)?,
        };
        // SQLite has deleted the row only once the statement has come to its end.
        while rows.next()?.is_some() {}
        Ok(Some(access))
    }

    /// Forgets the tokens that have expired.
    pub fn drop_expired_console_accesses(&self, now: Timestamp) -> Result<usize, StoreError> {
        Ok(self
            .connection
            .prepare_cached("DELETE FROM console_access WHERE expires_date <= ?")?
            .execute([now.to_sql()])?)
    }
}

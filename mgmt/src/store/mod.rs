//! The inventory in SQLite. All SQL of the product lives in this module; nothing else knows what the store is.
//!
//! One thread owns the only writing connection. Whatever is queued is committed together as one group, so that a
//! thousand concurrent calls cost a few fsyncs; each change of a group stands in a savepoint of its own and fails alone.
//! Reads go to a pool of read-only connections and never wait for the writer.

mod addresses;
mod audits;
mod capacity;
mod claims;
mod cleanup;
mod console_access;
mod discs;
mod image_cache;
mod jobs;
mod join_tokens;
mod long_jobs;
mod migrations;
mod notifications;
mod ownership;
mod query;
mod reader;
mod rows;
mod sessions;
mod settings;
mod table;
mod value;
mod writer;

use std::path::Path;

pub use capacity::*;
pub use claims::*;
pub use console_access::*;
use gantry_common::id::AccountUuid;
pub use image_cache::*;
pub use jobs::*;
pub use join_tokens::*;
pub use ownership::on_behalf_of;
pub use rows::*;
use rusqlite::{Connection, OpenFlags};
pub use table::*;
pub use value::*;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused or failed.
    #[error("inventory: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A stored value is not of the type it should have.
    #[error("inventory: column {column} holds '{value}', which is not {expected}")]
    BadValue {
        /// The column.
        column: String,
        /// What is stored.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The program met a fault of its own; the change was taken back.
    #[error("inventory: a change met a fault of the management node: see its log")]
    Fault,
    /// A row that was to be added refers to what is being deleted.
    #[error("{resource} '{uuid}' is being deleted: use another one")]
    BeingDeleted {
        /// The resource.
        resource: &'static str,
        /// Its id.
        uuid: String,
    },
    /// The store is closing.
    #[error("inventory: the management node is stopping")]
    Closed,
    /// The database was written by a newer version.
    #[error("inventory: the database is of version {found}, this program knows {known}; run the newer program")]
    TooNew {
        /// The database's version.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
}

impl StoreError {
    /// Whether a row with the same key or unique value stands already.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Sqlite(rusqlite::Error::SqliteFailure(error, _))
            if error.code == rusqlite::ErrorCode::ConstraintViolation
                && matches!(error.extended_code, rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY | rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE))
    }
}

/// The open store.
#[derive(Clone)]
pub struct Store {
    writer: writer::Writer,
    readers: reader::Readers,
}

impl Store {
    /// Opens the database file, makes it if need be, and brings it to this program's version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.set_prepared_statement_cache_capacity(256);
        migrations::run(&mut connection)?;
        query::equip(&connection)?;
        ownership::forget_with_what_is_deleted(&connection)?;
        Ok(Self { writer: writer::Writer::start(connection), readers: reader::Readers::new(path) })
    }

    /// Runs `change` in a transaction and returns once it is durable. An error of `change` undoes all it did.
    pub async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.writer.run(change).await
    }

    /// Runs `look` on a read-only connection, in one consistent view of the store.
    pub async fn read<T, E, F>(&self, look: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.readers.run(look).await
    }
}

/// One transaction, reading or writing.
pub struct Tx<'a> {
    // Not to be seen outside this module, or SQL would be written elsewhere.
    connection: &'a Connection,
    /// On whose behalf it is made.
    account: Option<AccountUuid>,
}

/// Works on an inventory of its own that is gone afterwards. It does not ask whether what rows refer to is there.
#[cfg(test)]
pub fn in_memory<T>(work: impl FnOnce(&Tx<'_>) -> T) -> T {
    let mut connection = Connection::open_in_memory().unwrap();
    migrations::run(&mut connection).unwrap();
    query::equip(&connection).unwrap();
    connection.pragma_update(None, "foreign_keys", "OFF").unwrap();
    work(&Tx { connection: &connection, account: None })
}

#[cfg(test)]
mod tests;

//! The pool of read-only connections.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use gantry_common::id::AccountUuid;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::{StoreError, Tx, ownership::acting_account};

/// How many reads run at once.
const READERS: usize = 8;

/// How much of the database's file readers map into memory. A reader's own cache would be void after every write; the
/// kernel's is not, and a mapped page is there without a system call.
const MAPPED_BYTES: i64 = 1 << 30;

#[derive(Clone)]
pub struct Readers {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
    slots: Arc<Semaphore>,
}

impl Readers {
    pub fn new(path: &Path) -> Self {
        Self {
            path: Arc::new(path.to_owned()),
            idle: Arc::new(Mutex::new(Vec::new())),
            slots: Arc::new(Semaphore::new(READERS)),
        }
    }

    pub async fn run<T, E, F>(&self, look: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (pool, account) = (self.clone(), acting_account());
        let work = move || {
            let connection = pool.take()?;
            let result = in_one_view(&connection, account, look);
            pool.idle.lock().push(connection);
            drop(slot);
            result
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    fn take(&self) -> Result<Connection, StoreError> {
        if let Some(connection) = self.idle.lock().pop() {
            return Ok(connection);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.path.as_path(), flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update(None, "mmap_size", MAPPED_BYTES)?;
        connection.set_prepared_statement_cache_capacity(256);
        super::query::equip(&connection)?;
        Ok(connection)
    }
}

fn in_one_view<T, E: From<StoreError>>(
    connection: &Connection,
    account: Option<AccountUuid>,
    look: impl FnOnce(&Tx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let transaction = connection.unchecked_transaction().map_err(StoreError::from)?;
    let result = look(&Tx { connection: &transaction, account });
    transaction.finish().map_err(StoreError::from)?;
    result
}

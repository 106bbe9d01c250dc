//! The one writer: a thread that commits whatever is queued as one group.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::{StoreError, Tx, ownership::acting_account};
use gantry_common::id::AccountUuid;

/// How many changes go into one commit at most.
const GROUP: usize = 512;

/// Applies one change; what it returns is called with the outcome of the group's commit.
type Change = Box<dyn FnOnce(&Connection) -> Finish + Send>;
type Finish = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Change>,
}

impl Writer {
    pub fn start(mut connection: Connection) -> Self {
        let (queue, changes) = mpsc::channel::<Change>();
        let body = move || {
            while let Ok(first) = changes.recv() {
                let group = std::iter::once(first).chain(changes.try_iter().take(GROUP - 1));
                commit(&mut connection, group);
            }
        };
        if let Err(error) = thread::Builder::new().name("store-writer".to_owned()).spawn(body) {
            tracing::error!(%error, "the inventory's writer could not be started");
        }
        Self { queue }
    }

    pub async fn run<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (answer, outcome) = oneshot::channel::<Result<T, E>>();
        let account = acting_account();
        let boxed: Change = Box::new(move |connection| {
            let result = in_savepoint(connection, account, change);
            Box::new(move |committed| {
                let result = match committed {
                    Ok(()) => result,
                    Err(error) => result.and(Err(error.into())),
                };
                // The caller may have gone away; the change stands all the same.
                drop(answer.send(result));
            })
        });
        self.queue.send(boxed).map_err(|_| StoreError::Closed)?;
        outcome.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }
}

fn in_savepoint<T, E: From<StoreError>>(
    connection: &Connection,
    account: Option<AccountUuid>,
    change: impl FnOnce(&Tx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let run = |sql: &str| {
        connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map_err(StoreError::from)
    };
    run("SAVEPOINT change")?;
    // A fault of the program in one change must not end the writer, and with it all others.
    let result = catch_unwind(AssertUnwindSafe(|| change(&Tx { connection, account })));
    let result = result.unwrap_or_else(|_| Err(StoreError::Fault.into()));
    if result.is_err() {
        run("ROLLBACK TO change")?;
    }
    run("RELEASE change")?;
    result
}

fn commit(connection: &mut Connection, group: impl Iterator<Item = Change>) {
    let mut finishes: Vec<Finish> = Vec::new();
    let committed = (|| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        finishes.extend(group.map(|change| change(&transaction)));
        transaction.commit()
    })();
    if let Err(error) = &committed {
        tracing::error!(%error, "the inventory could not be written");
    }
    let message = committed.err().map(|error| error.to_string());
    for finish in finishes {
        finish(match &message {
            None => Ok(()),
            Some(message) => Err(StoreError::Sqlite(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR),
                Some(message.clone()),
            ))),
        });
    }
}

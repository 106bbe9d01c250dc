//! Locks on file paths, within this agent.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use gantry_common::agent::{AgentError, Call};
use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// One reader-writer lock per file: whoever makes or deletes the file holds it alone, whoever builds on it shares it.
#[derive(Debug, Clone, Default)]
pub struct PathLocks(Arc<Mutex<HashMap<PathBuf, Weak<RwLock<()>>>>>);

impl PathLocks {
    /// Waits until nobody else holds `path`.
    ///
    /// # Errors
    /// `Cancelled` when the call is cancelled while it waits.
    pub(crate) async fn exclusive(&self, call: &Call, path: &Path) -> Result<OwnedRwLockWriteGuard<()>, AgentError> {
        let lock = self.of(path).write_owned();
        call.cancelled.run_until_cancelled(lock).await.ok_or(AgentError::Cancelled)
    }

    /// Takes `path` if nobody else holds it now.
    pub(crate) fn try_exclusive(&self, path: &Path) -> Option<OwnedRwLockWriteGuard<()>> {
        self.of(path).try_write_owned().ok()
    }

    /// Waits until nobody holds `path` alone.
    ///
    /// # Errors
    /// `Cancelled` when the call is cancelled while it waits.
    pub(crate) async fn shared(&self, call: &Call, path: &Path) -> Result<OwnedRwLockReadGuard<()>, AgentError> {
        let lock = self.of(path).read_owned();
        call.cancelled.run_until_cancelled(lock).await.ok_or(AgentError::Cancelled)
    }

    fn of(&self, path: &Path) -> Arc<RwLock<()>> {
        let mut locks = self.0.lock();
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(path).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(RwLock::new(()));
        locks.insert(path.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use gantry_common::id::OperationId;

    use super::*;

    #[tokio::test]
    async fn a_cancelled_call_stops_waiting_and_the_lock_is_forgotten_after_its_last_holder() {
        let locks = PathLocks::default();
        let call = Call::detached(OperationId::random());
        let first = locks.shared(&call, Path::new("/a")).await.unwrap();
        let second = locks.shared(&call, Path::new("/a")).await.unwrap();
        locks.exclusive(&call, Path::new("/b")).await.unwrap();

        let waiting = Call::detached(OperationId::random());
        waiting.cancelled.cancel();
        assert_eq!(locks.exclusive(&waiting, Path::new("/a")).await.unwrap_err(), AgentError::Cancelled);

        drop((first, second));
        locks.exclusive(&call, Path::new("/a")).await.unwrap();
        drop(locks.of(Path::new("/c")));
        assert_eq!(locks.0.lock().len(), 1);
    }
}

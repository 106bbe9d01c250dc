//! One lock per VM and per network.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

/// A lock for every key; keys that nobody holds take no memory.
#[derive(Debug)]
pub(super) struct LockPerKey<K>(Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>);

impl<K> Default for LockPerKey<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + Eq + Hash> LockPerKey<K> {
    /// Waits for the key's lock.
    pub(super) async fn lock(&self, key: K) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock();
            // A lock that only the map knows is held by nobody and awaited by nobody.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(key).or_default())
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_locked_once_and_forgotten_when_free() {
        let locks = LockPerKey::default();
        let first = locks.lock(1).await;
        let other = locks.lock(2).await;
        assert!(futures_util::FutureExt::now_or_never(locks.lock(1)).is_none());
        drop((first, other));
        let _again = locks.lock(1).await;
        assert_eq!(locks.0.lock().len(), 1);
    }
}

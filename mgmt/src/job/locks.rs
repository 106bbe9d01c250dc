//! Jobs of one resource run one after the other, in the order in which they asked.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// The resources that jobs work on.
#[derive(Default)]
pub struct Locks {
    turns: Mutex<HashMap<String, Weak<Turn<()>>>>,
}

/// Held while a job works on its resources.
pub type Held = Vec<OwnedMutexGuard<()>>;

impl Locks {
    /// Waits for all of the resources. They are taken in one order by all jobs, so that no two wait for each other.
    pub async fn acquire(&self, mut resources: Vec<String>) -> Held {
        resources.sort_unstable();
        resources.dedup();
        let mut held = Vec::with_capacity(resources.len());
        for resource in resources {
            let turn = self.turn(resource);
            held.push(turn.lock_owned().await);
        }
        held
    }

    fn turn(&self, resource: String) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock();
        if turns.len() > 1024 && turns.len() == turns.capacity() {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let entry = turns.entry(resource).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let turn = Arc::new(Turn::new(()));
            *entry = Arc::downgrade(&turn);
            turn
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_resource_is_worked_on_by_one_job_at_a_time() {
        let locks = Locks::default();
        let first = locks.acquire(vec!["a".into(), "b".into()]).await;
        let mut second = std::pin::pin!(locks.acquire(vec!["b".into()]));
        assert!(futures_util::poll!(&mut second).is_pending());
        locks.acquire(vec!["c".into()]).await;
        drop(first);
        second.await;
    }
}

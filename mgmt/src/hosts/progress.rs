//! Who follows the progress of which command.

use std::collections::HashMap;

use gantry_common::{agent::Progress, id::OperationId};
use parking_lot::Mutex;
use tokio::sync::watch;

/// The followers of commands' progress.
#[derive(Default)]
pub struct ProgressBoard {
    followed: Mutex<Followed>,
}

#[derive(Default)]
struct Followed {
    operations: HashMap<OperationId, watch::Sender<Option<Progress>>>,
    /// The number of entries at which those that nobody follows any more are swept out.
    sweep_at: usize,
}

impl ProgressBoard {
    /// The last progress of `operation`, and every later one.
    pub fn follow(&self, operation: OperationId) -> watch::Receiver<Option<Progress>> {
        let mut followed = self.followed.lock();
        if followed.operations.len() >= followed.sweep_at {
            followed.operations.retain(|_, sender| !sender.is_closed());
            followed.sweep_at = followed.operations.len() * 2 + 16;
        }
        followed.operations.entry(operation).or_insert_with(|| watch::Sender::new(None)).subscribe()
    }

    /// Tells those who follow.
    pub fn publish(&self, progress: Progress) {
        if let Some(sender) = self.followed.lock().operations.get(&progress.operation) {
            sender.send_replace(Some(progress));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(operation: OperationId, done_bytes: u64) -> Progress {
        Progress { operation, done_bytes, total_bytes: None }
    }

    #[test]
    fn every_follower_sees_the_last_progress() {
        let board = ProgressBoard::default();
        let operation = OperationId::random();
        let first = board.follow(operation);
        board.publish(progress(operation, 1));
        board.publish(progress(OperationId::random(), 9));
        let second = board.follow(operation);
        for follower in [first, second] {
            assert_eq!(*follower.borrow(), Some(progress(operation, 1)));
        }
    }

    #[test]
    fn commands_that_nobody_follows_any_more_are_swept_out() {
        let board = ProgressBoard::default();
        let kept = board.follow(OperationId::random());
        for _ in 0..1000 {
            board.follow(OperationId::random());
        }
        assert!(board.followed.lock().operations.len() <= 20);
        assert!(kept.has_changed().is_ok(), "the followed one is still there");
    }
}

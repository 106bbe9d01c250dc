//! One command per VM at a time.

use std::{collections::HashMap, sync::Arc};

use gantry_common::id::VmUuid;
use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, watch};

/// The VMs that commands are working on or waiting for.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<VmUuid, Arc<Slot>>>>);

#[derive(Debug)]
struct Slot {
    turn: Arc<tokio::sync::Mutex<()>>,
    hurries: watch::Sender<u64>,
}

/// The right to change a VM, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    vm: VmUuid,
    turns: Turns,
    slot: Arc<Slot>,
    hurries: watch::Receiver<u64>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until no other command works on `vm`.
    pub async fn of(&self, vm: VmUuid) -> Turn {
        let slot = self.0.lock().entry(vm).or_insert_with(Slot::new).clone();
        let mut turn = Turn { vm, turns: self.clone(), hurries: slot.hurries.subscribe(), slot, guard: None };
        turn.guard = Some(turn.slot.turn.clone().lock_owned().await);
        turn.hurries.mark_unchanged();
        turn
    }

    /// Asks the command that works on `vm` not to wait for the guest any longer.
    pub fn hurry(&self, vm: VmUuid) {
        if let Some(slot) = self.0.lock().get(&vm) {
            slot.hurries.send_modify(|hurries| *hurries += 1);
        }
    }
}

impl Slot {
    fn new() -> Arc<Self> {
        Arc::new(Self { turn: Arc::default(), hurries: watch::Sender::new(0) })
    }
}

impl Turn {
    /// Returns when somebody asked to hurry during this turn.
    pub async fn hurried(&mut self) {
        // The sender is in this turn's own slot: it cannot be gone.
        let _ = self.hurries.changed().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut slots = self.turns.0.lock();
        // The table's and this one's: nobody waits.
        if Arc::strong_count(&self.slot) == 2 {
            slots.remove(&self.vm);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_second_command_on_a_vm_waits_and_one_on_another_vm_does_not() {
        let turns = Turns::default();
        let vm = VmUuid::random();
        let first = turns.of(vm).await;
        let mut second = Box::pin(turns.of(vm));
        assert!(timeout(Duration::from_millis(20), &mut second).await.is_err());
        turns.of(VmUuid::random()).await;
        drop(first);
        drop(second.await);
        assert!(turns.0.lock().is_empty());
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_leaves_nothing() {
        let turns = Turns::default();
        let vm = VmUuid::random();
        let first = turns.of(vm).await;
        assert!(timeout(Duration::from_millis(20), turns.of(vm)).await.is_err());
        drop(first);
        assert!(turns.0.lock().is_empty());
    }

    #[tokio::test]
    async fn hurry_reaches_the_turn_it_was_meant_for_and_no_later_one() {
        let turns = Turns::default();
        let vm = VmUuid::random();
        let mut first = turns.of(vm).await;
        turns.hurry(vm);
        first.hurried().await;
        turns.hurry(vm);
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { turns.of(vm).await }
        });
        drop(first);
        let mut second = waiting.await.unwrap();
        assert!(timeout(Duration::from_millis(20), second.hurried()).await.is_err());
    }
}

//! How many commands of a kind a host gets at the same time: a thousand accepted jobs must not swamp one host.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use gantry_common::{
    agent::{
        AddImage, CacheImage, Command, CopyVolume, CreateVolume, FetchImage, FlattenVolume, OfferFile, RebootVm,
        StartVm,
    },
    id::HostUuid,
};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The commands of a kind that one host carries out at the same time; more of them wait in the order in which they came.
fn limit(command: &str) -> usize {
    match command {
        // They share the host's network and disk: more at once are not done sooner.
        AddImage::NAME | CacheImage::NAME | FetchImage::NAME | OfferFile::NAME | CopyVolume::NAME => 4,
        FlattenVolume::NAME => 4,
        // Each takes libvirt a second of work before its guest runs.
        StartVm::NAME | RebootVm::NAME => 8,
        CreateVolume::NAME => 8,
        _ => 64,
    }
}

type Kind = (HostUuid, &'static str);

/// The slots of all hosts.
#[derive(Default)]
pub struct Slots {
    kinds: Mutex<HashMap<Kind, Weak<Semaphore>>>,
}

impl Slots {
    /// Waits for a slot, which is free again when the answer is dropped.
    pub async fn enter(&self, host: HostUuid, command: &'static str) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.of(host, command).acquire_owned().await.ok()
    }

    fn of(&self, host: HostUuid, command: &'static str) -> Arc<Semaphore> {
        let mut kinds = self.kinds.lock();
        if kinds.len() > 1024 && kinds.len() == kinds.capacity() {
            kinds.retain(|_, slots| slots.strong_count() > 0);
        }
        let entry = kinds.entry((host, command)).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let slots = Arc::new(Semaphore::new(limit(command)));
            *entry = Arc::downgrade(&slots);
            slots
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn a_host_gets_so_many_commands_of_a_kind_and_the_next_when_one_has_ended() {
        let slots = Slots::default();
        let (host, other) = (HostUuid::random(), HostUuid::random());
        let mut taken = Vec::new();
        for _ in 0..limit(AddImage::NAME) {
            taken.push(slots.enter(host, AddImage::NAME).await);
        }
        let mut next = std::pin::pin!(slots.enter(host, AddImage::NAME));
        assert!(poll!(&mut next).is_pending());
        drop(slots.enter(host, StartVm::NAME).await.unwrap());
        drop(slots.enter(other, AddImage::NAME).await.unwrap());
        taken.pop();
        assert!(next.await.is_some());
    }
}

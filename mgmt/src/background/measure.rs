//! Asking connected hosts how full their storages are: in turn, and at once where the node itself has changed files.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use gantry_common::{
    agent::{
        AddImage, CacheImage, Command, CopyVolume, CreateVolume, DeleteImage, DeleteVolume, EvictImage, FetchImage,
        FlattenVolume, ReclaimSpace, ResizeVolume,
    },
    id::HostUuid,
};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use crate::{
    failure::Failure,
    hosts,
    node::Node,
    resource::{ConnectionStatus, Machine},
    settings::Values,
    store::SqlValue,
};

/// How many hosts are asked at the same time.
const AT_ONCE: usize = 16;

/// How long changes are gathered: what comes in a burst is measured together.
const SETTLE: Duration = Duration::from_millis(250);

/// The commands that change how full a storage is.
const CHANGE_FILES: [&str; 11] = [
    AddImage::NAME,
    CacheImage::NAME,
    CopyVolume::NAME,
    CreateVolume::NAME,
    DeleteImage::NAME,
    DeleteVolume::NAME,
    EvictImage::NAME,
    FetchImage::NAME,
    FlattenVolume::NAME,
    ReclaimSpace::NAME,
    ResizeVolume::NAME,
];

/// The machines whose files commands have changed since they were measured last.
#[derive(Debug, Default)]
pub struct Unmeasured {
    machines: Mutex<BTreeSet<HostUuid>>,
    changed: Notify,
}

impl Unmeasured {
    /// Notes that a machine has carried out a command. Most change no files.
    pub fn note<C: Command>(&self, machine: HostUuid) {
        if CHANGE_FILES.contains(&C::NAME) {
            self.machines.lock().insert(machine);
            self.changed.notify_one();
        }
    }

    /// Waits until there are some, and a burst is over. Nothing is lost when the waiting is given up.
    async fn take(&self) -> BTreeSet<HostUuid> {
        while self.machines.lock().is_empty() {
            self.changed.notified().await;
        }
        sleep(SETTLE).await;
        std::mem::take(&mut self.machines.lock())
    }
}

/// Measures machines soon after their files have changed. Ends with the node.
pub async fn follow_changes(node: Weak<Node>, unmeasured: Arc<Unmeasured>, mut settings: watch::Receiver<Arc<Values>>) {
    loop {
        tokio::select! {
            machines = unmeasured.take() => match node.upgrade() {
                Some(node) => measure(&node, machines).await,
                None => return,
            },
            changed = settings.changed() => if changed.is_err() { return },
        }
    }
}

/// Measures the storages of all connected hosts.
pub async fn measure_storages(node: Arc<Node>) -> Result<(), Failure> {
    let connected = [("status", ConnectionStatus::Connected.to_sql())];
    let machines = node.store.read(move |tx| Ok::<_, Failure>(tx.find::<Machine>(&connected)?)).await?;
    measure(&node, machines.into_iter().map(|machine| machine.uuid)).await;
    Ok(())
}

async fn measure(node: &Arc<Node>, machines: impl IntoIterator<Item = HostUuid>) {
    stream::iter(machines)
        .filter(|machine| std::future::ready(node.fleet.is_connected(*machine)))
        .for_each_concurrent(AT_ONCE, async |machine| {
            if let Err(failure) = hosts::open_storages(node, machine).await {
                tracing::warn!(host = %machine, error = %failure, "the host's storages could not be measured");
            }
        })
        .await;
}

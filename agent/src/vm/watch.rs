//! Follows what happens to domains, and whether libvirtd is there.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
    time::Duration,
};

use gantry_common::{
    agent::{Event, Snapshot},
    id::VmUuid,
};
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    Host,
    devices::{self, Removal},
    look::Sight,
    serial_logs,
};
use crate::{
    host,
    libvirt::{Link, ffi::DomainEvent},
};

/// How often what could not be cleaned up is tried again.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// How soon a look that failed is tried again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Runs for as long as the host's VMs are looked after.
pub async fn watch(
    host: Weak<Host>,
    mut events: mpsc::UnboundedReceiver<DomainEvent>,
    mut link: watch::Receiver<Link>,
) {
    let mut sweeps = interval(SWEEP_INTERVAL);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Domains that something happened to and that could not be looked at.
    let mut unseen = BTreeSet::new();
    // Whether libvirtd is back and did not say yet which domains there are.
    let mut owes_overview = false;
    loop {
        tokio::select! {
            event = events.recv() => {
                let (Some(event), Some(host)) = (event, host.upgrade()) else { return };
                // One look answers for all events that are waiting.
                unseen.extend(to_look_at(&host, event));
                while let Ok(event) = events.try_recv() {
                    unseen.extend(to_look_at(&host, event));
                }
                unseen = follow(&host, unseen).await;
            }
            () = sleep(LOOK_AGAIN_AFTER), if !unseen.is_empty() => {
                let Some(host) = host.upgrade() else { return };
                unseen = follow(&host, unseen).await;
            }
            changed = link.changed() => {
                let (Ok(()), Some(host)) = (changed, host.upgrade()) else { return };
                let state = link.borrow_and_update().clone();
                match state {
                    Link::Up { .. } => owes_overview = !tell_overview(&host).await,
                    Link::Down { reason } => {
                        owes_overview = false;
                        host.observer.tell(Event::LibvirtLost { reason });
                    }
                }
            }
            () = sleep(LOOK_AGAIN_AFTER), if owes_overview => {
                let Some(host) = host.upgrade() else { return };
                owes_overview = !tell_overview(&host).await;
            }
            _ = sweeps.tick() => {
                let Some(host) = host.upgrade() else { return };
                sweep(&host).await;
            }
        }
    }
}

/// Tells everything there is to see. Answers whether the VMs were part of it.
async fn tell_overview(host: &Arc<Host>) -> bool {
    let snapshot = snapshot(host).await;
    let is_whole = snapshot.vms.is_some();
    host.observer.tell(Event::Snapshot(Box::new(snapshot)));
    sweep(host).await;
    is_whole
}

/// Everything there is to see now.
pub async fn snapshot(host: &Host) -> Snapshot {
    let facts = host::facts(host.observer.executor()).await;
    match host.observer.overview().await {
        Ok(seen) => Snapshot { facts, vms: Some(seen.vms), foreign: seen.foreign, revision: seen.revision },
        Err(error) => {
            tracing::warn!(%error, "no look at the VMs");
            Snapshot { facts, vms: None, foreign: Vec::new(), revision: host.observer.revision().await }
        }
    }
}

/// The domain whose state may have changed. What a guest answers about a device goes to those who wait for it.
fn to_look_at(host: &Arc<Host>, event: DomainEvent) -> Option<VmUuid> {
    let (domain, alias, removal) = match event {
        DomainEvent::DeviceRemoved { domain, alias } => (domain, alias, Removal::Done),
        DomainEvent::DeviceKept { domain, alias } => (domain, alias, Removal::Refused),
        event => return Some(event.domain()),
    };
    if host.removals.tell(domain, &alias, removal) {
        tokio::spawn(devices::put_back(host.clone(), domain, alias));
    }
    None
}

/// Looks at `domains`. Answers which of them could not be looked at.
async fn follow(host: &Arc<Host>, domains: BTreeSet<VmUuid>) -> BTreeSet<VmUuid> {
    let mut unseen = BTreeSet::new();
    for domain in domains {
        match host.observer.follow(domain, host.attachments.has(domain)).await {
            Ok(true) => drop(tokio::spawn(clean_up(host.clone(), domain))),
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(%domain, %error, "no look after an event");
                unseen.insert(domain);
            }
        }
    }
    unseen
}

/// Cleans up after the VMs that ended unseen: while libvirtd or the agent was down, or with a cleaning up that failed.
async fn sweep(host: &Arc<Host>) {
    match host.attachments.all() {
        Ok(attached) => {
            for vm in host.observer.missing(attached).await {
                if matches!(host.observer.sight(vm).await, Ok(Sight::Nothing | Sight::Foreign { .. })) {
                    tokio::spawn(clean_up(host.clone(), vm));
                }
            }
        }
        Err(error) => tracing::warn!(%error, "the attachments' directory cannot be read"),
    }
    if let Err(error) = serial_logs::remove_stale(&host.settings.serial_logs, |vm| host.attachments.has(vm)) {
        tracing::warn!(%error, "old records of serial lines cannot be removed");
    }
}

/// Takes away what a VM had attached, unless it runs again by the time it is the VM's turn.
async fn clean_up(host: Arc<Host>, vm: VmUuid) {
    let _turn = host.turns.of(vm).await;
    let outcome = match host.observer.sight(vm).await {
        Ok(Sight::Nothing | Sight::Foreign { .. }) if host.attachments.has(vm) => host.release(vm).await,
        Ok(_) => return,
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        tracing::warn!(%vm, %error, "cleaning up after a VM that ended; it will be tried again");
    }
}

//! Brings what hosts say into the inventory.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use gantry_common::{
    agent::{Event, ForeignDomain, Snapshot},
    id::HostUuid,
};
use serde_json::json;

use super::{
    capacity::{self, CapacityRules},
    fleet::FleetObserver,
    host_tags,
    prepare::prepare_host,
    vm_states,
};
use crate::{
    cleanup,
    clock::Timestamp,
    failure::Failure,
    node::Node,
    notification::Notice,
    resource::{BackupStorage, ConnectionStatus, Host, Machine, NotificationType, VmInstance, VmInstanceState},
    settings::Values,
    store::{SqlValue, Tx},
};

/// Listens to all hosts for the node.
#[derive(Default)]
pub struct Observer {
    node: OnceLock<Weak<Node>>,
}

impl Observer {
    /// Listens for this node from now on.
    pub fn watch_for(&self, node: &Arc<Node>) {
        // Set once, at the node's making.
        let _ = self.node.set(Arc::downgrade(node));
    }

    fn node(&self) -> Option<Arc<Node>> {
        self.node.get().and_then(Weak::upgrade)
    }
}

#[async_trait]
impl FleetObserver for Observer {
    async fn connected(&self, machine: HostUuid, snapshot: &Snapshot) {
        let Some(node) = self.node() else { return };
        if let Err(failure) = came_up(&node, machine, snapshot).await {
            tracing::error!(host = %machine, error = %failure, "a connected host could not be taken up");
        }
    }

    async fn event(&self, machine: HostUuid, event: Event) {
        let Some(node) = self.node() else { return };
        let done = match event {
            Event::Snapshot(snapshot) => take_snapshot(&node, machine, &snapshot).await,
            Event::Vm(observation) => vm_states::observe(&node, machine, vec![observation]).await,
            Event::ForeignDomains { domains } => record_foreign(&node, machine, domains).await,
            Event::LibvirtLost { reason } => {
                tracing::warn!(host = %machine, reason, "libvirtd is away; guests keep running");
                Ok(())
            }
            Event::Progress(_) | Event::Heartbeat => Ok(()),
        };
        if let Err(failure) = done {
            tracing::error!(host = %machine, error = %failure, "what a host said could not be recorded");
        }
    }

    async fn renewal_failed(&self, machine: HostUuid, until: Timestamp, reason: &str) {
        let Some(node) = self.node() else { return };
        Notice::new(
            NotificationType::Warning,
            "the certificate of host %s is valid until %s (UTC) and could not be renewed: %s",
            [machine.to_string(), until.to_string(), reason.to_owned()],
        )
        .about::<Host>(machine)
        .tell(&node)
        .await;
    }

    async fn disconnected(&self, machine: HostUuid, reason: &str) {
        let Some(node) = self.node() else { return };
        tracing::warn!(host = %machine, reason, "host disconnected");
        let (reason, settings) = (reason.to_owned(), node.settings.now());
        let recorded = node
            .store
            .write(move |tx| set_status(tx, &settings, machine, ConnectionStatus::Disconnected, Some(reason)))
            .await;
        if let Err(failure) = recorded {
            tracing::error!(host = %machine, error = %failure, "a host's loss could not be recorded");
        }
    }
}

async fn came_up(node: &Arc<Node>, machine: HostUuid, snapshot: &Snapshot) -> Result<(), Failure> {
    tracing::info!(host = %machine, hostname = snapshot.facts.hostname, "host connected");
    cleanup::settle(node, machine).await?;
    take_snapshot(node, machine, snapshot).await?;
    let reason = match prepare_host(node, machine).await {
        Ok(()) => None,
        Err(failure) => {
            tracing::warn!(host = %machine, error = %failure, "the host is connected and not all of its networks and storages are ready");
            Some(failure.to_string())
        }
    };
    let settings = node.settings.now();
    node.store.write(move |tx| set_status(tx, &settings, machine, ConnectionStatus::Connected, reason)).await
}

/// Everything a host sees, and by it what does not run there any more.
async fn take_snapshot(node: &Arc<Node>, machine: HostUuid, snapshot: &Snapshot) -> Result<(), Failure> {
    let facts = snapshot.facts.clone();
    let settings = node.settings.now();
    let rules = CapacityRules::from(&*settings);
    let foreign = snapshot.foreign.clone();
    node.store
        .write(move |tx| {
            let Some(mut known) = tx.get::<Machine>(machine)? else { return Ok(()) };
            if known.facts.is_none() {
                // Until now it was expected, and not lost.
                known.status = ConnectionStatus::Connecting;
                known.status_reason = None;
            }
            known.facts = Some(json!(facts));
            known.foreign_domains = json!(foreign);
            tx.save(&known)?;
            host_tags::set_fact_tags(tx, machine, &facts)?;
            host_tags::set_foreign_tags(tx, &settings, machine, &foreign)?;
            if let Some(mut host) = tx.get::<Host>(machine)? {
                host.cpu_num = facts.cpu_num;
                host.cpu_sockets = facts.cpu_sockets;
                tx.save(&host)?;
            }
            capacity::recount_host(tx, machine, rules)
        })
        .await?;
    match &snapshot.vms {
        Some(seen) => vm_states::compare(node, machine, seen.clone(), snapshot.revision).await,
        None => Ok(()),
    }
}

async fn record_foreign(node: &Arc<Node>, machine: HostUuid, domains: Vec<ForeignDomain>) -> Result<(), Failure> {
    let settings = node.settings.now();
    let rules = CapacityRules::from(&*settings);
    node.store
        .write(move |tx| {
            if let Some(mut known) = tx.get::<Machine>(machine)? {
                known.foreign_domains = json!(domains);
                tx.save(&known)?;
                host_tags::set_foreign_tags(tx, &settings, machine, &domains)?;
                capacity::recount_host(tx, machine, rules)?;
            }
            Ok(())
        })
        .await
}

/// What people are told of a machine that comes or goes. That the node itself was away is told once and not for each host:
/// it leaves no reason with them.
fn change_of(before: &Machine, status: ConnectionStatus, reason: Option<&str>) -> Option<Notice> {
    let was_lost = before.status == ConnectionStatus::Disconnected && before.status_reason.is_some();
    let (uuid, address) = (before.uuid, before.address.clone());
    let notice = match status {
        ConnectionStatus::Disconnected if before.status != ConnectionStatus::Connecting && !was_lost => Notice::new(
            NotificationType::Warning,
            "host %s (%s) is Disconnected: %s",
            [uuid.to_string(), address, reason.unwrap_or_default().to_owned()],
        ),
        ConnectionStatus::Connected if was_lost => {
            Notice::new(NotificationType::Info, "host %s (%s) is Connected again", [uuid.to_string(), address])
        }
        _ => return None,
    };
    Some(notice.about::<Host>(uuid))
}

/// Records whether a machine answers, and what follows for the host and the backup storages on it and for its VMs.
fn set_status(
    tx: &Tx<'_>,
    settings: &Values,
    machine: HostUuid,
    status: ConnectionStatus,
    reason: Option<String>,
) -> Result<(), Failure> {
    let Some(mut known) = tx.get::<Machine>(machine)? else { return Ok(()) };
    if let Some(notice) = change_of(&known, status, reason.as_deref()) {
        notice.record(tx, settings)?;
    }
    known.status = status;
    known.status_reason = reason;
    tx.save(&known)?;
    let now = Timestamp::now();
    // A host that is being added stays `Connecting` until all of its setting up is done.
    if let Some(mut host) = tx.get::<Host>(machine)?
        && host.status != ConnectionStatus::Connecting
        && host.status != status
    {
        host.status = status;
        host.last_op_date = now;
        tx.save(&host)?;
    }
    for mut storage in tx.find::<BackupStorage>(&[("machine_uuid", machine.to_sql())])? {
        if storage.status != ConnectionStatus::Connecting && storage.status != status {
            storage.status = status;
            storage.last_op_date = now;
            tx.save(&storage)?;
        }
    }
    if status == ConnectionStatus::Disconnected {
        tx.disconnect_storages_without_hosts(machine)?;
        for mut vm in tx.find::<VmInstance>(&[("host_uuid", machine.to_sql())])? {
            if matches!(vm.state, VmInstanceState::Running | VmInstanceState::Paused) {
                vm.state = VmInstanceState::Unknown;
                vm.last_op_date = now;
                tx.save(&vm)?;
            }
        }
    }
    Ok(())
}

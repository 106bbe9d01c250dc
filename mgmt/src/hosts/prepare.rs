//! Bringing a host to what its cluster needs: bridges, storages, and the networks of the VMs that run there. Done
//! whenever a host connects.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use gantry_common::{
    agent::{EnsureBridge, EnsureNetwork, Network, OpenStorage, RemoveBridge, RemoveNetwork},
    id::{HostUuid, L3NetworkUuid, OperationId},
};

use super::capacity::CapacityRules;
use crate::{
    failure::Failure,
    image_label::put_labels,
    network,
    node::Node,
    notification::Notice,
    resource::{
        BackupStorage, ConnectionStatus, Host, L3Network, NotificationType, PrimaryStorage, PrimaryStorageClusterRef,
        VmInstance, VmNic,
    },
    store::{SqlValue, Tx},
};

/// Everything a machine needs for its roles. All of it is tried; the first failure is reported.
pub async fn prepare_host(node: &Arc<Node>, machine: HostUuid) -> Result<(), Failure> {
    let (bridges, storages, backups) = node.store.read(move |tx| needs(tx, machine)).await?;
    let mut first = Ok(());
    let mut note = |outcome: Result<(), Failure>| {
        if first.is_ok() {
            first = outcome;
        }
    };
    for bridge in bridges {
        note(node.call(machine, OperationId::random(), EnsureBridge { bridge }).await);
    }
    for storage in storages {
        note(open_primary(node, machine, storage).await);
    }
    for backup in backups {
        note(open_backup(node, machine, backup).await);
    }
    // While it was away, it did not hear what changed for its guests.
    for network in node.store.read(move |tx| networks_of_guests(tx, machine)).await? {
        note(serve(node, machine, network).await);
    }
    first
}

/// The networks of the VMs that run on a host.
fn networks_of_guests(tx: &Tx<'_>, host: HostUuid) -> Result<Vec<Network>, Failure> {
    let mut networks = BTreeMap::new();
    for vm in tx.find::<VmInstance>(&[("host_uuid", host.to_sql())])? {
        for nic in tx.find::<VmNic>(&[("vm_instance_uuid", vm.uuid.to_sql())])? {
            if let Entry::Vacant(entry) = networks.entry(nic.l3_network_uuid)
                && let Some(network) = network::spec(tx, nic.l3_network_uuid)?
            {
                entry.insert(network);
            }
        }
    }
    Ok(networks.into_values().collect())
}

/// Opens the storages of a machine again, which tells how full they are. The first failure is reported.
pub async fn open_storages(node: &Arc<Node>, machine: HostUuid) -> Result<(), Failure> {
    let (_, storages, backups) = node.store.read(move |tx| needs(tx, machine)).await?;
    let mut first = Ok(());
    for storage in storages {
        first = first.and(open_primary(node, machine, storage).await);
    }
    for backup in backups {
        first = first.and(open_backup(node, machine, backup).await);
    }
    first
}

/// Takes from a machine that leaves what its cluster's networks made there. What cannot be taken away is logged and stays.
pub async fn release_host(node: &Arc<Node>, machine: HostUuid) {
    let found = node.store.read(move |tx| Ok::<_, Failure>((needs(tx, machine)?.0, tx.all::<L3Network>()?))).await;
    let (bridges, networks) = match found {
        Ok(found) => found,
        Err(failure) => return tracing::error!(host = %machine, error = %failure, "what is on the host cannot be read"),
    };
    if !node.fleet.is_connected(machine) {
        return;
    }
    let note = |outcome: Result<(), Failure>, what: &str| {
        if let Err(failure) = outcome {
            tracing::warn!(host = %machine, error = %failure, "{what} stays on the host");
        }
    };
    for l3 in networks.into_iter().filter(|l3| bridges.iter().any(|bridge| bridge.l2_network == l3.l2_network_uuid)) {
        let command = RemoveNetwork { l3_network: l3.uuid };
        note(node.call(machine, OperationId::random(), command).await, "a network's service");
    }
    for bridge in bridges {
        note(node.call(machine, OperationId::random(), RemoveBridge { bridge }).await, "a bridge");
    }
}

type Needs = (Vec<gantry_common::agent::Bridge>, Vec<PrimaryStorage>, Vec<BackupStorage>);

fn needs(tx: &Tx<'_>, machine: HostUuid) -> Result<Needs, Failure> {
    // What is being deleted is not made anew.
    let mut backups = Vec::new();
    for backup in tx.find::<BackupStorage>(&[("machine_uuid", machine.to_sql())])? {
        if !tx.is_going(&backup.uuid.to_string())? {
            backups.push(backup);
        }
    }
    let Some(host) = tx.get::<Host>(machine)? else { return Ok((Vec::new(), Vec::new(), backups)) };
    let mut bridges = Vec::new();
    for l2 in network::l2_networks_of_cluster(tx, host.cluster_uuid)? {
        if !tx.is_going(&format!("{} {}", l2.uuid, host.cluster_uuid))? && !tx.is_going(&host.uuid.to_string())? {
            bridges.push(network::bridge(&l2));
        }
    }
    let mut storages = Vec::new();
    for link in tx.find::<PrimaryStorageClusterRef>(&[("cluster_uuid", host.cluster_uuid.to_sql())])? {
        if !tx.is_going(&link.primary_storage_uuid.to_string())? {
            storages.extend(tx.get::<PrimaryStorage>(link.primary_storage_uuid)?);
        }
    }
    Ok((bridges, storages, backups))
}

async fn open_primary(node: &Arc<Node>, host: HostUuid, storage: PrimaryStorage) -> Result<(), Failure> {
    let capacity = node.call(host, OperationId::random(), OpenStorage { root: storage.url.clone() }).await?;
    let settings = node.settings.now();
    let rules = CapacityRules::from(&*settings);
    node.store
        .write(move |tx| {
            if let Some(mut storage) = tx.get::<PrimaryStorage>(storage.uuid)? {
                storage.status = ConnectionStatus::Connected;
                tx.save(&storage)?;
                let is_full = |tx: &Tx<'_>| {
                    let local = tx.local_storage(storage.uuid, host)?;
                    Ok::<_, Failure>(
                        local.is_some_and(|local| local.is_fuller_than(settings.storage_physical_threshold)),
                    )
                };
                let was_full = is_full(tx)?;
                tx.observe_local_storage(
                    storage.uuid,
                    host,
                    capacity.total_bytes,
                    capacity.available_bytes,
                    rules.storage,
                )?;
                if !was_full && is_full(tx)? {
                    running_full(&storage, host, capacity.available_bytes).record(tx, &settings)?;
                }
            }
            Ok(())
        })
        .await
}

fn running_full(storage: &PrimaryStorage, host: HostUuid, available_bytes: u64) -> Notice {
    Notice::new(
        NotificationType::Warning,
        "primary storage '%s' has %s bytes left on host %s and gets no new volumes there: free space, or raise the setting mevoco threshold.primaryStorage.physicalCapacity",
        [storage.name.clone(), available_bytes.to_string(), host.to_string()],
    )
    .about::<PrimaryStorage>(storage.uuid)
}

async fn open_backup(node: &Arc<Node>, machine: HostUuid, backup: BackupStorage) -> Result<(), Failure> {
    let capacity = node.call(machine, OperationId::random(), OpenStorage { root: backup.url.clone() }).await?;
    if let Err(failure) = put_labels(node, &backup).await {
        tracing::warn!(host = %machine, error = %failure, "what is known of images is not put down beside all of them");
    }
    node.store
        .write(move |tx| {
            if let Some(mut backup) = tx.get::<BackupStorage>(backup.uuid)? {
                backup.total_capacity = capacity.total_bytes;
                backup.available_capacity = capacity.available_bytes;
                tx.save(&backup)?;
            }
            Ok(())
        })
        .await
}

/// Brings an L3 network's services up to date on the hosts where its VMs run. A host that is away hears of it when it is
/// back.
pub async fn refresh_network(node: &Arc<Node>, l3_network: L3NetworkUuid) {
    let found = node
        .store
        .read(move |tx| Ok::<_, Failure>((network::spec(tx, l3_network)?, hosts_with_vms_on(tx, l3_network)?)))
        .await;
    let (network, hosts) = match found {
        Ok((Some(network), hosts)) => (network, hosts),
        Ok((None, _)) => return,
        Err(failure) => {
            tracing::error!(%l3_network, error = %failure, "the network cannot be described");
            return;
        }
    };
    for host in hosts {
        if let Err(failure) = serve(node, host, network.clone()).await {
            tracing::warn!(%l3_network, %host, error = %failure, "the host could not be told of the network's change");
        }
    }
}

async fn serve(node: &Arc<Node>, host: HostUuid, network: Network) -> Result<(), Failure> {
    node.call(host, OperationId::random(), EnsureNetwork { network }).await
}

fn hosts_with_vms_on(tx: &Tx<'_>, l3_network: L3NetworkUuid) -> Result<Vec<HostUuid>, Failure> {
    let Some(l3) = tx.get::<L3Network>(l3_network)? else { return Ok(Vec::new()) };
    let mut hosts = std::collections::BTreeSet::new();
    for nic in tx.find::<VmNic>(&[("l3_network_uuid", l3.uuid.to_sql())])? {
        hosts.extend(tx.get::<VmInstance>(nic.vm_instance_uuid)?.and_then(|vm| vm.host_uuid));
    }
    Ok(hosts.into_iter().collect())
}

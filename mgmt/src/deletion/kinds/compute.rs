//! Hosts, clusters, VMs and their interfaces.

use gantry_common::{
    agent::{DeleteVolume, EvictImage, RemoveBridge, RemoveNetwork},
    id::{ClusterUuid, HostUuid, L3NetworkUuid, PrimaryStorageUuid, UsedIpUuid, VmUuid},
};

use super::{Cleanups, Kind, held, plain};
use crate::{
    cleanup::Cleanup,
    failure::Failure,
    hosts::farewell,
    network,
    operations::require,
    resource::{L3Network, PrimaryStorage, UsedIp, VmInstance, VmNic, Volume, VolumeType},
    store::{Row, SqlValue, Tx},
    vm::used_for,
};

pub const NIC: Kind = Kind {
    unplugged_from: |nic| held(nic, "vm_instance_uuid").map(Some),
    before: leave_network,
    after: |tx, nic| {
        tx.release_address(held::<UsedIpUuid>(nic, "used_ip_uuid")?)?;
        // One may be kept for the VM's next start.
        let (vm, l3): (VmUuid, L3NetworkUuid) = (held(nic, "vm_instance_uuid")?, held(nic, "l3_network_uuid")?);
        tx.delete_where::<UsedIp>(&[("used_for", used_for(vm).to_sql()), ("l3_network_uuid", l3.to_sql())])?;
        Ok(Vec::new())
    },
    ..plain("VmNic", "interface")
};

pub const VM: Kind = Kind {
    leaves: vm_leaves,
    before: |tx, row| {
        let vm: VmUuid = held(row, "uuid")?;
        tx.release_host(vm)?;
        for volume in tx.find::<Volume>(&[("vm_instance_uuid", vm.to_sql())])? {
            if volume.kind == VolumeType::Data {
                tx.save(&Volume { device_id: None, ..volume })?;
            }
        }
        Ok(())
    },
    ..plain("VmInstance", "VM")
};

pub const HOST: Kind = Kind {
    locks: |host| host.text("management_ip").map(|ip| format!("machine {ip}")).into_iter().collect(),
    machine: |_, host| Ok(Some(held(host, "uuid")?)),
    leaves: host_leaves,
    before: |tx, row| {
        let host = held(row, "uuid")?;
        for storage in tx.all::<PrimaryStorage>()? {
            tx.remove_local_storage(storage.uuid, host)?;
        }
        Ok(())
    },
    after: |tx, row| farewell(tx, held(row, "uuid")?),
    ..plain("Host", "host")
};

pub const CLUSTER: Kind = Kind {
    before: |tx, row| Ok(tx.drop_join_tokens_of(held::<ClusterUuid>(row, "uuid")?)?),
    ..plain("Cluster", "cluster")
};

/// The VM's default route goes over another one of its networks, and its tags ask for nothing on this one.
fn leave_network(tx: &Tx<'_>, row: &Row) -> Result<(), Failure> {
    let (uuid, l3): (VmUuid, L3NetworkUuid) = (held(row, "vm_instance_uuid")?, held(row, "l3_network_uuid")?);
    let Some(mut vm) = tx.get::<VmInstance>(uuid)? else { return Ok(()) };
    if vm.default_l3_network_uuid == Some(l3) {
        let nics = tx.find::<VmNic>(&[("vm_instance_uuid", uuid.to_sql())])?;
        let others = nics.into_iter().filter(|nic| nic.l3_network_uuid != l3);
        vm.default_l3_network_uuid = others.min_by_key(|nic| nic.device_id).map(|nic| nic.l3_network_uuid);
        tx.save(&vm)?;
    }
    Ok(tx.delete_tags_naming(&uuid.to_string(), &l3.to_string())?)
}

/// The domain, wherever it is or was, and the files of those volumes that are nothing without the VM.
fn vm_leaves(tx: &Tx<'_>, row: &Row) -> Result<Cleanups, Failure> {
    let uuid: VmUuid = held(row, "uuid")?;
    let host = row.parsed("host_uuid").or_else(|| row.parsed("last_host_uuid"));
    let mut cleanups: Cleanups = host.map(|host: HostUuid| (host, Cleanup::Vm(uuid))).into_iter().collect();
    for volume in tx.find::<Volume>(&[("vm_instance_uuid", uuid.to_sql())])? {
        if volume.kind == VolumeType::Root {
            cleanups.extend(file_of(tx, volume.host_uuid, volume.install_path, volume.primary_storage_uuid)?);
        }
    }
    Ok(cleanups)
}

/// A volume's file.
pub(super) fn file_of(
    tx: &Tx<'_>,
    host: Option<HostUuid>,
    path: Option<String>,
    storage: Option<PrimaryStorageUuid>,
) -> Result<Option<(HostUuid, Cleanup)>, Failure> {
    let (Some(host), Some(path), Some(storage)) = (host, path, storage) else { return Ok(None) };
    let root = require::<PrimaryStorage>(tx, "primaryStorageUuid", storage)?.url;
    Ok(Some((host, Cleanup::Volume(DeleteVolume { root, path }))))
}

/// What its cluster's networks made there, and cached images. These come last: a deletion that ends before them has the host
/// made ready again, and finds them all.
fn host_leaves(tx: &Tx<'_>, row: &Row) -> Result<Cleanups, Failure> {
    let host: HostUuid = held(row, "uuid")?;
    let mut cleanups = Cleanups::new();
    for l2 in network::l2_networks_of_cluster(tx, held(row, "cluster_uuid")?)? {
        for l3 in tx.find::<L3Network>(&[("l2_network_uuid", l2.uuid.to_sql())])? {
            cleanups.push((host, Cleanup::Network(RemoveNetwork { l3_network: l3.uuid })));
        }
        cleanups.push((host, Cleanup::Bridge(RemoveBridge { bridge: network::bridge(&l2) })));
    }
    for cached in tx.images_cached_on(host)? {
        let root = require::<PrimaryStorage>(tx, "primaryStorageUuid", cached.storage)?.url;
        cleanups.push((host, Cleanup::CachedImage(EvictImage { root, path: cached.install_path })));
    }
    Ok(cleanups)
}

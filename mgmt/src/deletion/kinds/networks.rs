//! L2 and L3 networks and ranges of addresses.

use std::collections::BTreeSet;

use gantry_common::{
    agent::{RemoveBridge, RemoveNetwork},
    id::{ClusterUuid, IpRangeUuid, L2NetworkUuid, L3NetworkUuid, VmUuid},
};

use super::{Cleanups, Goes, Kind, held, plain};
use crate::{
    cleanup::Cleanup,
    failure::Failure,
    network,
    operations::{require, take_service_address},
    resource::{Host, L2Network, L2NetworkClusterRef, L3Network, UsedIp, VmInstance, VmNic},
    store::{Row, RowKey, SqlValue, Tx},
};

pub const IP_RANGE: Kind = Kind {
    before: give_service_address_back,
    after: |tx, range| {
        // Another range may have one.
        take_service_address(tx, require(tx, "l3NetworkUuid", held(range, "l3_network_uuid")?)?)?;
        Ok(Vec::new())
    },
    served_otherwise: |range| range.parsed("l3_network_uuid"),
    ..plain("IpRange", "IP range")
};

pub const L3_NETWORK: Kind = Kind {
    leaves: |tx, row| {
        let l3 = require::<L3Network>(tx, "uuid", held(row, "uuid")?)?;
        let mut cleanups = Cleanups::new();
        for link in tx.find::<L2NetworkClusterRef>(&[("l2_network_uuid", l3.l2_network_uuid.to_sql())])? {
            for host in tx.find::<Host>(&[("cluster_uuid", link.cluster_uuid.to_sql())])? {
                cleanups.push((host.uuid, Cleanup::Network(RemoveNetwork { l3_network: l3.uuid })));
            }
        }
        Ok(cleanups)
    },
    ..plain("L3Network", "L3 network")
};

pub const L2_ATTACHMENT: Kind = Kind {
    stops: |tx, link, goes| vms_on(tx, held(link, "cluster_uuid")?, held(link, "l2_network_uuid")?, goes),
    leaves: |tx, link| {
        let l2 = require::<L2Network>(tx, "l2NetworkUuid", held(link, "l2_network_uuid")?)?;
        let cluster: ClusterUuid = held(link, "cluster_uuid")?;
        let l3s = tx.find::<L3Network>(&[("l2_network_uuid", l2.uuid.to_sql())])?;
        let mut cleanups = Cleanups::new();
        for host in tx.find::<Host>(&[("cluster_uuid", cluster.to_sql())])? {
            for l3 in &l3s {
                cleanups.push((host.uuid, Cleanup::Network(RemoveNetwork { l3_network: l3.uuid })));
            }
            cleanups.push((host.uuid, Cleanup::Bridge(RemoveBridge { bridge: network::bridge(&l2) })));
        }
        Ok(cleanups)
    },
    ..plain("L2NetworkClusterRef", "attachment")
};

/// A range that is going may hold the address that the network's services answer on.
fn give_service_address_back(tx: &Tx<'_>, row: &Row) -> Result<(), Failure> {
    let range: IpRangeUuid = held(row, "uuid")?;
    let mut l3 = require::<L3Network>(tx, "l3NetworkUuid", held::<L3NetworkUuid>(row, "l3_network_uuid")?)?;
    let taken = tx.find::<UsedIp>(&[("ip_range_uuid", range.to_sql())])?;
    if l3.service_address.is_some_and(|ip| taken.iter().any(|used| used.ip == ip)) {
        l3.service_address = None;
        tx.save(&l3)?;
    }
    Ok(())
}

/// The VMs of a cluster that keep an interface on an L2 network.
fn vms_on(tx: &Tx<'_>, cluster: ClusterUuid, l2: L2NetworkUuid, goes: Goes<'_>) -> Result<Vec<VmUuid>, Failure> {
    let mut vms = BTreeSet::new();
    for l3 in tx.find::<L3Network>(&[("l2_network_uuid", l2.to_sql())])? {
        for nic in tx.find::<VmNic>(&[("l3_network_uuid", l3.uuid.to_sql())])? {
            let stays = !goes(&RowKey::new("VmNic", [nic.uuid.to_string()]));
            if stays && tx.get::<VmInstance>(nic.vm_instance_uuid)?.is_some_and(|vm| vm.cluster_uuid == Some(cluster)) {
                vms.insert(nic.vm_instance_uuid);
            }
        }
    }
    Ok(vms.into_iter().collect())
}

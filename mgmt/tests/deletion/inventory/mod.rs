//! Random inventories, put straight into the store, and what their hosts have of them.

mod networks;
mod owners;
mod shape;
mod storage;
mod vms;

use std::collections::BTreeSet;

use gantry_common::id::*;
use gantry_mgmt::{
    clock::Timestamp,
    failure::Failure,
    resource::*,
    store::{StorageRules, Tx},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    double::{Thing, facts},
    hosts::{MACHINES, address},
};
pub use shape::{Shape, VmShape, any_shape};
use storage::{NewVolume, PlacedStorage};
use vms::Setting;

/// A call that deletes or detaches something.
#[derive(Debug, Clone)]
pub struct Target {
    pub api: &'static str,
    pub parameters: Vec<(&'static str, String)>,
    pub row: (&'static str, Vec<String>),
}

const GIB: u64 = 1 << 30;

pub const RULES: StorageRules = StorageRules { reserved_bytes: 0, overcommit: 1.0 };

/// What was put into the store.
#[derive(Debug, Default)]
pub struct Built {
    pub targets: Vec<Target>,
    pub things: Vec<BTreeSet<Thing>>,
    ids: u128,
}

impl Built {
    /// The same ids for the same shape.
    fn id<T: From<Uuid>>(&mut self) -> T {
        self.ids += 1;
        T::from(Uuid::from_u128(0xd << 120 | self.ids))
    }

    fn target(&mut self, api: &'static str, resource: &'static str, uuid: impl ToString) {
        let uuid = uuid.to_string();
        self.targets.push(Target { api, parameters: vec![("uuid", uuid.clone())], row: (resource, vec![uuid]) });
    }

    fn attachment(&mut self, api: &'static str, link: &'static str, ends: [(&'static str, String); 2]) {
        let key = ends.iter().map(|(_, uuid)| uuid.clone()).collect();
        self.targets.push(Target { api, parameters: ends.to_vec(), row: (link, key) });
    }
}

/// A host, and the number of its machine.
#[derive(Debug, Clone, Copy)]
struct Place {
    machine: usize,
    host: HostUuid,
    cluster: ClusterUuid,
    zone: ZoneUuid,
    away: bool,
}

/// What networks, storages and VMs are put on.
struct Ground {
    zones: Vec<ZoneUuid>,
    clusters: Vec<(ClusterUuid, ZoneUuid)>,
    hosts: Vec<Place>,
    now: Timestamp,
}

impl Ground {
    fn zone(&self, index: usize) -> ZoneUuid {
        self.zones[index % self.zones.len()]
    }

    /// The clusters of the zone among those that the bits choose.
    fn clusters_in(&self, zone: ZoneUuid, bits: u8) -> Vec<ClusterUuid> {
        chosen(&self.clusters, bits).filter(|(_, of)| *of == zone).map(|(cluster, _)| *cluster).collect()
    }

    fn hosts_on(&self, clusters: &[ClusterUuid]) -> impl Iterator<Item = &Place> {
        self.hosts.iter().filter(|host| clusters.contains(&host.cluster))
    }

    /// A host, and a storage that its cluster is on.
    fn place(&self, storages: &[PlacedStorage], host: usize, storage: usize) -> Option<(Place, PrimaryStorageUuid)> {
        let at = pick(&self.hosts, host)?;
        let usable: Vec<PrimaryStorageUuid> =
            storages.iter().filter(|(_, on)| on.contains(&at.cluster)).map(|(uuid, _)| *uuid).collect();
        Some((at, pick(&usable, storage)?))
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn pick<T: Clone>(from: &[T], index: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[index % from.len()].clone())
}

/// Those whose bits are set.
fn chosen<T>(from: &[T], bits: u8) -> impl Iterator<Item = &T> {
    from.iter().enumerate().filter(move |(at, _)| bits >> at & 1 == 1).map(|(_, chosen)| chosen)
}

/// Puts the inventory into the store. Machines that are away never were there; the ports are those of the agents.
pub fn build(
    tx: &Tx<'_>,
    shape: &Shape,
    machines: &[HostUuid],
    ports: &[u16],
    away: &[bool],
) -> Result<Built, Failure> {
    let mut built = Built { things: vec![BTreeSet::from([Thing::Agent]); MACHINES], ..Built::default() };
    let now = Timestamp::now();
    for (index, uuid) in machines.iter().enumerate() {
        tx.insert(&Machine {
            uuid: *uuid,
            address: address(index),
            port: if away[index] { 1 } else { ports[index] },
            host_key: None,
            status: if away[index] { ConnectionStatus::Disconnected } else { ConnectionStatus::Connected },
            status_reason: None,
            facts: Some(json!(facts())),
            foreign_domains: json!([]),
            create_date: now,
        })?;
    }
    let mut ground = Ground { zones: Vec::new(), clusters: Vec::new(), hosts: Vec::new(), now };
    for _ in 0..shape.zones {
        let uuid = built.id();
        tx.insert(&Zone {
            uuid,
            name: text("zone"),
            description: None,
            state: AdminState::Enabled,
            kind: text("zstack"),
            create_date: now,
            last_op_date: now,
        })?;
        ground.zones.push(uuid);
        built.target("DeleteZone", "Zone", uuid);
    }
    for zone in &shape.clusters {
        let (uuid, zone_uuid) = (built.id(), ground.zone(*zone));
        tx.insert(&Cluster {
            uuid,
            name: text("cluster"),
            description: None,
            state: AdminState::Enabled,
            hypervisor_type: text("KVM"),
            zone_uuid,
            kind: text("zstack"),
            create_date: now,
            last_op_date: now,
        })?;
        ground.clusters.push((uuid, zone_uuid));
        built.target("DeleteCluster", "Cluster", uuid);
    }
    for (index, cluster) in shape.hosts.iter().enumerate() {
        let Some((cluster, zone)) = pick(&ground.clusters, *cluster) else { continue };
        let place = Place { machine: index, host: machines[index], cluster, zone, away: away[index] };
        tx.insert(&host(place, now))?;
        tx.set_host_totals(place.host, 100, 100 * GIB)?;
        ground.hosts.push(place);
        built.target("DeleteHost", "Host", place.host);
    }
    let nets = networks::put(tx, &mut built, shape, &ground)?;
    let storages = storage::put(tx, &mut built, shape, &ground)?;
    let images = storage::put_images(tx, &mut built, shape, &ground, machines)?;
    let offering: InstanceOfferingUuid = built.id();
    tx.insert(&InstanceOffering {
        uuid: offering,
        name: text("offering"),
        description: None,
        cpu_num: 1,
        cpu_speed: 0,
        memory_size: GIB,
        kind: text("UserVm"),
        allocator_strategy: text("LeastVmPreferredHostAllocatorStrategy"),
        sort_key: 0,
        state: AdminState::Enabled,
        create_date: now,
        last_op_date: now,
    })?;
    built.target("DeleteInstanceOffering", "InstanceOffering", offering);
    for draft in &shape.vms {
        let Some((at, storage)) = ground.place(&storages, draft.host, draft.storage) else { continue };
        let image = pick(&images, draft.host).unwrap_or_else(|| built.id());
        vms::put(tx, &mut built, draft, &Setting { at, storage, image, offering, nets: &nets, now })?;
    }
    for (host, storage) in &shape.volumes {
        let Some((at, storage)) = ground.place(&storages, *host, *storage) else { continue };
        let uuid = built.id();
        storage::put_volume(tx, &mut built, NewVolume { uuid, storage, at, vm: None, now })?;
    }
    owners::put_group(tx, &mut built, &ground)?;
    owners::put_accounts(tx, &mut built, shape, &ground)?;
    Ok(built)
}

fn host(place: Place, now: Timestamp) -> Host {
    Host {
        uuid: place.host,
        zone_uuid: place.zone,
        name: format!("host {}", place.machine),
        cluster_uuid: place.cluster,
        description: None,
        management_ip: address(place.machine),
        hypervisor_type: text("KVM"),
        state: AdminState::Enabled,
        status: if place.away { ConnectionStatus::Disconnected } else { ConnectionStatus::Connected },
        total_cpu_capacity: 0,
        available_cpu_capacity: 0,
        cpu_sockets: 1,
        total_memory_capacity: 0,
        available_memory_capacity: 0,
        cpu_num: 2,
        username: text("root"),
        ssh_port: 22,
        create_date: now,
        last_op_date: now,
    }
}

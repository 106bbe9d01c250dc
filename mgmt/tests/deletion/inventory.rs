//! Random inventories, put straight into the store, and what their hosts have of them.

use std::{collections::BTreeSet, net::Ipv4Addr};

use gantry_common::id::*;
use gantry_mgmt::{
    clock::Timestamp,
    failure::Failure,
    resource::*,
    store::{StorageRules, Tx},
};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::{
    double::{Thing, facts},
    hosts::{MACHINES, address},
};

/// What an inventory consists of. Numbers pick from what there is, bits choose several of it.
#[derive(Debug, Clone)]
pub struct Shape {
    pub zones: usize,
    pub clusters: Vec<usize>,
    pub hosts: Vec<usize>,
    /// Zone, and clusters it is attached to.
    pub l2s: Vec<(usize, u8)>,
    /// L2 network, and whether it has services.
    pub l3s: Vec<(usize, bool)>,
    pub ranges: Vec<usize>,
    pub storages: Vec<(usize, u8)>,
    /// Machine, and zones it is attached to.
    pub stores: Vec<(usize, u8)>,
    pub images: Vec<u8>,
    pub vms: Vec<VmShape>,
    /// Host and storage of volumes that no VM has.
    pub volumes: Vec<(usize, usize)>,
}

#[derive(Debug, Clone)]
pub struct VmShape {
    pub host: usize,
    pub storage: usize,
    pub state: usize,
    pub nics: Vec<usize>,
    pub data: usize,
}

fn any_vm() -> impl Strategy<Value = VmShape> {
    (0..3_usize, 0..3_usize, 0..5_usize, prop::collection::vec(0..4_usize, 0..3), 0..3_usize)
        .prop_map(|(host, storage, state, nics, data)| VmShape { host, storage, state, nics, data })
}

/// Most of the bits are set.
fn most() -> impl Strategy<Value = u8> {
    (any::<u8>(), any::<u8>()).prop_map(|(one, other)| one | other)
}

pub fn any_shape() -> impl Strategy<Value = Shape> {
    let several = |least, most| prop::collection::vec(0..8_usize, least..=most);
    let attached = |least, up_to| prop::collection::vec((0..8_usize, most()), least..=up_to);
    (
        (1..=2_usize, several(1, 3), several(0, MACHINES), attached(0, 3)),
        (prop::collection::vec((0..8_usize, any::<bool>()), 0..=4), several(0, 6), attached(0, 3), attached(0, 2)),
        (prop::collection::vec(most(), 0..=3), prop::collection::vec(any_vm(), 0..=8)),
        several(0, 3).prop_flat_map(|hosts| {
            let count = hosts.len();
            (Just(hosts), prop::collection::vec(0..8_usize, count))
                .prop_map(|(hosts, storages)| hosts.into_iter().zip(storages).collect::<Vec<_>>())
        }),
    )
        .prop_map(|((zones, clusters, hosts, l2s), (l3s, ranges, storages, stores), (images, vms), volumes)| {
            Shape { zones, clusters, hosts, l2s, l3s, ranges, storages, stores, images, vms, volumes }
        })
}

/// A call that deletes or detaches something.
#[derive(Debug, Clone)]
pub struct Target {
    pub api: &'static str,
    pub parameters: Vec<(&'static str, String)>,
    pub row: (&'static str, Vec<String>),
}

/// What was put into the store.
#[derive(Debug, Default)]
pub struct Built {
    pub targets: Vec<Target>,
    pub things: Vec<BTreeSet<Thing>>,
    ids: u128,
}

const GIB: u64 = 1 << 30;

pub const RULES: StorageRules = StorageRules { reserved_bytes: 0, overcommit: 1.0 };

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

fn text(text: &str) -> String {
    text.to_owned()
}

fn pick<T: Clone>(from: &[T], index: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[index % from.len()].clone())
}

struct Nets {
    l2s: Vec<(L2NetworkUuid, ZoneUuid, Vec<ClusterUuid>)>,
    l3s: Vec<(L3NetworkUuid, L2NetworkUuid)>,
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
    let mut zones: Vec<ZoneUuid> = Vec::new();
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
        zones.push(uuid);
        built.target("DeleteZone", "Zone", uuid);
    }
    let mut clusters: Vec<(ClusterUuid, ZoneUuid)> = Vec::new();
    for zone in &shape.clusters {
        let (uuid, zone_uuid) = (built.id(), zones[zone % zones.len()]);
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
        clusters.push((uuid, zone_uuid));
        built.target("DeleteCluster", "Cluster", uuid);
    }
    let mut hosts: Vec<(usize, HostUuid, ClusterUuid, ZoneUuid)> = Vec::new();
    for (index, cluster) in shape.hosts.iter().enumerate() {
        let Some((cluster_uuid, zone_uuid)) = pick(&clusters, *cluster) else { continue };
        let uuid = machines[index];
        tx.insert(&host(uuid, index, cluster_uuid, zone_uuid, away[index], now))?;
        tx.set_host_totals(uuid, 100, 100 * GIB)?;
        hosts.push((index, uuid, cluster_uuid, zone_uuid));
        built.target("DeleteHost", "Host", uuid);
    }
    let nets = networks(tx, &mut built, shape, &zones, &clusters, &hosts, now)?;
    let storages = storages(tx, &mut built, shape, &zones, &clusters, &hosts, now)?;
    let images = images(tx, &mut built, shape, &zones, machines, now)?;
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
        let Some(at) = pick(&hosts, draft.host) else { continue };
        // Storages that its cluster is on.
        let usable: Vec<PrimaryStorageUuid> =
            storages.iter().filter(|(_, on)| on.contains(&at.2)).map(|(uuid, _)| *uuid).collect();
        let Some(storage) = pick(&usable, draft.storage) else { continue };
        let image = pick(&images, draft.host).unwrap_or_else(|| built.id());
        vm(tx, &mut built, draft, &Vm { at, storage, image, offering, away: away[at.0], nets: &nets, now })?;
    }
    for (host, storage) in &shape.volumes {
        let Some(at) = pick(&hosts, *host) else { continue };
        let usable: Vec<PrimaryStorageUuid> =
            storages.iter().filter(|(_, on)| on.contains(&at.2)).map(|(uuid, _)| *uuid).collect();
        if let Some(storage) = pick(&usable, *storage) {
            volume(tx, &mut built, storage, (at.0, at.1), None, VolumeType::Data, None, now)?;
        }
    }
    Ok(built)
}

fn host(uuid: HostUuid, index: usize, cluster: ClusterUuid, zone: ZoneUuid, away: bool, now: Timestamp) -> Host {
    Host {
        uuid,
        zone_uuid: zone,
        name: format!("host {index}"),
        cluster_uuid: cluster,
        description: None,
        management_ip: address(index),
        hypervisor_type: text("KVM"),
        state: AdminState::Enabled,
        status: if away { ConnectionStatus::Disconnected } else { ConnectionStatus::Connected },
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

type Places = [(usize, HostUuid, ClusterUuid, ZoneUuid)];

fn networks(
    tx: &Tx<'_>,
    built: &mut Built,
    shape: &Shape,
    zones: &[ZoneUuid],
    clusters: &[(ClusterUuid, ZoneUuid)],
    hosts: &Places,
    now: Timestamp,
) -> Result<Nets, Failure> {
    let mut nets = Nets { l2s: Vec::new(), l3s: Vec::new() };
    for (index, (zone, bits)) in shape.l2s.iter().enumerate() {
        let (uuid, zone_uuid) = (built.id(), zones[zone % zones.len()]);
        tx.insert(&L2Network {
            uuid,
            name: text("l2"),
            description: None,
            zone_uuid,
            physical_interface: format!("eth{index}"),
            kind: text("L2NoVlanNetwork"),
            create_date: now,
            last_op_date: now,
        })?;
        built.target("DeleteL2Network", "L2Network", uuid);
        let mut on = Vec::new();
        for (at, (cluster, _)) in clusters.iter().enumerate().filter(|(_, (_, zone))| *zone == zone_uuid) {
            if bits >> at & 1 == 0 {
                continue;
            }
            tx.insert(&L2NetworkClusterRef { l2_network_uuid: uuid, cluster_uuid: *cluster })?;
            let ends = [("l2NetworkUuid", uuid.to_string()), ("clusterUuid", cluster.to_string())];
            built.attachment("DetachL2NetworkFromCluster", "L2NetworkClusterRef", ends);
            on.push(*cluster);
            for (machine, ..) in hosts.iter().filter(|host| host.2 == *cluster) {
                built.things[*machine].insert(Thing::Bridge(uuid));
            }
        }
        nets.l2s.push((uuid, zone_uuid, on));
    }
    let flat = tx.all::<NetworkServiceProvider>()?.remove(0).uuid;
    for (l2, has_services) in &shape.l3s {
        let Some((l2, zone_uuid, on)) = pick(&nets.l2s, *l2) else { continue };
        let uuid: L3NetworkUuid = built.id();
        tx.insert(&L3Network {
            uuid,
            name: text("l3"),
            description: None,
            kind: text("L3BasicNetwork"),
            zone_uuid,
            l2_network_uuid: l2,
            state: AdminState::Enabled,
            dns_domain: None,
            system: false,
            category: text("Private"),
            create_date: now,
            last_op_date: now,
            mtu: None,
            service_address: None,
            router_interface_ip: None,
        })?;
        tx.insert(&L3NetworkDns { l3_network_uuid: uuid, dns: Ipv4Addr::new(8, 8, 8, 8) })?;
        if *has_services {
            tx.insert(&NetworkServiceL3NetworkRef {
                l3_network_uuid: uuid,
                network_service_provider_uuid: flat,
                network_service_type: text("DHCP"),
            })?;
        }
        for (machine, ..) in hosts.iter().filter(|host| *has_services && on.contains(&host.2)) {
            built.things[*machine].insert(Thing::Network(uuid));
        }
        built.target("DeleteL3Network", "L3Network", uuid);
        nets.l3s.push((uuid, l2));
    }
    for (index, l3) in (0_u8..).zip(&shape.ranges) {
        let Some((l3_network_uuid, _)) = pick(&nets.l3s, *l3) else { continue };
        let uuid = built.id();
        tx.insert(&IpRange {
            uuid,
            l3_network_uuid,
            name: text("range"),
            description: None,
            start_ip: Ipv4Addr::new(10, 0, 0, 2 + index * 40),
            end_ip: Ipv4Addr::new(10, 0, 0, 40 + index * 40),
            netmask: Ipv4Addr::new(255, 255, 255, 0),
            gateway: Ipv4Addr::new(10, 0, 0, 1),
            network_cidr: text("10.0.0.0/24"),
            create_date: now,
            last_op_date: now,
        })?;
        built.target("DeleteIpRange", "IpRange", uuid);
    }
    // The services' address, as the first VM would take it.
    for mut l3 in tx.all::<L3Network>()? {
        let services = tx.find::<NetworkServiceL3NetworkRef>(&[("l3_network_uuid", l3.uuid.to_string().into())])?;
        if !services.is_empty() {
            l3.service_address = tx.take_address(l3.uuid, None, "services")?.map(|used| used.ip);
            tx.save(&l3)?;
        }
    }
    Ok(nets)
}

fn storages(
    tx: &Tx<'_>,
    built: &mut Built,
    shape: &Shape,
    zones: &[ZoneUuid],
    clusters: &[(ClusterUuid, ZoneUuid)],
    hosts: &Places,
    now: Timestamp,
) -> Result<Vec<(PrimaryStorageUuid, Vec<ClusterUuid>)>, Failure> {
    let mut storages = Vec::new();
    for (index, (zone, bits)) in shape.storages.iter().enumerate() {
        let (uuid, zone_uuid) = (built.id(), zones[zone % zones.len()]);
        tx.insert(&PrimaryStorage {
            uuid,
            zone_uuid,
            name: text("storage"),
            url: format!("/storage{index}"),
            description: None,
            total_capacity: 0,
            available_capacity: 0,
            total_physical_capacity: 0,
            available_physical_capacity: 0,
            system_used_capacity: 0,
            kind: text("LocalStorage"),
            state: AdminState::Enabled,
            status: ConnectionStatus::Connected,
            mount_path: format!("/storage{index}"),
            create_date: now,
            last_op_date: now,
        })?;
        built.target("DeletePrimaryStorage", "PrimaryStorage", uuid);
        let mut on = Vec::new();
        for (at, (cluster, _)) in clusters.iter().enumerate().filter(|(_, (_, zone))| *zone == zone_uuid) {
            if bits >> at & 1 == 0 {
                continue;
            }
            tx.insert(&PrimaryStorageClusterRef { primary_storage_uuid: uuid, cluster_uuid: *cluster })?;
            let ends = [("primaryStorageUuid", uuid.to_string()), ("clusterUuid", cluster.to_string())];
            built.attachment("DetachPrimaryStorageFromCluster", "PrimaryStorageClusterRef", ends);
            on.push(*cluster);
            for (_, host, ..) in hosts.iter().filter(|host| host.2 == *cluster) {
                tx.observe_local_storage(uuid, *host, 1000 * GIB, 1000 * GIB, RULES)?;
            }
        }
        storages.push((uuid, on));
    }
    Ok(storages)
}

fn images(
    tx: &Tx<'_>,
    built: &mut Built,
    shape: &Shape,
    zones: &[ZoneUuid],
    machines: &[HostUuid],
    now: Timestamp,
) -> Result<Vec<ImageUuid>, Failure> {
    let mut stores: Vec<(BackupStorageUuid, usize)> = Vec::new();
    for (index, (machine, bits)) in shape.stores.iter().enumerate() {
        let (uuid, machine): (BackupStorageUuid, usize) = (built.id(), machine % MACHINES);
        tx.insert(&BackupStorage {
            uuid,
            name: text("images"),
            url: format!("/images{index}"),
            description: None,
            total_capacity: 0,
            available_capacity: 0,
            kind: text("ImageStoreBackupStorage"),
            state: AdminState::Enabled,
            status: ConnectionStatus::Connected,
            hostname: address(machine),
            username: text("root"),
            ssh_port: 22,
            create_date: now,
            last_op_date: now,
            machine_uuid: machines[machine],
        })?;
        built.target("DeleteBackupStorage", "BackupStorage", uuid);
        for (_, zone) in zones.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1) {
            tx.insert(&BackupStorageZoneRef { backup_storage_uuid: uuid, zone_uuid: *zone })?;
            let ends = [("backupStorageUuid", uuid.to_string()), ("zoneUuid", zone.to_string())];
            built.attachment("DetachBackupStorageFromZone", "BackupStorageZoneRef", ends);
        }
        stores.push((uuid, machine));
    }
    let mut images = Vec::new();
    for bits in &shape.images {
        let uuid: ImageUuid = built.id();
        let copies: Vec<_> = stores.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).collect();
        if copies.is_empty() {
            continue;
        }
        tx.insert(&Image {
            uuid,
            name: text("image"),
            description: None,
            state: AdminState::Enabled,
            status: MediaStatus::Ready,
            size: GIB,
            actual_size: GIB,
            md5_sum: None,
            url: text("http://somewhere"),
            media_type: MediaType::RootVolumeTemplate,
            guest_os_type: None,
            kind: text("zstack"),
            platform: GuestPlatform::Linux,
            format: text("qcow2"),
            system: false,
            create_date: now,
            last_op_date: now,
            export_url: None,
            export_md5_sum: None,
        })?;
        for (at, (store, machine)) in copies {
            let path = format!("/images{at}/{uuid}");
            tx.insert(&ImageBackupStorageRef {
                image_uuid: uuid,
                backup_storage_uuid: *store,
                install_path: path.clone(),
                status: MediaStatus::Ready,
                create_date: now,
                last_op_date: now,
                export_url: None,
            })?;
            built.things[*machine].insert(Thing::File(path));
        }
        images.push(uuid);
    }
    Ok(images)
}

struct Vm<'a> {
    at: (usize, HostUuid, ClusterUuid, ZoneUuid),
    storage: PrimaryStorageUuid,
    image: ImageUuid,
    offering: InstanceOfferingUuid,
    away: bool,
    nets: &'a Nets,
    now: Timestamp,
}

fn vm(tx: &Tx<'_>, built: &mut Built, draft: &VmShape, place: &Vm<'_>) -> Result<(), Failure> {
    let (machine, host, cluster, zone) = place.at;
    let uuid: VmUuid = built.id();
    let state = match draft.state {
        0 => VmInstanceState::Stopped,
        1 => VmInstanceState::Destroyed,
        _ if place.away => VmInstanceState::Unknown,
        _ => VmInstanceState::Running,
    };
    let runs = draft.state > 1;
    let root: VolumeUuid = built.id();
    let mut vm = VmInstance {
        uuid,
        name: text("vm"),
        description: None,
        zone_uuid: Some(zone),
        cluster_uuid: Some(cluster),
        image_uuid: place.image,
        host_uuid: runs.then_some(host),
        last_host_uuid: (!runs).then_some(host),
        instance_offering_uuid: place.offering,
        root_volume_uuid: Some(root),
        platform: GuestPlatform::Linux,
        default_l3_network_uuid: None,
        kind: text("UserVm"),
        hypervisor_type: text("KVM"),
        memory_size: 1 << 20,
        cpu_num: 1,
        cpu_speed: 0,
        allocator_strategy: text("LeastVmPreferredHostAllocatorStrategy"),
        create_date: place.now,
        last_op_date: place.now,
        state,
    };
    tx.insert(&vm)?;
    if runs {
        assert!(tx.allocate_host(host, uuid, 1, 1 << 20)?);
        built.things[machine].insert(Thing::Domain(uuid));
    }
    let mut taken = BTreeSet::new();
    for (device_id, wanted) in (0_u32..).zip(&draft.nics) {
        let reachable: Vec<L3NetworkUuid> = place
            .nets
            .l3s
            .iter()
            .filter(|(_, l2)| place.nets.l2s.iter().any(|(known, _, on)| known == l2 && on.contains(&cluster)))
            .map(|(l3, _)| *l3)
            .collect();
        let Some(l3) = pick(&reachable, *wanted).filter(|l3| taken.insert(*l3)) else { continue };
        let Some(used) = tx.take_address(l3, None, "a VM")? else { continue };
        vm.default_l3_network_uuid.get_or_insert(l3);
        let nic: NicUuid = built.id();
        tx.insert(&VmNic {
            uuid: nic,
            vm_instance_uuid: uuid,
            l3_network_uuid: l3,
            ip: used.ip,
            mac: format!("fa:00:00:00:{:02x}:{:02x}", built.ids >> 8 & 0xff, built.ids & 0xff).parse().unwrap(),
            netmask: used.netmask,
            gateway: used.gateway,
            meta_data: None,
            device_id,
            internal_name: format!("vnic{}", &nic.to_string()[21..]),
            used_ip_uuid: used.uuid,
            create_date: place.now,
            last_op_date: place.now,
        })?;
    }
    tx.save(&vm)?;
    let on = (machine, host);
    volume(tx, built, place.storage, on, Some((uuid, 0)), VolumeType::Root, Some(root), place.now)?;
    for device_id in 1..=draft.data as u32 {
        volume(tx, built, place.storage, on, Some((uuid, device_id)), VolumeType::Data, None, place.now)?;
    }
    let cached = format!("/cache/{}/{}", place.storage, place.image);
    tx.note_cached(place.image, place.storage, host, &cached, GIB)?;
    built.things[machine].insert(Thing::File(cached));
    Ok(())
}

#[allow(clippy::too_many_arguments)]
fn volume(
    tx: &Tx<'_>,
    built: &mut Built,
    storage: PrimaryStorageUuid,
    (machine, host): (usize, HostUuid),
    vm: Option<(VmUuid, u32)>,
    kind: VolumeType,
    uuid: Option<VolumeUuid>,
    now: Timestamp,
) -> Result<(), Failure> {
    let uuid = uuid.unwrap_or_else(|| built.id());
    let path = format!("/volumes/{uuid}");
    assert!(tx.allocate_storage(storage, host, &uuid.to_string(), GIB)?);
    tx.insert(&Volume {
        uuid,
        name: text("volume"),
        description: None,
        primary_storage_uuid: Some(storage),
        vm_instance_uuid: vm.map(|(vm, _)| vm),
        disk_offering_uuid: None,
        root_image_uuid: None,
        install_path: Some(path.clone()),
        kind,
        format: text("qcow2"),
        size: GIB,
        actual_size: Some(GIB),
        device_id: vm.map(|(_, device_id)| device_id),
        state: AdminState::Enabled,
        status: MediaStatus::Ready,
        create_date: now,
        last_op_date: now,
        is_shareable: false,
        host_uuid: Some(host),
    })?;
    built.things[machine].insert(Thing::File(path));
    Ok(())
}

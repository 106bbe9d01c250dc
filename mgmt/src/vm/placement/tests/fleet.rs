//! A random fleet, and a demand on it.

use std::collections::HashSet;

use gantry_common::{
    cpu_set::CpuSet,
    id::{
        BackupStorageUuid, ClusterUuid, HostUuid, ImageUuid, L2NetworkUuid, PrimaryStorageUuid, TagUuid, VmUuid,
        ZoneUuid,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::{
    clock::Timestamp,
    resource::{
        AdminState, AffinityPolicy, BackupStorage, BackupStorageZoneRef, Cluster, ConnectionStatus, GuestPlatform,
        Host, Image, ImageBackupStorageRef, L2NetworkClusterRef, MediaStatus, MediaType, PrimaryStorage,
        PrimaryStorageClusterRef, UserTag, VmInstance, VmInstanceState, Zone,
    },
    store::{StorageRules, Tx},
    vm::{Affinity, Choice, Demand, Neighbour, StorageRule, Strategy as HostStrategy, Target, VolumeDemand},
};

const NOW: Timestamp = Timestamp::from_millis(0);
pub const IMAGE_BYTES: u64 = 5;
pub const ZONES: usize = 2;
pub const CLUSTERS: usize = 3;
pub const STORAGES: usize = 2;
pub const L2_NETWORKS: usize = 2;

#[derive(Debug, Clone)]
pub struct HostCase {
    pub cluster: usize,
    pub enabled: bool,
    pub connected: bool,
    pub cpu: (u64, u64),
    /// How many processors it has.
    pub cpu_num: u32,
    pub memory: (u64, u64),
    pub vms: u64,
    /// What each storage has left there, and whether it holds the image there.
    pub room: [Option<(u64, bool)>; STORAGES],
}

#[derive(Debug, Clone)]
pub struct ClusterCase {
    pub zone: usize,
    pub enabled: bool,
    pub l2: [bool; L2_NETWORKS],
    pub storages: [bool; STORAGES],
}

#[derive(Debug, Clone)]
pub struct VolumeCase {
    pub bytes: u64,
    pub only: Option<usize>,
    pub tagged: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum TargetCase {
    Anywhere,
    Zone(usize),
    Cluster(usize),
    Host(usize),
}

#[derive(Debug, Clone)]
pub struct Case {
    pub zones: [bool; ZONES],
    pub clusters: Vec<ClusterCase>,
    pub hosts: Vec<HostCase>,
    /// Whether each storage is enabled and has the user tag.
    pub storages: [(bool, bool); STORAGES],
    /// The zones whose hosts get the image, while its backup storage is connected.
    pub image_in: [bool; ZONES],
    pub image_connected: bool,
    pub cpu_num: u32,
    /// The processor of the host that it is pinned to.
    pub pinned_to: Option<u32>,
    pub memory_bytes: u64,
    pub runs: bool,
    pub l2: [bool; L2_NETWORKS],
    pub volumes: Vec<VolumeCase>,
    pub target: TargetCase,
    pub strategy: HostStrategy,
    pub strict: bool,
    pub max_vms: Option<u64>,
    pub last_host: Option<usize>,
    /// The group's other VMs: where each is.
    pub affinity: Option<(AffinityPolicy, Vec<Option<usize>>)>,
}

/// The ids that a recorded case has.
pub struct Placed {
    pub zones: Vec<ZoneUuid>,
    pub clusters: Vec<ClusterUuid>,
    pub hosts: Vec<HostUuid>,
    pub storages: Vec<PrimaryStorageUuid>,
    pub l2: Vec<L2NetworkUuid>,
    image: Image,
}

fn mostly() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.85)
}

fn any_host() -> impl Strategy<Value = HostCase> {
    let left = || (0..8u64, 0..8u64).prop_map(|(left, taken)| (left, left + taken));
    let room = || option::weighted(0.8, (0..60u64, any::<bool>()));
    (0..CLUSTERS, mostly(), mostly(), left(), 1..5u32, left(), 0..4u64, [room(), room()]).prop_map(
        |(cluster, enabled, connected, cpu, cpu_num, memory, vms, room)| HostCase {
            cluster,
            enabled,
            connected,
            cpu,
            cpu_num,
            memory,
            vms,
            room,
        },
    )
}

fn any_cluster() -> impl Strategy<Value = ClusterCase> {
    (0..ZONES, mostly(), [mostly(), mostly()], [mostly(), mostly()])
        .prop_map(|(zone, enabled, l2, storages)| ClusterCase { zone, enabled, l2, storages })
}

fn any_volume() -> impl Strategy<Value = VolumeCase> {
    (1..30u64, option::weighted(0.2, 0..STORAGES), prop::bool::weighted(0.2))
        .prop_map(|(bytes, only, tagged)| VolumeCase { bytes, only, tagged })
}

pub fn any_case() -> impl Strategy<Value = Case> {
    let fleet = (
        [mostly(), mostly()],
        vec(any_cluster(), CLUSTERS),
        vec(any_host(), 1..7),
        [(mostly(), any::<bool>()), (mostly(), any::<bool>())],
        [mostly(), mostly()],
        mostly(),
    );
    let strategies: Vec<HostStrategy> = HostStrategy::NAMES.iter().map(|(_, strategy)| *strategy).collect();
    let demand = (
        (
            1..6u32,
            option::weighted(0.2, 0..5u32),
            1..6u64,
            mostly(),
            [prop::bool::weighted(0.3), prop::bool::weighted(0.3)],
            vec(any_volume(), 0..4),
        ),
        (0..5usize, any::<prop::sample::Index>()),
        (
            select(strategies),
            prop::bool::weighted(0.3),
            option::weighted(0.3, 1..5u64),
            option::of(any::<prop::sample::Index>()),
        ),
        option::of((select(AffinityPolicy::ALL), vec(option::weighted(0.8, any::<prop::sample::Index>()), 0..4))),
    );
    (fleet, demand).prop_map(|(fleet, demand)| {
        let (zones, clusters, hosts, storages, image_in, image_connected) = fleet;
        let ((cpu_num, pinned_to, memory_bytes, runs, l2, volumes), target, choice, affinity) = demand;
        let target = match target {
            (0, at) => TargetCase::Zone(at.index(ZONES)),
            (1, at) => TargetCase::Cluster(at.index(CLUSTERS)),
            (2, at) => TargetCase::Host(at.index(hosts.len())),
            _ => TargetCase::Anywhere,
        };
        let (strategy, strict, max_vms, last_host) = choice;
        let at = |index: prop::sample::Index| index.index(hosts.len());
        let affinity =
            affinity.map(|(policy, others)| (policy, others.into_iter().map(|other| other.map(at)).collect()));
        let last_host = last_host.map(at);
        Case {
            zones,
            clusters,
            storages,
            image_in,
            image_connected,
            cpu_num,
            pinned_to,
            memory_bytes,
            runs,
            l2,
            volumes,
            target,
            strategy,
            strict,
            max_vms,
            last_host,
            affinity,
            hosts,
        }
    })
}

/// A group with one VM on each of the hosts.
pub fn affinity(policy: AffinityPolicy, on: &[HostUuid]) -> Affinity {
    let neighbour = |(number, host): (usize, &HostUuid)| Neighbour {
        uuid: VmUuid::random(),
        name: format!("vm-{number}"),
        on: Some(*host),
        home: Some(*host),
    };
    Affinity { group: "apart".to_owned(), policy, others: on.iter().enumerate().map(neighbour).collect() }
}

impl Case {
    /// So many equal hosts with room for everything, and a VM without volumes.
    pub fn plain(hosts: usize) -> Self {
        let host = HostCase {
            cluster: 0,
            enabled: true,
            connected: true,
            cpu: (8, 8),
            cpu_num: 4,
            memory: (8, 8),
            vms: 0,
            room: [Some((60, false)); STORAGES],
        };
        let cluster = ClusterCase { zone: 0, enabled: true, l2: [true; L2_NETWORKS], storages: [true; STORAGES] };
        Self {
            zones: [true; ZONES],
            clusters: vec![cluster; CLUSTERS],
            hosts: vec![host; hosts],
            storages: [(true, false); STORAGES],
            image_in: [true; ZONES],
            image_connected: true,
            cpu_num: 1,
            pinned_to: None,
            memory_bytes: 1,
            runs: true,
            l2: [false; L2_NETWORKS],
            volumes: Vec::new(),
            target: TargetCase::Anywhere,
            strategy: HostStrategy::LeastVm,
            strict: false,
            max_vms: None,
            last_host: None,
            affinity: None,
        }
    }

    /// How many of the group's VMs are on a host, and how many that are off have their disks there: here none.
    pub fn crowd(&self, host: usize) -> (usize, usize) {
        let others = self.affinity.as_ref().map(|(_, others)| others);
        (others.map_or(0, |others| others.iter().filter(|other| **other == Some(host)).count()), 0)
    }

    pub fn demand(&self, placed: &Placed) -> Demand {
        let volume = |volume: &VolumeCase| VolumeDemand {
            bytes: volume.bytes,
            rule: StorageRule {
                only: volume.only.map(|storage| (placed.storages[storage], "the test")).into_iter().collect(),
                required_tags: volume.tagged.then(|| "ssd".to_owned()).into_iter().collect(),
                ..StorageRule::default()
            },
        };
        let wanted: HashSet<_> =
            placed.l2.iter().zip(self.l2).filter(|(_, wanted)| *wanted).map(|(l2, _)| *l2).collect();
        Demand {
            cpu_num: self.cpu_num,
            pinned_to: self.pinned_to.map_or_else(CpuSet::default, |cpu| cpu.to_string().parse().unwrap()),
            memory_bytes: self.memory_bytes,
            runs: self.runs,
            l2_networks: wanted,
            volumes: self.volumes.iter().map(volume).collect(),
            image: Some(placed.image.clone()),
            physical_threshold: 1.0,
            target: match self.target {
                TargetCase::Anywhere => Target::Anywhere,
                TargetCase::Zone(zone) => Target::Zone(placed.zones[zone]),
                TargetCase::Cluster(cluster) => Target::Cluster(placed.clusters[cluster]),
                TargetCase::Host(host) => Target::Host(placed.hosts[host]),
            },
            zone: None,
            home: None,
            last_host: self.last_host.map(|host| placed.hosts[host]),
            choice: Choice { strategy: self.strategy, strict: self.strict, max_vms: self.max_vms },
            affinity: self.affinity.as_ref().map(|(policy, others)| {
                let on: Vec<HostUuid> = others.iter().flatten().map(|host| placed.hosts[*host]).collect();
                affinity(*policy, &on)
            }),
        }
    }

    pub fn record(&self, tx: &Tx<'_>) -> Placed {
        let text = || "x".to_owned();
        let state = |enabled: bool| if enabled { AdminState::Enabled } else { AdminState::Disabled };
        let status = |connected| if connected { ConnectionStatus::Connected } else { ConnectionStatus::Disconnected };
        let image = Image {
            export_md5_sum: None,
            export_url: None,
            uuid: ImageUuid::random(),
            name: "image".to_owned(),
            description: None,
            state: AdminState::Enabled,
            status: MediaStatus::Ready,
            size: 1,
            actual_size: IMAGE_BYTES,
            md5_sum: None,
            url: text(),
            media_type: MediaType::RootVolumeTemplate,
            guest_os_type: None,
            kind: text(),
            platform: GuestPlatform::Linux,
            format: "qcow2".to_owned(),
            system: false,
            create_date: NOW,
            last_op_date: NOW,
        };
        let placed = Placed {
            zones: self.zones.iter().map(|_| ZoneUuid::random()).collect(),
            clusters: self.clusters.iter().map(|_| ClusterUuid::random()).collect(),
            hosts: self.hosts.iter().map(|_| HostUuid::random()).collect(),
            storages: self.storages.iter().map(|_| PrimaryStorageUuid::random()).collect(),
            l2: self.l2.iter().map(|_| L2NetworkUuid::random()).collect(),
            image,
        };
        let backup = BackupStorageUuid::random();
        tx.insert(&BackupStorage {
            uuid: backup,
            name: text(),
            url: text(),
            description: None,
            total_capacity: 0,
            available_capacity: 0,
            kind: text(),
            state: AdminState::Enabled,
            status: status(self.image_connected),
            hostname: text(),
            username: text(),
            ssh_port: 22,
            create_date: NOW,
            last_op_date: NOW,
            machine_uuid: HostUuid::random(),
        })
        .unwrap();
        tx.insert(&ImageBackupStorageRef {
            export_url: None,
            image_uuid: placed.image.uuid,
            backup_storage_uuid: backup,
            install_path: text(),
            status: MediaStatus::Ready,
            create_date: NOW,
            last_op_date: NOW,
        })
        .unwrap();
        for (number, uuid) in placed.zones.iter().enumerate() {
            tx.insert(&Zone {
                uuid: *uuid,
                name: text(),
                description: None,
                state: state(self.zones[number]),
                kind: text(),
                create_date: NOW,
                last_op_date: NOW,
            })
            .unwrap();
            if self.image_in[number] {
                tx.insert(&BackupStorageZoneRef { backup_storage_uuid: backup, zone_uuid: *uuid }).unwrap();
            }
        }
        for (uuid, (enabled, tagged)) in placed.storages.iter().zip(self.storages) {
            tx.insert(&PrimaryStorage {
                uuid: *uuid,
                zone_uuid: placed.zones[0],
                name: text(),
                url: text(),
                description: None,
                total_capacity: 0,
                available_capacity: 0,
                total_physical_capacity: 0,
                available_physical_capacity: 0,
                system_used_capacity: 0,
                kind: "LocalStorage".to_owned(),
                state: state(enabled),
                status: ConnectionStatus::Connected,
                mount_path: text(),
                create_date: NOW,
                last_op_date: NOW,
            })
            .unwrap();
            if tagged {
                tx.insert(&UserTag {
                    uuid: TagUuid::random(),
                    resource_uuid: uuid.to_string(),
                    resource_type: text(),
                    tag: "ssd".to_owned(),
                    kind: text(),
                    create_date: NOW,
                    last_op_date: NOW,
                })
                .unwrap();
            }
        }
        for (uuid, cluster) in placed.clusters.iter().zip(&self.clusters) {
            tx.insert(&Cluster {
                uuid: *uuid,
                name: text(),
                description: None,
                state: state(cluster.enabled),
                hypervisor_type: text(),
                zone_uuid: placed.zones[cluster.zone],
                kind: text(),
                create_date: NOW,
                last_op_date: NOW,
            })
            .unwrap();
            for (l2, _) in placed.l2.iter().zip(cluster.l2).filter(|(_, attached)| *attached) {
                tx.insert(&L2NetworkClusterRef { l2_network_uuid: *l2, cluster_uuid: *uuid }).unwrap();
            }
            for (storage, _) in placed.storages.iter().zip(cluster.storages).filter(|(_, attached)| *attached) {
                tx.insert(&PrimaryStorageClusterRef { primary_storage_uuid: *storage, cluster_uuid: *uuid }).unwrap();
            }
        }
        for (number, host) in self.hosts.iter().enumerate() {
            self.record_host(tx, &placed, number, host);
        }
        placed
    }

    fn record_host(&self, tx: &Tx<'_>, placed: &Placed, number: usize, host: &HostCase) {
        let uuid = placed.hosts[number];
        tx.insert(&Host {
            uuid,
            zone_uuid: placed.zones[self.clusters[host.cluster].zone],
            name: format!("host-{number}"),
            cluster_uuid: placed.clusters[host.cluster],
            description: None,
            management_ip: format!("10.0.0.{number}"),
            hypervisor_type: "KVM".to_owned(),
            state: if host.enabled { AdminState::Enabled } else { AdminState::Disabled },
            status: if host.connected { ConnectionStatus::Connected } else { ConnectionStatus::Disconnected },
            total_cpu_capacity: host.cpu.1,
            available_cpu_capacity: host.cpu.0,
            cpu_sockets: 1,
            total_memory_capacity: host.memory.1,
            available_memory_capacity: host.memory.0,
            cpu_num: host.cpu_num,
            username: "root".to_owned(),
            ssh_port: 22,
            create_date: NOW,
            last_op_date: NOW,
        })
        .unwrap();
        for (storage, room) in placed.storages.iter().zip(host.room) {
            let Some((left, is_cached)) = room else { continue };
            let rules = StorageRules { reserved_bytes: 0, overcommit: 1.0 };
            tx.observe_local_storage(*storage, uuid, 1000, 1000, rules).unwrap();
            // What the image in the cache takes is counted too.
            if is_cached {
                tx.note_cached(placed.image.uuid, *storage, uuid, "x", IMAGE_BYTES).unwrap();
            }
            let taken = 1000 - left - if is_cached { IMAGE_BYTES } else { 0 };
            assert!(tx.allocate_storage(*storage, uuid, "others", taken).unwrap());
        }
        for _ in 0..host.vms {
            tx.insert(&VmInstance {
                uuid: VmUuid::random(),
                name: "other".to_owned(),
                description: None,
                zone_uuid: None,
                cluster_uuid: None,
                image_uuid: placed.image.uuid,
                host_uuid: Some(uuid),
                last_host_uuid: None,
                instance_offering_uuid: gantry_common::id::InstanceOfferingUuid::random(),
                root_volume_uuid: None,
                platform: GuestPlatform::Linux,
                default_l3_network_uuid: None,
                kind: "UserVm".to_owned(),
                hypervisor_type: "KVM".to_owned(),
                memory_size: 1,
                cpu_num: 1,
                cpu_speed: 0,
                allocator_strategy: String::new(),
                create_date: NOW,
                last_op_date: NOW,
                state: VmInstanceState::Running,
            })
            .unwrap();
        }
    }
}

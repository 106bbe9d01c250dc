//! Capacity and addresses: nothing is promised twice.

use std::{collections::HashSet, net::Ipv4Addr};

use gantry_common::id::{
    ClusterUuid, HostUuid, IpRangeUuid, L2NetworkUuid, L3NetworkUuid, PrimaryStorageUuid, UsedIpUuid, VmUuid, ZoneUuid,
};
use proptest::prelude::*;
use rusqlite::Connection;

use crate::{
    clock::Timestamp,
    resource::{
        AdminState, Cluster, ConnectionStatus, Host, IpRange, L2Network, L3Network, Machine, PrimaryStorage, UsedIp,
        Zone,
    },
    store::{StorageRules, Tx, migrations},
};

struct World {
    connection: Connection,
    host: HostUuid,
    storage: PrimaryStorageUuid,
    l3: L3NetworkUuid,
}

const NOW: Timestamp = Timestamp::from_millis(0);

impl World {
    fn new(range: (Ipv4Addr, Ipv4Addr)) -> Self {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", "ON").unwrap();
        migrations::run(&mut connection).unwrap();
        let (zone, cluster, host) = (ZoneUuid::random(), ClusterUuid::random(), HostUuid::random());
        let (storage, l2, l3) = (PrimaryStorageUuid::random(), L2NetworkUuid::random(), L3NetworkUuid::random());
        let world = Self { connection, host, storage, l3 };
        let tx = world.tx();
        let name = || "x".to_owned();
        let (state, status) = (AdminState::Enabled, ConnectionStatus::Connected);
        tx.insert(&Zone {
            uuid: zone,
            name: name(),
            description: None,
            state,
            kind: name(),
            create_date: NOW,
            last_op_date: NOW,
        })
        .unwrap();
        tx.insert(&Cluster {
            uuid: cluster,
            name: name(),
            description: None,
            state,
            hypervisor_type: name(),
            zone_uuid: zone,
            kind: name(),
            create_date: NOW,
            last_op_date: NOW,
        })
        .unwrap();
        tx.insert(&Machine {
            uuid: host,
            address: name(),
            port: 1,
            host_key: None,
            status,
            status_reason: None,
            facts: None,
            foreign_domains: serde_json::json!([]),
            create_date: NOW,
        })
        .unwrap();
        tx.insert(&Host {
            uuid: host,
            zone_uuid: zone,
            name: name(),
            cluster_uuid: cluster,
            description: None,
            management_ip: name(),
            hypervisor_type: name(),
            state,
            status,
            total_cpu_capacity: 0,
            available_cpu_capacity: 0,
            cpu_sockets: 1,
            total_memory_capacity: 0,
            available_memory_capacity: 0,
            cpu_num: 1,
            username: name(),
            ssh_port: 22,
            create_date: NOW,
            last_op_date: NOW,
        })
        .unwrap();
        tx.insert(&PrimaryStorage {
            uuid: storage,
            zone_uuid: zone,
            name: name(),
            url: name(),
            description: None,
            total_capacity: 0,
            available_capacity: 0,
            total_physical_capacity: 0,
            available_physical_capacity: 0,
            system_used_capacity: 0,
            kind: name(),
            state,
            status,
            mount_path: name(),
            create_date: NOW,
            last_op_date: NOW,
        })
        .unwrap();
        tx.insert(&L2Network {
            uuid: l2,
            name: name(),
            description: None,
            zone_uuid: zone,
            physical_interface: name(),
            kind: name(),
            create_date: NOW,
            last_op_date: NOW,
        })
        .unwrap();
        tx.insert(&L3Network {
            uuid: l3,
            name: name(),
            description: None,
            kind: name(),
            zone_uuid: zone,
            l2_network_uuid: l2,
            state,
            dns_domain: None,
            system: false,
            category: name(),
            create_date: NOW,
            last_op_date: NOW,
            mtu: None,
            service_address: None,
            router_interface_ip: None,
        })
        .unwrap();
        tx.insert(&IpRange {
            uuid: IpRangeUuid::random(),
            l3_network_uuid: l3,
            name: name(),
            description: None,
            start_ip: range.0,
            end_ip: range.1,
            netmask: Ipv4Addr::new(255, 255, 255, 0),
            gateway: Ipv4Addr::new(10, 0, 0, 1),
            network_cidr: "10.0.0.0/24".to_owned(),
            create_date: NOW,
            last_op_date: NOW,
        })
        .unwrap();
        world
    }

    fn tx(&self) -> Tx<'_> {
        Tx { connection: &self.connection, account: None }
    }
}

#[derive(Debug, Clone)]
enum Move {
    Allocate(usize, u32, u64),
    Release(usize),
    Resize(u64, u64),
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (0..6usize, 1..5u32, 1..50u64).prop_map(|(vm, cpu, memory)| Move::Allocate(vm, cpu, memory)),
        2 => (0..6usize).prop_map(Move::Release),
        1 => (0..20u64, 0..150u64).prop_map(|(cpu, memory)| Move::Resize(cpu, memory)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_host_is_never_promised_beyond_what_it_had_when_it_was_promised(moves in prop::collection::vec(any_move(), 1..60)) {
        let world = World::new((Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 9)));
        let tx = world.tx();
        let vms: Vec<VmUuid> = (0..6).map(|_| VmUuid::random()).collect();
        let mut promised: [Option<(u64, u64)>; 6] = [None; 6];
        let mut total = (0, 0);
        for step in moves {
            match step {
                Move::Allocate(vm, cpu, memory) => {
                    promised[vm] = None;
                    let sum = |of: fn(&(u64, u64)) -> u64| promised.iter().flatten().map(of).sum::<u64>();
                    let fits = sum(|p| p.0) + u64::from(cpu) <= total.0 && sum(|p| p.1) + memory <= total.1;
                    // After the host came back smaller, everything that is free is counted from nothing.
                    let taken = tx.allocate_host(world.host, vms[vm], cpu, memory).unwrap();
                    prop_assert!(fits || !taken);
                    if taken {
                        promised[vm] = Some((u64::from(cpu), memory));
                    }
                }
                Move::Release(vm) => {
                    tx.release_host(vms[vm]).unwrap();
                    promised[vm] = None;
                }
                Move::Resize(cpu, memory) => {
                    total = (cpu, memory);
                    tx.set_host_totals(world.host, cpu, memory).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_storage_promises_exactly_what_it_has(sizes in prop::collection::vec(1..40u64, 1..20)) {
        let world = World::new((Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 9)));
        let tx = world.tx();
        tx.observe_local_storage(world.storage, world.host, 200, 100, StorageRules { reserved_bytes: 0, overcommit: 1.0 }).unwrap();
        let mut left = 100;
        let mut held = Vec::new();
        for (index, bytes) in sizes.iter().enumerate() {
            let holder = index.to_string();
            let taken = tx.allocate_storage(world.storage, world.host, &holder, *bytes).unwrap();
            prop_assert_eq!(taken, *bytes <= left);
            if taken {
                left -= bytes;
                held.push((holder, *bytes));
            }
            if index % 3 == 2 && let Some((holder, bytes)) = held.pop() {
                tx.release_storage(world.storage, world.host, &holder).unwrap();
                tx.release_storage(world.storage, world.host, &holder).unwrap();
                left += bytes;
            }
            prop_assert_eq!(tx.local_storage(world.storage, world.host).unwrap().unwrap().available_bytes, left);
            prop_assert_eq!(tx.get::<PrimaryStorage>(world.storage).unwrap().unwrap().available_capacity, left);
        }
    }

    #[test]
    fn no_address_is_given_twice_and_the_gateway_never(takes in prop::collection::vec((any::<bool>(), 0..12u8), 1..60)) {
        let world = World::new((Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 8)));
        let tx = world.tx();
        let mut used: Vec<(UsedIpUuid, Ipv4Addr)> = Vec::new();
        for (give_back, number) in takes {
            if give_back {
                if !used.is_empty() {
                    let (uuid, _) = used.swap_remove(usize::from(number) % used.len());
                    tx.release_address(uuid).unwrap();
                }
                continue;
            }
            let wanted = (number > 3).then(|| Ipv4Addr::new(10, 0, 0, number));
            let free = |ip: Ipv4Addr| !used.iter().any(|(_, taken)| *taken == ip);
            let taken = tx.take_address(world.l3, wanted, "test").unwrap();
            match (&taken, wanted) {
                (Some(given), Some(wanted)) => prop_assert_eq!(given.ip, wanted),
                (None, Some(wanted)) => prop_assert!(!free(wanted) || wanted > Ipv4Addr::new(10, 0, 0, 8)),
                (None, None) => prop_assert_eq!(used.len(), 7),
                (Some(_), None) => {}
            }
            if let Some(given) = taken {
                prop_assert!(free(given.ip) && given.ip != Ipv4Addr::new(10, 0, 0, 1));
                used.push((given.uuid, given.ip));
            }
        }
        let distinct: HashSet<Ipv4Addr> = used.iter().map(|(_, ip)| *ip).collect();
        prop_assert_eq!(distinct.len(), used.len());
        prop_assert_eq!(tx.all::<UsedIp>().unwrap().len(), used.len());
    }
}

#[test]
fn releasing_gives_back_exactly_what_was_promised() {
    let world = World::new((Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 9)));
    let tx = world.tx();
    tx.set_host_totals(world.host, 8, 100).unwrap();
    let vm = VmUuid::random();
    assert!(tx.allocate_host(world.host, vm, 2, 60).unwrap());
    assert!(!tx.allocate_host(world.host, VmUuid::random(), 1, 41).unwrap());
    // The same VM again replaces its promise.
    assert!(tx.allocate_host(world.host, vm, 2, 100).unwrap());
    for _ in 0..2 {
        tx.release_host(vm).unwrap();
    }
    let host = tx.get::<Host>(world.host).unwrap().unwrap();
    assert_eq!((host.available_cpu_capacity, host.available_memory_capacity), (8, 100));
}

//! An inventory of many VMs, each with an interface and two volumes.

use std::net::Ipv4Addr;

use gantry_common::id::{
    ClusterUuid, DiskOfferingUuid, HostUuid, ImageUuid, InstanceOfferingUuid, IpRangeUuid, L2NetworkUuid,
    L3NetworkUuid, NicUuid, PrimaryStorageUuid, UsedIpUuid, VmUuid, VolumeUuid, ZoneUuid,
};
use gantry_mgmt::{
    clock::Timestamp,
    resource::{
        AdminState, Cluster, ConnectionStatus, GuestPlatform, Host, Image, InstanceOffering, IpRange, L2Network,
        L3Network, Machine, MediaStatus, MediaType, PrimaryStorage, UsedIp, VmInstance, VmInstanceState, VmNic, Volume,
        VolumeType, Zone,
    },
    store::{Store, StoreError, Tx},
};

/// How many L2 networks there are; VMs stand on them in turn.
pub const L2_NETWORKS: usize = 50;
const CLUSTERS: usize = 10;
const HOSTS: usize = 500;
const MASK: Ipv4Addr = Ipv4Addr::new(255, 0, 0, 0);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const STATE: AdminState = AdminState::Enabled;
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// What all VMs share.
#[derive(Clone)]
struct Site {
    zone: ZoneUuid,
    clusters: Vec<ClusterUuid>,
    hosts: Vec<HostUuid>,
    image: ImageUuid,
    offering: InstanceOfferingUuid,
    storage: PrimaryStorageUuid,
    networks: Vec<(L3NetworkUuid, IpRangeUuid)>,
}

/// The address of a VM.
pub fn address(vm: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(GATEWAY.to_bits() + 1 + vm as u32)
}

/// Puts that many VMs into the store, and what they need.
pub async fn fill(store: &Store, vms: usize) {
    let site = store.write(site).await.unwrap();
    for first in (0..vms).step_by(5_000) {
        let site = site.clone();
        store
            .write(move |tx| (first..vms.min(first + 5_000)).try_for_each(|number| vm(tx, &site, number)))
            .await
            .unwrap();
    }
}

fn site(tx: &Tx<'_>) -> Result<Site, StoreError> {
    let text = || "x".to_owned();
    let (zone, image) = (ZoneUuid::random(), ImageUuid::random());
    let (offering, storage) = (InstanceOfferingUuid::random(), PrimaryStorageUuid::random());
    tx.insert(&Zone {
        uuid: zone,
        name: "zone".to_owned(),
        description: None,
        state: STATE,
        kind: "zstack".to_owned(),
        create_date: NOW,
        last_op_date: NOW,
    })?;
    let clusters: Vec<ClusterUuid> = (0..CLUSTERS).map(|_| ClusterUuid::random()).collect();
    for (number, uuid) in clusters.iter().enumerate() {
        tx.insert(&Cluster {
            uuid: *uuid,
            name: format!("cluster-{number}"),
            description: None,
            state: STATE,
            hypervisor_type: "KVM".to_owned(),
            zone_uuid: zone,
            kind: "zstack".to_owned(),
            create_date: NOW,
            last_op_date: NOW,
        })?;
    }
    let hosts: Vec<HostUuid> = (0..HOSTS).map(|_| HostUuid::random()).collect();
    for (number, uuid) in hosts.iter().enumerate() {
        host(tx, *uuid, number, zone, clusters[number % CLUSTERS])?;
    }
    tx.insert(&Image {
        export_md5_sum: None,
        export_url: None,
        uuid: image,
        name: "image".to_owned(),
        description: None,
        state: STATE,
        status: MediaStatus::Ready,
        size: 1 << 30,
        actual_size: 1 << 30,
        md5_sum: None,
        url: text(),
        media_type: MediaType::RootVolumeTemplate,
        guest_os_type: None,
        kind: "zstack".to_owned(),
        platform: GuestPlatform::Linux,
        format: "qcow2".to_owned(),
        system: false,
        create_date: NOW,
        last_op_date: NOW,
    })?;
    tx.insert(&InstanceOffering {
        uuid: offering,
        name: "offering".to_owned(),
        description: None,
        cpu_num: 2,
        cpu_speed: 0,
        memory_size: 1 << 31,
        kind: "UserVm".to_owned(),
        allocator_strategy: text(),
        sort_key: 0,
        state: STATE,
        create_date: NOW,
        last_op_date: NOW,
    })?;
    tx.insert(&PrimaryStorage {
        uuid: storage,
        zone_uuid: zone,
        name: "local".to_owned(),
        url: "/gantry".to_owned(),
        description: None,
        total_capacity: 1 << 50,
        available_capacity: 1 << 49,
        total_physical_capacity: 1 << 50,
        available_physical_capacity: 1 << 49,
        system_used_capacity: 0,
        kind: "LocalStorage".to_owned(),
        state: STATE,
        status: ConnectionStatus::Connected,
        mount_path: "/gantry".to_owned(),
        create_date: NOW,
        last_op_date: NOW,
    })?;
    let networks = (0..L2_NETWORKS).map(|number| network(tx, number, zone)).collect::<Result<_, _>>()?;
    Ok(Site { zone, clusters, hosts, image, offering, storage, networks })
}

fn host(tx: &Tx<'_>, uuid: HostUuid, number: usize, zone: ZoneUuid, cluster: ClusterUuid) -> Result<(), StoreError> {
    let address = format!("192.168.{}.{}", number / 250, number % 250);
    let status = ConnectionStatus::Disconnected;
    tx.insert(&Machine {
        uuid,
        address: address.clone(),
        port: 1,
        host_key: None,
        status,
        status_reason: None,
        facts: None,
        foreign_domains: serde_json::json!([]),
        create_date: NOW,
    })?;
    tx.insert(&Host {
        uuid,
        zone_uuid: zone,
        name: format!("host-{number}"),
        cluster_uuid: cluster,
        description: None,
        management_ip: address,
        hypervisor_type: "KVM".to_owned(),
        state: STATE,
        status,
        total_cpu_capacity: 1000,
        available_cpu_capacity: 500,
        cpu_sockets: 2,
        total_memory_capacity: 1 << 40,
        available_memory_capacity: 1 << 39,
        cpu_num: 64,
        username: "root".to_owned(),
        ssh_port: 22,
        create_date: NOW,
        last_op_date: NOW,
    })
}

fn network(tx: &Tx<'_>, number: usize, zone: ZoneUuid) -> Result<(L3NetworkUuid, IpRangeUuid), StoreError> {
    let (l2, l3, range) = (L2NetworkUuid::random(), L3NetworkUuid::random(), IpRangeUuid::random());
    tx.insert(&L2Network {
        uuid: l2,
        name: format!("l2-{number}"),
        description: None,
        zone_uuid: zone,
        physical_interface: "eth1".to_owned(),
        kind: "L2NoVlanNetwork".to_owned(),
        create_date: NOW,
        last_op_date: NOW,
    })?;
    tx.insert(&L3Network {
        uuid: l3,
        name: format!("l3-{number}"),
        description: None,
        kind: "L3BasicNetwork".to_owned(),
        zone_uuid: zone,
        l2_network_uuid: l2,
        state: STATE,
        dns_domain: None,
        system: false,
        category: "Private".to_owned(),
        create_date: NOW,
        last_op_date: NOW,
        mtu: None,
        service_address: None,
        router_interface_ip: None,
    })?;
    tx.insert(&IpRange {
        uuid: range,
        l3_network_uuid: l3,
        name: format!("range-{number}"),
        description: None,
        start_ip: address(0),
        end_ip: Ipv4Addr::new(10, 255, 255, 254),
        netmask: MASK,
        gateway: GATEWAY,
        network_cidr: "10.0.0.0/8".to_owned(),
        create_date: NOW,
        last_op_date: NOW,
    })?;
    Ok((l3, range))
}

fn vm(tx: &Tx<'_>, site: &Site, number: usize) -> Result<(), StoreError> {
    let (vm, root) = (VmUuid::random(), VolumeUuid::random());
    let host = site.hosts[number % HOSTS];
    let (l3, range) = site.networks[number % L2_NETWORKS];
    let made = Timestamp::from_millis(NOW.millis() + number as i64 * 1000);
    tx.insert(&VmInstance {
        uuid: vm,
        name: format!("web-{number}"),
        description: Some(format!("the number {number} of many")),
        zone_uuid: Some(site.zone),
        cluster_uuid: Some(site.clusters[number % HOSTS % CLUSTERS]),
        image_uuid: site.image,
        host_uuid: Some(host),
        last_host_uuid: Some(host),
        instance_offering_uuid: site.offering,
        root_volume_uuid: Some(root),
        platform: GuestPlatform::Linux,
        default_l3_network_uuid: Some(l3),
        kind: "UserVm".to_owned(),
        hypervisor_type: "KVM".to_owned(),
        memory_size: 1 << 31,
        cpu_num: 2,
        cpu_speed: 0,
        allocator_strategy: "LeastVmPreferredHostAllocatorStrategy".to_owned(),
        create_date: made,
        last_op_date: made,
        state: if number.is_multiple_of(10) { VmInstanceState::Stopped } else { VmInstanceState::Running },
    })?;
    let (used_ip, ip) = (UsedIpUuid::random(), address(number));
    tx.insert(&UsedIp {
        uuid: used_ip,
        ip_range_uuid: range,
        l3_network_uuid: l3,
        ip,
        netmask: MASK,
        gateway: GATEWAY,
        used_for: None,
        ip_in_long: ip.to_bits(),
        create_date: made,
        last_op_date: made,
    })?;
    tx.insert(&VmNic {
        uuid: NicUuid::random(),
        vm_instance_uuid: vm,
        l3_network_uuid: l3,
        ip,
        mac: format!("52:54:00:{:02x}:{:02x}:{:02x}", number >> 16 & 255, number >> 8 & 255, number & 255)
            .parse()
            .unwrap(),
        netmask: MASK,
        gateway: GATEWAY,
        meta_data: None,
        device_id: 0,
        internal_name: format!("vnic{number}.0"),
        used_ip_uuid: used_ip,
        create_date: made,
        last_op_date: made,
    })?;
    for (device, uuid) in [(0, root), (1, VolumeUuid::random())] {
        tx.insert(&Volume {
            uuid,
            name: format!("volume-{device}-of-web-{number}"),
            description: None,
            primary_storage_uuid: Some(site.storage),
            vm_instance_uuid: Some(vm),
            disk_offering_uuid: None::<DiskOfferingUuid>,
            root_image_uuid: (device == 0).then_some(site.image),
            install_path: Some(format!("/gantry/rootVolumes/acct-admin/vol-{uuid}/{uuid}.qcow2")),
            kind: if device == 0 { VolumeType::Root } else { VolumeType::Data },
            format: "qcow2".to_owned(),
            size: 1 << 34,
            actual_size: Some(1 << 30),
            device_id: Some(device),
            state: STATE,
            status: MediaStatus::Ready,
            create_date: made,
            last_op_date: made,
            is_shareable: false,
            host_uuid: Some(host),
        })?;
    }
    Ok(())
}

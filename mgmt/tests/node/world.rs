//! A zone with a cluster, a host, a network and VMs, put straight into the inventory.

use std::{net::Ipv4Addr, time::Duration};

use gantry_common::id::{
    ClusterUuid, HostUuid, ImageUuid, InstanceOfferingUuid, IpRangeUuid, L2NetworkUuid, L3NetworkUuid, NicUuid,
    PrimaryStorageUuid, VmUuid, ZoneUuid,
};
use gantry_mgmt::{
    clock::Timestamp,
    failure::Failure,
    resource::{
        AdminState, Cluster, ConnectionStatus, GuestPlatform, Host, IpRange, L2Network, L2NetworkClusterRef, L3Network,
        Machine, PrimaryStorage, PrimaryStorageClusterRef, VmInstance, VmInstanceState, VmNic, Zone,
    },
    store::Tx,
};
use serde_json::json;

use super::{api::Api, double::facts};

/// Where everything is. The host has two processors and 1 GiB, as the double says, and is known to have been Connected.
#[derive(Clone, Copy)]
pub struct World {
    pub zone: ZoneUuid,
    pub cluster: ClusterUuid,
    pub host: HostUuid,
    pub l3: L3NetworkUuid,
}

impl World {
    pub async fn with_host(api: &Api, host: HostUuid) -> Self {
        let world =
            Self { zone: ZoneUuid::random(), cluster: ClusterUuid::random(), host, l3: L3NetworkUuid::random() };
        api.node.store.write(move |tx| world.record(tx)).await.unwrap();
        world
    }

    /// Another host in the same cluster, as large as it says when it is asked.
    pub async fn another_host(self, api: &Api, host: HostUuid) {
        let record = move |tx: &Tx<'_>| {
            let machine = tx.get::<Machine>(self.host)?.unwrap();
            tx.insert(&Machine { uuid: host, address: format!("host-{host}"), ..machine })?;
            let like = tx.get::<Host>(self.host)?.unwrap();
            let (name, management_ip) = (format!("host-{host}"), format!("host-{host}"));
            Ok::<_, Failure>(tx.insert(&Host { uuid: host, name, management_ip, ..like })?)
        };
        api.node.store.write(record).await.unwrap();
    }

    /// Lets the cluster's hosts run VMs on the L3 network.
    pub async fn attach_network(self, api: &Api) {
        let attach = move |tx: &Tx<'_>| {
            let l2_network_uuid = tx.get::<L3Network>(self.l3)?.unwrap().l2_network_uuid;
            let link = L2NetworkClusterRef { l2_network_uuid, cluster_uuid: self.cluster };
            Ok::<_, Failure>(tx.insert(&link)?)
        };
        api.node.store.write(attach).await.unwrap();
    }

    /// A local storage with that name and directory, attached to the cluster.
    pub fn put_local_storage(
        self,
        tx: &Tx<'_>,
        uuid: PrimaryStorageUuid,
        (name, url): (&str, &str),
        status: ConnectionStatus,
    ) -> Result<(), Failure> {
        let now = Timestamp::now();
        tx.insert(&PrimaryStorage {
            uuid,
            zone_uuid: self.zone,
            name: name.to_owned(),
            url: url.to_owned(),
            description: None,
            total_capacity: 0,
            available_capacity: 0,
            total_physical_capacity: 0,
            available_physical_capacity: 0,
            system_used_capacity: 0,
            kind: "LocalStorage".to_owned(),
            state: AdminState::Enabled,
            status,
            mount_path: url.to_owned(),
            create_date: now,
            last_op_date: now,
        })?;
        Ok(tx.insert(&PrimaryStorageClusterRef { primary_storage_uuid: uuid, cluster_uuid: self.cluster })?)
    }

    /// A zone with nothing in it.
    pub async fn with_zone(api: &Api) -> ZoneUuid {
        let made = api.post("/zones", json!({ "name": "empty" })).await.unwrap();
        made["inventory"]["uuid"].as_str().unwrap().parse().unwrap()
    }

    fn record(self, tx: &Tx<'_>) -> Result<(), Failure> {
        let now = Timestamp::now();
        let name = |name: &str| name.to_owned();
        tx.insert(&Zone {
            uuid: self.zone,
            name: name("zone"),
            description: None,
            state: AdminState::Enabled,
            kind: name("zstack"),
            create_date: now,
            last_op_date: now,
        })?;
        tx.insert(&Cluster {
            uuid: self.cluster,
            name: name("cluster"),
            description: None,
            state: AdminState::Enabled,
            hypervisor_type: name("KVM"),
            zone_uuid: self.zone,
            kind: name("zstack"),
            create_date: now,
            last_op_date: now,
        })?;
        tx.insert(&Machine {
            uuid: self.host,
            address: name("127.0.0.1"),
            port: 1,
            host_key: None,
            status: ConnectionStatus::Connected,
            status_reason: None,
            facts: Some(json!(facts())),
            foreign_domains: json!([]),
            create_date: now,
        })?;
        tx.insert(&Host {
            uuid: self.host,
            zone_uuid: self.zone,
            name: name("host"),
            cluster_uuid: self.cluster,
            description: None,
            management_ip: name("127.0.0.1"),
            hypervisor_type: name("KVM"),
            state: AdminState::Enabled,
            status: ConnectionStatus::Connected,
            total_cpu_capacity: 0,
            available_cpu_capacity: 0,
            cpu_sockets: 1,
            total_memory_capacity: 0,
            available_memory_capacity: 0,
            cpu_num: 2,
            username: name("root"),
            ssh_port: 22,
            create_date: now,
            last_op_date: now,
        })?;
        let l2 = L2NetworkUuid::random();
        tx.insert(&L2Network {
            uuid: l2,
            name: name("l2"),
            description: None,
            zone_uuid: self.zone,
            physical_interface: name("eth0"),
            kind: name("L2NoVlanNetwork"),
            create_date: now,
            last_op_date: now,
        })?;
        tx.insert(&L3Network {
            uuid: self.l3,
            name: name("l3"),
            description: None,
            kind: name("L3BasicNetwork"),
            zone_uuid: self.zone,
            l2_network_uuid: l2,
            state: AdminState::Enabled,
            dns_domain: None,
            system: false,
            category: name("Private"),
            create_date: now,
            last_op_date: now,
            mtu: None,
            service_address: None,
            router_interface_ip: None,
        })?;
        tx.insert(&IpRange {
            uuid: IpRangeUuid::random(),
            l3_network_uuid: self.l3,
            name: name("range"),
            description: None,
            start_ip: Ipv4Addr::new(10, 0, 0, 2),
            end_ip: Ipv4Addr::new(10, 0, 0, 9),
            netmask: Ipv4Addr::new(255, 255, 255, 0),
            gateway: Ipv4Addr::new(10, 0, 0, 1),
            network_cidr: name("10.0.0.0/24"),
            create_date: now,
            last_op_date: now,
        })?;
        Ok(())
    }

    /// A VM without volumes, on the L3 network, that came into its state that long ago.
    pub async fn vm(self, api: &Api, state: VmInstanceState, age: Duration) -> VmUuid {
        let uuid = VmUuid::random();
        let since = Timestamp::now().minus(age);
        let vm = VmInstance {
            uuid,
            name: "vm".to_owned(),
            description: None,
            zone_uuid: Some(self.zone),
            cluster_uuid: Some(self.cluster),
            image_uuid: ImageUuid::random(),
            host_uuid: None,
            last_host_uuid: None,
            instance_offering_uuid: InstanceOfferingUuid::random(),
            root_volume_uuid: None,
            platform: GuestPlatform::Linux,
            default_l3_network_uuid: Some(self.l3),
            kind: "UserVm".to_owned(),
            hypervisor_type: "KVM".to_owned(),
            memory_size: 1 << 20,
            cpu_num: 1,
            cpu_speed: 0,
            allocator_strategy: "LeastVmPreferredHostAllocatorStrategy".to_owned(),
            create_date: since,
            last_op_date: since,
            state,
        };
        api.node
            .store
            .write(move |tx| {
                tx.insert(&vm)?;
                let used = tx.take_address(self.l3, None, "test")?.unwrap();
                tx.insert(&VmNic {
                    uuid: NicUuid::random(),
                    vm_instance_uuid: uuid,
                    l3_network_uuid: self.l3,
                    ip: used.ip,
                    mac: format!("fa:00:00:00:00:{:02x}", used.ip.octets()[3]).parse().unwrap(),
                    netmask: used.netmask,
                    gateway: used.gateway,
                    meta_data: None,
                    device_id: 0,
                    internal_name: "vnic".to_owned(),
                    used_ip_uuid: used.uuid,
                    create_date: since,
                    last_op_date: since,
                })?;
                Ok::<_, Failure>(())
            })
            .await
            .unwrap();
        uuid
    }
}

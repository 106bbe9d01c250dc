//! L2 and L3 networks, their ranges, addresses and services.

use std::net::Ipv4Addr;

use gantry_common::id::{
    ClusterUuid, IpRangeUuid, L2NetworkUuid, L3NetworkUuid, NetworkServiceProviderUuid, UsedIpUuid, ZoneUuid,
};

use super::{AdminState, Declaration, Shown};
use crate::{clock::Timestamp, resource};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] = &[
    L2Network::declaration,
    L2NetworkClusterRef::declaration,
    L3Network::declaration,
    L3NetworkDns::declaration,
    L3NetworkHostRoute::declaration,
    IpRange::declaration,
    UsedIp::declaration,
    NetworkServiceProvider::declaration,
    NetworkServiceL3NetworkRef::declaration,
];

resource! {
    /// An Ethernet segment: a bridge on every host of its clusters.
    L2Network, table "l2_network", class "org.zstack.header.network.l2.L2NetworkInventory" {
        /// Its id.
        uuid: L2NetworkUuid,
        /// Its name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// Its zone.
        zone_uuid: ZoneUuid,
        /// The hosts' interface that carries it.
        physical_interface: String,
        /// `L2NoVlanNetwork`.
        kind as "type": String,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "zone" => Zone(zone_uuid = uuid);
        "cluster" => Cluster(uuid via l2_network_cluster_ref(l2_network_uuid, cluster_uuid) = uuid);
        "l3Network" => L3Network(uuid = l2_network_uuid);
        "clusterRef" => L2NetworkClusterRef(uuid = l2_network_uuid)
            shown Shown::Values { field: "attachedClusterUuids", column: "cluster_uuid" };
    }
}

resource! {
    /// An L2 network that a cluster's hosts are on.
    L2NetworkClusterRef, table "l2_network_cluster_ref", class "", with "l2Network" {
        /// The L2 network.
        l2_network_uuid: L2NetworkUuid,
        /// The cluster.
        cluster_uuid: ClusterUuid,
    }
    relations {
        "l2Network" => L2Network(l2_network_uuid = uuid);
        "cluster" => Cluster(cluster_uuid = uuid);
    }
}

resource! {
    /// A subnet on an L2 network.
    L3Network, table "l3_network", class "org.zstack.header.network.l3.L3NetworkInventory", shareable {
        /// Its id.
        uuid: L3NetworkUuid,
        /// Its name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// `L3BasicNetwork`.
        kind as "type": String,
        /// Its zone.
        zone_uuid: ZoneUuid,
        /// Its L2 network.
        l2_network_uuid: L2NetworkUuid,
        /// Whether it takes new interfaces.
        state: AdminState,
        /// The DNS domain handed to guests.
        dns_domain: Option<String>,
        /// Whether it belongs to the system.
        system: bool,
        /// `Public`, `Private` or `System`.
        category: String,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    hidden {
        /// The MTU handed to guests.
        mtu: Option<u16>,
        /// The address its services answer on, taken from its ranges while it has any service.
        service_address: Option<Ipv4Addr>,
        /// The address of the router's interface, where one is set.
        router_interface_ip: Option<Ipv4Addr>,
    }
    relations {
        "zone" => Zone(zone_uuid = uuid);
        "l2Network" => L2Network(l2_network_uuid = uuid);
        "vmNic" => VmNic(uuid = l3_network_uuid);
        "usedIp" => UsedIp(uuid = l3_network_uuid);
        "serviceProvider" => NetworkServiceProvider(uuid via network_service_l3_network_ref(l3_network_uuid, network_service_provider_uuid) = uuid);
        "ipRanges" => IpRange(uuid = l3_network_uuid) shown Shown::Inventories { order: "start_ip" };
        "networkServices" => NetworkServiceL3NetworkRef(uuid = l3_network_uuid) shown Shown::Inventories { order: "network_service_type" };
        "hostRoute" => L3NetworkHostRoute(uuid = l3_network_uuid) shown Shown::Inventories { order: "id" };
        "dnsServers" => L3NetworkDns(uuid = l3_network_uuid) shown Shown::Values { field: "dns", column: "dns" };
    }
}

resource! {
    /// A DNS server handed to an L3 network's guests.
    L3NetworkDns, table "l3_network_dns", class "", with "l3Network" {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid,
        /// The server.
        dns: Ipv4Addr,
    }
    relations {
        "l3Network" => L3Network(l3_network_uuid = uuid);
    }
}

resource! {
    /// A route handed to an L3 network's guests.
    L3NetworkHostRoute, table "l3_network_host_route", class "org.zstack.header.network.l3.L3NetworkHostRouteInventory", with "l3Network" {
        /// A number.
        id: i64,
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid,
        /// The destination, in CIDR form.
        prefix: String,
        /// The next hop.
        nexthop: Ipv4Addr,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "l3Network" => L3Network(l3_network_uuid = uuid);
    }
}

resource! {
    /// Addresses an L3 network hands out.
    IpRange, table "ip_range", class "org.zstack.header.network.l3.IpRangeInventory", with "l3Network" {
        /// Its id.
        uuid: IpRangeUuid,
        /// Its L3 network.
        l3_network_uuid: L3NetworkUuid,
        /// Its name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// The first address.
        start_ip: Ipv4Addr,
        /// The last address.
        end_ip: Ipv4Addr,
        /// The subnet's mask.
        netmask: Ipv4Addr,
        /// The guests' gateway.
        gateway: Ipv4Addr,
        /// The subnet in CIDR form.
        network_cidr: String,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "l3Network" => L3Network(l3_network_uuid = uuid);
        "usedIp" => UsedIp(uuid = ip_range_uuid);
    }
}

resource! {
    /// An address that is taken.
    UsedIp, table "used_ip", class "org.zstack.header.network.l3.UsedIpInventory", with "vmNic" {
        /// Its id.
        uuid: UsedIpUuid,
        /// Its range.
        ip_range_uuid: IpRangeUuid,
        /// Its L3 network.
        l3_network_uuid: L3NetworkUuid,
        /// The address.
        ip: Ipv4Addr,
        /// The subnet's mask.
        netmask: Ipv4Addr,
        /// The guests' gateway.
        gateway: Ipv4Addr,
        /// What takes it.
        used_for: Option<String>,
        /// The address as a number.
        ip_in_long: u32,
        /// When it was taken.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "l3Network" => L3Network(l3_network_uuid = uuid);
        "ipRange" => IpRange(ip_range_uuid = uuid);
        "vmNic" => VmNic(uuid = used_ip_uuid);
    }
}

resource! {
    /// Who serves network services.
    NetworkServiceProvider, table "network_service_provider", class "org.zstack.header.network.service.NetworkServiceProviderInventory", everyone {
        /// Its id.
        uuid: NetworkServiceProviderUuid,
        /// Its name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// `Flat`.
        kind as "type": String,
        /// The services it can give.
        network_service_types: serde_json::Value,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "l3Network" => L3Network(uuid via network_service_l3_network_ref(network_service_provider_uuid, l3_network_uuid) = uuid);
        "networkServiceL3NetworkRef" => NetworkServiceL3NetworkRef(uuid = network_service_provider_uuid);
    }
}

resource! {
    /// A service of an L3 network.
    NetworkServiceL3NetworkRef, table "network_service_l3_network_ref", class "org.zstack.header.network.service.NetworkServiceL3NetworkRefInventory", with "l3Network" {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid,
        /// Who gives it.
        network_service_provider_uuid: NetworkServiceProviderUuid,
        /// The service, such as `DHCP`.
        network_service_type: String,
    }
    relations {
        "l3Network" => L3Network(l3_network_uuid = uuid);
        "networkServiceProvider" => NetworkServiceProvider(network_service_provider_uuid = uuid);
    }
}

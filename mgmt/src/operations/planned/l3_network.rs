//! 5.2: L3 networks.

use std::net::Ipv4Addr;

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Updates an L3 network.
    UpdateL3Network, "5.2.4", Put "/l3-networks/{uuid}/actions", Job -> L3Network; {
        /// The L3 network.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Whether it belongs to the system.
        system: Option<bool>;
        /// The DNS domain.
        dns_domain: Option<String>, max_length 255;
        /// The category.
        category: Option<String>, values &["Public", "Private", "System"];
    }

    /// Lists the types of L3 networks.
    GetL3NetworkTypes, "5.2.5", Get "/l3-networks/types", Sync -> { types: [String] }; {}

    /// Enables or disables an L3 network.
    ChangeL3NetworkState, "5.2.6", Put "/l3-networks/{uuid}/actions", Job -> L3Network; {
        /// The L3 network.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }

    /// Reads the address of the DHCP server of an L3 network.
    GetL3NetworkDhcpIpAddress, "5.2.7",
        Get "/l3-networks/{l3NetworkUuid}/dhcp-ip", Sync -> { ip: String, success: bool }; {
        /// The L3 network.
        l3_network_uuid: Uuid;
    }

    /// Adds a route that DHCP hands out on an L3 network.
    AddHostRouteToL3Network, "5.2.10", Post "/l3-networks/{l3NetworkUuid}/hostroute", Job -> L3Network; {
        /// The L3 network.
        l3_network_uuid: Uuid;
        /// The destination, in CIDR notation.
        prefix: String;
        /// The next router's address.
        nexthop: String;
    }

    /// Removes a route that DHCP hands out on an L3 network.
    RemoveHostRouteFromL3Network, "5.2.11", Delete "/l3-networks/{l3NetworkUuid}/hostroute", Job -> L3Network; {
        /// The L3 network.
        l3_network_uuid: Uuid;
        /// The destination, in CIDR notation.
        prefix: String;
    }

    /// Lists free IP addresses of an L3 network or an IP range.
    GetFreeIp, "5.2.12",
        Get "/l3-networks/{l3NetworkUuid}/ip/free" | "/l3-networks/ip-ranges/{ipRangeUuid}/ip/free", Sync -> FreeIp; {
        /// The L3 network.
        l3_network_uuid: Option<Uuid>;
        /// The IP range.
        ip_range_uuid: Option<Uuid>;
        /// The address to begin at.
        start: Option<String>;
        /// How many at the most.
        limit: Option<i32>;
    }

    /// Reads whether an IP address of an L3 network is free.
    CheckIpAvailability, "5.2.13",
        Get "/l3-networks/{l3NetworkUuid}/ip/{ip}/availability", Sync -> { available: bool, success: bool }; {
        /// The L3 network.
        l3_network_uuid: Uuid;
        /// The IP address.
        ip: Ipv4Addr, max_length 255;
    }

    /// Reads how many IP addresses there are and how many are free.
    GetIpAddressCapacity, "5.2.14",
        Get "/ip-capacity", Sync -> { totalCapacity: i64, availableCapacity: i64, success: bool }; {
        /// Whether all are meant.
        all: Option<bool>;
        /// The zones.
        zone_uuids: Option<Vec<Uuid>>;
        /// The L3 networks.
        l3_network_uuids: Option<Vec<Uuid>>;
        /// The IP ranges.
        ip_range_uuids: Option<Vec<Uuid>>;
    }

    /// Updates an IP range.
    UpdateIpRange, "5.2.18", Put "/l3-networks/ip-ranges/{uuid}/actions", Job -> IpRange; {
        /// The IP range.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Reads the MTU of an L3 network.
    GetL3NetworkMtu, "5.2.20", Get "/l3-networks/{l3NetworkUuid}/mtu", Sync -> { mtu: i64, success: bool }; {
        /// The L3 network.
        l3_network_uuid: Uuid;
    }

    /// Sets the MTU of an L3 network.
    SetL3NetworkMtu, "5.2.21", Post "/l3-networks/{l3NetworkUuid}/mtu", Job; {
        /// The L3 network.
        l3_network_uuid: Uuid;
        /// The MTU in bytes.
        mtu: i32, range 68..=9216;
    }

    /// Reads the router's IP address on an L3 network.
    GetL3NetworkRouterInterfaceIp, "5.2.22",
        Get "/l3-networks/{l3NetworkUuid}/router-interface-ip", Sync -> { routerInterfaceIp: String, success: bool }; {
        /// The L3 network.
        l3_network_uuid: Uuid;
    }

    /// Sets the router's IP address on an L3 network.
    SetL3NetworkRouterInterfaceIp, "5.2.23", Post "/l3-networks/{l3NetworkUuid}/router-interface-ip", Job; {
        /// The L3 network.
        l3_network_uuid: Uuid;
        /// The IP address.
        router_interface_ip: Ipv4Addr;
    }
}

inventories! {
    /// A free IP address.
    FreeIp {
        ipRangeUuid: Uuid, ip: String, netmask: String, gateway: String,
    }
}

//! 5.2: L3 networks.

use std::net::Ipv4Addr;

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
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

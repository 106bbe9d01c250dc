//! Networks on a host.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::id::{L2NetworkUuid, L3NetworkUuid};

/// The bridge of an L2 network on one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bridge {
    /// The L2 network.
    pub l2_network: L2NetworkUuid,
    /// The bridge's interface name, at most 15 characters, such as `br_eth0`.
    pub name: String,
    /// The interface that carries the network, such as `eth0`.
    pub physical_interface: String,
}

/// Makes the bridge.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnsureBridge {
    /// The bridge.
    pub bridge: Bridge,
}

/// Takes the bridge away. Refused with `InUse` while guests are on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemoveBridge {
    /// The bridge.
    pub bridge: Bridge,
}

/// An L3 network as its services on a host need to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The L3 network.
    pub l3_network: L3NetworkUuid,
    /// The bridge it is on.
    pub bridge: Bridge,
    /// The subnet, such as `10.99.1.0/24`.
    pub subnet: Ipv4Net,
    /// The guests' default gateway.
    pub gateway: Option<Ipv4Addr>,
    /// The address that DHCP and user data are served from, the same on every host; guests only ever see their own
    /// host's. `None` where neither is served.
    pub service_address: Option<Ipv4Addr>,
    /// Whether DHCP is served.
    pub dhcp: bool,
    /// Whether user data is served at 169.254.169.254.
    pub userdata: bool,
    /// DNS servers handed to guests.
    pub dns: Vec<Ipv4Addr>,
    /// The DNS domain handed to guests.
    pub dns_domain: Option<String>,
    /// The MTU handed to guests.
    pub mtu: Option<u16>,
    /// Routes handed to guests.
    pub host_routes: Vec<HostRoute>,
}

/// A route handed to guests by DHCP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRoute {
    /// The destination.
    pub prefix: Ipv4Net,
    /// The next hop.
    pub next_hop: Ipv4Addr,
}

/// Serves the network on this host, its bridge included.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnsureNetwork {
    /// The network.
    pub network: Network,
}

/// Ends the network's services. The bridge stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemoveNetwork {
    /// The L3 network.
    pub l3_network: L3NetworkUuid,
}

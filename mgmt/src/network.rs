//! Networks as hosts need to know them, put together from the inventory.

use std::net::Ipv4Addr;

use gantry_common::{
    agent::{Bridge, HostRoute, Network},
    id::{ClusterUuid, L2NetworkUuid, L3NetworkUuid},
};
use ipnet::Ipv4Net;
use sha2::{Digest, Sha256};

use crate::{
    failure::Failure,
    operations::require,
    resource::{
        IpRange, L2Network, L2NetworkClusterRef, L3Network, L3NetworkDns, L3NetworkHostRoute,
        NetworkServiceL3NetworkRef, VmInstance, VmNic,
    },
    store::{SqlValue, Tx},
};

/// The longest name an interface can have (`IFNAMSIZ` less the final zero).
const INTERFACE_NAME_LENGTH: usize = 15;

/// An interface's name as the kernel takes it.
pub fn interface_name(parameter: &str, name: &str) -> Result<String, Failure> {
    let fits = !name.is_empty()
        && name.len() <= INTERFACE_NAME_LENGTH
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !matches!(name, "." | ".." | "lo");
    if fits {
        Ok(name.to_owned())
    } else {
        Err(Failure::argument(
            parameter,
            name,
            format!(
                "an interface of the hosts is needed, such as eth0: at most {INTERFACE_NAME_LENGTH} letters, digits, '_', '-', '.'"
            ),
        ))
    }
}

/// The bridge of an L2 network, called after its interface: `br_eth0`.
pub fn bridge(l2: &L2Network) -> Bridge {
    let plain = format!("br_{}", l2.physical_interface);
    let name = if plain.len() <= INTERFACE_NAME_LENGTH {
        plain
    } else {
        let digest = Sha256::digest(&l2.physical_interface);
        format!(
            "br_{:02x}{:02x}{:02x}{:02x}{:02x}{:02x}",
            digest[0], digest[1], digest[2], digest[3], digest[4], digest[5]
        )
    };
    Bridge { l2_network: l2.uuid, name, physical_interface: l2.physical_interface.clone() }
}

/// The L2 networks that a cluster's hosts are on.
pub fn l2_networks_of_cluster(tx: &Tx<'_>, cluster: ClusterUuid) -> Result<Vec<L2Network>, Failure> {
    tx.find::<L2NetworkClusterRef>(&[("cluster_uuid", cluster.to_sql())])?
        .into_iter()
        .map(|link| require::<L2Network>(tx, "l2NetworkUuid", link.l2_network_uuid))
        .collect()
}

/// How many VMs of a cluster have an interface on an L2 network.
pub fn vms_of_cluster_on_l2(tx: &Tx<'_>, cluster: ClusterUuid, l2_network: L2NetworkUuid) -> Result<u64, Failure> {
    let mut vms = std::collections::HashSet::new();
    for l3 in tx.find::<L3Network>(&[("l2_network_uuid", l2_network.to_sql())])? {
        for nic in tx.find::<VmNic>(&[("l3_network_uuid", l3.uuid.to_sql())])? {
            if tx.get::<VmInstance>(nic.vm_instance_uuid)?.is_some_and(|vm| vm.cluster_uuid == Some(cluster)) {
                vms.insert(nic.vm_instance_uuid);
            }
        }
    }
    Ok(vms.len() as u64)
}

/// The services of an L3 network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Services {
    /// Addresses by DHCP.
    pub dhcp: bool,
    /// User data at 169.254.169.254.
    pub userdata: bool,
}

/// The services attached to an L3 network.
pub fn services(tx: &Tx<'_>, l3_network: L3NetworkUuid) -> Result<Services, Failure> {
    let attached = tx.find::<NetworkServiceL3NetworkRef>(&[("l3_network_uuid", l3_network.to_sql())])?;
    let has = |service: &str| attached.iter().any(|link| link.network_service_type == service);
    Ok(Services { dhcp: has("DHCP"), userdata: has("Userdata") })
}

/// An L3 network as hosts need to know it; `None` while it has no addresses.
pub fn spec(tx: &Tx<'_>, l3_network: L3NetworkUuid) -> Result<Option<Network>, Failure> {
    let l3 = require::<L3Network>(tx, "l3NetworkUuid", l3_network)?;
    let l2 = require::<L2Network>(tx, "l2NetworkUuid", l3.l2_network_uuid)?;
    let ranges = tx.find::<IpRange>(&[("l3_network_uuid", l3_network.to_sql())])?;
    let Some(range) = ranges.first() else { return Ok(None) };
    let services = services(tx, l3_network)?;
    let mut dns: Vec<Ipv4Addr> = Vec::new();
    for server in tx.find::<L3NetworkDns>(&[("l3_network_uuid", l3_network.to_sql())])? {
        dns.push(server.dns);
    }
    let mut host_routes = Vec::new();
    for route in tx.find::<L3NetworkHostRoute>(&[("l3_network_uuid", l3_network.to_sql())])? {
        let prefix =
            route.prefix.parse().map_err(|_| Failure::argument("prefix", &route.prefix, "a CIDR is needed"))?;
        host_routes.push(HostRoute { prefix, next_hop: route.nexthop });
    }
    Ok(Some(Network {
        l3_network,
        bridge: bridge(&l2),
        subnet: subnet(range.start_ip, range.netmask)?,
        gateway: Some(range.gateway),
        service_address: l3.service_address.filter(|_| services.dhcp || services.userdata),
        dhcp: services.dhcp,
        userdata: services.userdata,
        dns,
        dns_domain: l3.dns_domain,
        mtu: l3.mtu,
        host_routes,
    }))
}

/// The subnet that an address and its mask lie in.
pub fn subnet(ip: Ipv4Addr, netmask: Ipv4Addr) -> Result<Ipv4Net, Failure> {
    let mask = netmask.to_bits();
    if mask.leading_ones() + mask.trailing_zeros() != 32 || !(1..=30).contains(&mask.leading_ones()) {
        return Err(Failure::argument("netmask", netmask, "a mask such as 255.255.255.0 is needed, of 1 to 30 bits"));
    }
    Ipv4Net::with_netmask(ip, netmask)
        .map(|net| net.trunc())
        .map_err(|error| Failure::argument("netmask", netmask, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_must_be_a_row_of_ones() {
        let ip: Ipv4Addr = "10.0.0.7".parse().unwrap();
        assert_eq!(subnet(ip, "255.255.255.0".parse().unwrap()).unwrap().to_string(), "10.0.0.0/24");
        for mask in ["255.0.255.0", "0.0.0.0", "255.255.255.255"] {
            assert!(subnet(ip, mask.parse().unwrap()).is_err(), "{mask}");
        }
    }

    #[test]
    fn an_interface_name_holds_nothing_the_kernel_refuses() {
        assert!(interface_name("physicalInterface", "eth0.100").is_ok());
        for name in ["", "eth0; reboot", "a/b", "sixteencharacters", ".."] {
            assert!(interface_name("physicalInterface", name).is_err(), "{name}");
        }
    }
}

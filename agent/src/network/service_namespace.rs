//! The network namespace that an L3 network's DHCP and user data are served from.
//!
//! It is joined to the bridge by a veth pair and holds the service address and 169.254.169.254. Every host has such a
//! namespace with the same addresses and the same MAC address, so a guest that moved to another host goes on at once;
//! the packet filter keeps each host's guests to their own.

use std::{fs, io, net::Ipv4Addr, thread, time::Duration};

use gantry_common::{
    agent::{AgentError, Network},
    id::L3NetworkUuid,
    net::MacAddress,
};
use nix::sched::{CloneFlags, setns};
use tokio::sync::oneshot;

use super::{
    netlink::{Link, Netlink},
    paths::{NetworkPaths, namespace_file},
    program,
};

/// Where guests ask for their user data.
pub(super) const USERDATA_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The interface inside the namespace.
pub(super) const INNER_INTERFACE: &str = "eth0";
const PORT_PREFIX: &str = "gsv";
/// For what is done inside the namespace.
const DEADLINE: Duration = Duration::from_secs(10);

/// As much of a network's id as fits an interface name.
fn short_id(l3_network: L3NetworkUuid) -> String {
    l3_network.to_string()[..12].to_owned()
}

/// The namespace's name.
pub(super) fn name(l3_network: L3NetworkUuid) -> String {
    format!("gantry-{}", short_id(l3_network))
}

/// The name of the namespace's port on the bridge.
pub(super) fn port_name(l3_network: L3NetworkUuid) -> String {
    format!("{PORT_PREFIX}{}", short_id(l3_network))
}

/// Whether an interface is the port of such a namespace.
pub(super) fn is_service_port(interface: &str) -> bool {
    interface
        .strip_prefix(PORT_PREFIX)
        .is_some_and(|rest| rest.len() == 12 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The MAC address of the service address, the same on every host.
pub(super) fn mac(l3_network: L3NetworkUuid) -> MacAddress {
    let [a, b, c, d, e, ..] = *l3_network.as_uuid().as_bytes();
    // 0x0a: a locally administered unicast address.
    MacAddress::from([0x0a, a, b, c, d, e])
}

/// Whether the namespace is there and joined to `bridge`.
pub(super) async fn is_joined(l3_network: L3NetworkUuid, bridge: &Link) -> Result<bool, AgentError> {
    let port = Netlink::open()?.link(&port_name(l3_network)).await?;
    Ok(namespace_file(&name(l3_network)).exists()
        && port.is_some_and(|port| port.controller == Some(bridge.index) && port.up))
}

/// Makes the namespace anew, joined to `bridge`.
pub(super) async fn make(
    paths: &NetworkPaths,
    network: &Network,
    service_address: Ipv4Addr,
    bridge: &Link,
) -> Result<(), AgentError> {
    remove(paths, network.l3_network).await?;
    let outcome = make_parts(paths, network, service_address, bridge).await;
    if outcome.is_err()
        && let Err(error) = remove(paths, network.l3_network).await
    {
        tracing::error!(%error, namespace = name(network.l3_network), "half-made namespace left behind");
    }
    outcome
}

async fn make_parts(
    paths: &NetworkPaths,
    network: &Network,
    service_address: Ipv4Addr,
    bridge: &Link,
) -> Result<(), AgentError> {
    let namespace = name(network.l3_network);
    let port = port_name(network.l3_network);
    program::run(paths, "ip", &["netns", "add", &namespace]).await?;
    // Forwarding is inherited from the host; this namespace is no router. An ARP request for a guest carries the
    // service address: guests need not answer 169.254.169.254, which is not in their subnet.
    in_namespace(network.l3_network, || {
        fs::write("/proc/sys/net/ipv4/ip_forward", "0")?;
        fs::write("/proc/sys/net/ipv4/conf/all/arp_announce", "2")?;
        fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").or(Ok(()))
    })
    .await?;
    let pair = format!(
        "link add name {port} mtu {mtu} type veth peer name {INNER_INTERFACE} mtu {mtu} address {mac} netns {namespace}\n",
        mtu = bridge.mtu,
        mac = mac(network.l3_network),
    );
    program::feed(paths, "ip", &["-batch", "-"], &pair).await?;
    // The port is no interface of the host's own: it needs no link-local address. A kernel may lack IPv6.
    let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{port}/disable_ipv6"), "1");
    let mut inside = format!(
        "link set dev lo up\naddress add {service_address}/{} dev {INNER_INTERFACE}\n",
        network.subnet.prefix_len()
    );
    if network.userdata {
        inside.push_str(&format!("address add {USERDATA_ADDRESS}/32 dev {INNER_INTERFACE}\n"));
    }
    inside.push_str(&format!("link set dev {INNER_INTERFACE} up\n"));
    program::feed(paths, "ip", &["-netns", &namespace, "-batch", "-"], &inside).await?;
    // Last: a namespace that is joined is complete.
    program::run(paths, "ip", &["link", "set", "dev", &port, "master", &bridge.name, "up"]).await.map(|_| ())
}

/// Removes the namespace and its port; none is a success.
pub(super) async fn remove(paths: &NetworkPaths, l3_network: L3NetworkUuid) -> Result<(), AgentError> {
    let netlink = Netlink::open()?;
    if let Some(port) = netlink.link(&port_name(l3_network)).await? {
        netlink.remove(&port).await?;
    }
    let namespace = name(l3_network);
    if namespace_file(&namespace).exists() {
        program::run(paths, "ip", &["netns", "delete", &namespace]).await?;
    }
    Ok(())
}

/// Does a short piece of work inside the namespace, on a thread of its own that ends with it.
pub(super) async fn in_namespace<T: Send + 'static>(
    l3_network: L3NetworkUuid,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, AgentError> {
    let namespace = name(l3_network);
    let file = namespace_file(&namespace);
    let (sender, receiver) = oneshot::channel();
    let enter_and_work = move || {
        setns(fs::File::open(file)?, CloneFlags::CLONE_NEWNET)?;
        work()
    };
    let spawned = thread::Builder::new().name("namespace".to_owned()).spawn(move || {
        let _ = sender.send(enter_and_work());
    });
    let operation = format!("work in the network namespace {namespace}");
    let outcome = match spawned {
        Ok(_) => tokio::time::timeout(DEADLINE, receiver)
            .await
            .map_err(|_| AgentError::Timeout { operation: operation.clone(), seconds: DEADLINE.as_secs() })?
            .unwrap_or_else(|_| Err(io::Error::other("the thread ended early"))),
        Err(error) => Err(error),
    };
    outcome.map_err(|error| AgentError::Network { operation, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_kernel_and_follow_from_the_network() {
        let id: L3NetworkUuid = "8aef7e3a53b34eedaa05027a919156d9".parse().unwrap();
        assert_eq!(name(id), "gantry-8aef7e3a53b3");
        assert_eq!(port_name(id), "gsv8aef7e3a53b3");
        assert!(port_name(id).len() <= 15);
        assert!(is_service_port(&port_name(id)));
        assert!(!is_service_port("gsv-eth0") && !is_service_port("eth0"));
        assert!(mac(id).is_unicast());
        assert_eq!(mac(id).to_string(), "0a:8a:ef:7e:3a:53");
    }
}

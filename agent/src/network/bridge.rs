//! The bridge of an L2 network: made around a physical interface, whose addresses and routes move to the bridge.

use std::{fs, path::Path};

use gantry_common::agent::{AgentError, Bridge};

use super::{
    address_move::{Addressing, copy_settings, remove_routes},
    netlink::{Link, Netlink},
    networkd,
    paths::NetworkPaths,
    record::{self, BridgeRecord},
    service_namespace,
};

/// Interface names have at most 15 characters (IFNAMSIZ less the final zero).
const LONGEST_NAME: usize = 15;

/// Refuses what the kernel or the files named after the interface would not take.
pub(super) fn check_interface_name(field: &str, name: &str) -> Result<(), AgentError> {
    let usable = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(usable) || name.starts_with(['.', '-']) {
        let remedy = "an interface name has 1 to 15 letters, digits, '_', '-' or '.', and begins with none of '-', '.'";
        return Err(AgentError::invalid(field, name, remedy));
    }
    Ok(())
}

/// Makes the bridge, or finds it made, and returns it.
///
/// # Errors
/// [`AgentError::InvalidArgument`] when the names or the interface cannot be used, [`AgentError::InUse`] when the
/// interface belongs to something else; then nothing was changed. Otherwise what went wrong; then it was undone.
pub(super) async fn ensure(paths: &NetworkPaths, bridge: &Bridge) -> Result<Link, AgentError> {
    check_interface_name("bridge", &bridge.name)?;
    let netlink = Netlink::open()?;
    let physical = find_physical(&netlink, bridge).await?;
    let existing = netlink.link(&bridge.name).await?;
    if existing.as_ref().is_some_and(|link| !link.is_bridge()) {
        let remedy = "an interface of that name exists and is no bridge; choose another name";
        return Err(AgentError::invalid("bridge", &bridge.name, remedy));
    }
    let recorded = record::load::<BridgeRecord>(&paths.bridge(&bridge.name))?;
    match (&existing, physical.controller) {
        (Some(existing), Some(index)) if existing.index == index => {
            // A record that is not settled is what a killed agent leaves.
            let settled = recorded.is_none_or(|recorded| recorded.settled);
            if existing.up && settled {
                return Ok(existing.clone());
            }
        }
        (_, Some(index)) => return Err(controlled_by(&netlink, &physical, index).await?),
        (Some(existing), None) if recorded.is_none() => {
            if let Some(port) = netlink.links().await?.iter().find(|link| link.controller == Some(existing.index)) {
                let remedy = format!(
                    "the bridge exists, not made by Gantry, and has the port {} but not {interface}; make {interface} \
                     a port of it or choose another name",
                    port.name,
                    interface = physical.name
                );
                return Err(AgentError::invalid("bridge", &bridge.name, remedy));
            }
        }
        _ => {}
    }
    build(paths, &netlink, bridge, &physical, existing).await
}

async fn build(
    paths: &NetworkPaths,
    netlink: &Netlink,
    bridge: &Bridge,
    physical: &Link,
    existing: Option<Link>,
) -> Result<Link, AgentError> {
    let addressing = Addressing::of(netlink, physical).await?;
    let configuration = networkd::configuration_of(physical);
    check_manager(physical, &addressing, configuration.is_some())?;
    let record =
        |settled| record::store(&paths.bridge(&bridge.name), &BridgeRecord { bridge: bridge.clone(), settled });
    record(false)?;
    let outcome = async {
        if let Some(configuration) = &configuration {
            networkd::hand_over(bridge, physical, configuration)?;
        }
        let made = match existing {
            Some(existing) => existing,
            None => add(netlink, bridge, physical).await?,
        };
        copy_settings(physical, &made);
        netlink.set_up(&made).await?;
        addressing.add_addresses(netlink, &made).await?;
        netlink.set_bridge_of(physical, Some(&made)).await?;
        netlink.set_up(physical).await?;
        addressing.switch_routes(netlink, physical, &made).await?;
        addressing.remove_addresses(netlink, physical).await?;
        remove_routes(netlink, physical).await?;
        if configuration.is_some() || networkd::has_files(bridge) {
            networkd::reload(paths).await?;
        }
        record(true)?;
        Ok(made)
    }
    .await;
    match outcome {
        Ok(made) => {
            warn_of_bridge_netfilter();
            tracing::info!(bridge = bridge.name, interface = physical.name, "bridge made");
            Ok(made)
        }
        Err(error) => Err(match unmake(paths, netlink, bridge, Some(physical)).await {
            Ok(()) => error,
            Err(second) => AgentError::Network {
                operation: format!("make the bridge {}", bridge.name),
                reason: format!("{error}; and undoing it failed: {second}"),
            },
        }),
    }
}

async fn add(netlink: &Netlink, bridge: &Bridge, physical: &Link) -> Result<Link, AgentError> {
    let mac = physical.mac.ok_or_else(|| {
        AgentError::invalid("physicalInterface", &physical.name, "an Ethernet interface is needed; this one has no MAC")
    })?;
    netlink.add_bridge(&bridge.name, mac).await?;
    let made = netlink.link(&bridge.name).await?.ok_or_else(|| AgentError::Network {
        operation: format!("make the bridge {}", bridge.name),
        reason: "it was removed by somebody else right away".to_owned(),
    })?;
    netlink.set_mtu(&made, physical.mtu).await?;
    Ok(made)
}

/// Gives addresses and routes back to the interface and removes the bridge, from whatever state.
async fn unmake(
    paths: &NetworkPaths,
    netlink: &Netlink,
    bridge: &Bridge,
    physical: Option<&Link>,
) -> Result<(), AgentError> {
    if let Some(made) = netlink.link(&bridge.name).await? {
        if let Some(physical) = physical {
            let addressing = Addressing::of(netlink, &made).await?;
            netlink.set_bridge_of(physical, None).await?;
            addressing.add_addresses(netlink, physical).await?;
            addressing.switch_routes(netlink, &made, physical).await?;
            addressing.remove_addresses(netlink, &made).await?;
        }
        netlink.remove(&made).await?;
    }
    let known_to_networkd = networkd::has_files(bridge);
    networkd::take_back(bridge)?;
    if known_to_networkd {
        networkd::reload(paths).await?;
    }
    record::remove(&paths.bridge(&bridge.name))
}

/// Removes the bridge if Gantry made it, and gives the addresses back.
///
/// # Errors
/// [`AgentError::InUse`] while something other than the physical interface is a port of it.
pub(super) async fn remove(paths: &NetworkPaths, bridge: &Bridge) -> Result<(), AgentError> {
    check_interface_name("bridge", &bridge.name)?;
    let Some(BridgeRecord { bridge, .. }) = record::load(&paths.bridge(&bridge.name))? else {
        return Ok(());
    };
    let netlink = Netlink::open()?;
    let links = netlink.links().await?;
    if let Some(made) = links.iter().find(|link| link.name == bridge.name && link.is_bridge()) {
        let foreign = links.iter().find(|link| {
            link.controller == Some(made.index)
                && link.name != bridge.physical_interface
                && !service_namespace::is_service_port(&link.name)
        });
        if let Some(port) = foreign {
            return Err(AgentError::InUse {
                what: format!("bridge {}", bridge.name),
                user: format!("the interface {}", port.name),
            });
        }
    }
    let physical = links.iter().find(|link| link.name == bridge.physical_interface);
    unmake(paths, &netlink, &bridge, physical).await
}

async fn controlled_by(netlink: &Netlink, physical: &Link, index: u32) -> Result<AgentError, AgentError> {
    let controller = netlink.links().await?.into_iter().find(|link| link.index == index);
    Ok(AgentError::InUse {
        what: format!("the interface {}", physical.name),
        user: controller.map_or_else(|| format!("the interface number {index}"), |link| link.name),
    })
}

async fn find_physical(netlink: &Netlink, bridge: &Bridge) -> Result<Link, AgentError> {
    let name = &bridge.physical_interface;
    check_interface_name("physicalInterface", name)?;
    let invalid = |remedy: String| AgentError::invalid("physicalInterface", name, remedy);
    if *name == bridge.name {
        return Err(invalid("the bridge needs a name of its own".to_owned()));
    }
    let Some(physical) = netlink.link(name).await? else {
        let links = netlink.links().await?;
        let mut names: Vec<_> = links.iter().filter(|link| !link.loopback).map(|link| link.name.as_str()).collect();
        names.sort_unstable();
        return Err(invalid(format!("this host has no such interface; it has: {}", names.join(", "))));
    };
    if physical.loopback {
        return Err(invalid("the loopback interface carries no network; name an Ethernet interface".to_owned()));
    }
    if physical.is_bridge() {
        return Err(invalid("it is a bridge itself; name one of its ports, and the bridge as the bridge".to_owned()));
    }
    let device = Path::new("/sys/class/net").join(name);
    if device.join("wireless").exists() || device.join("phy80211").exists() {
        return Err(invalid("a wireless interface cannot be bridged; name an Ethernet interface".to_owned()));
    }
    Ok(physical)
}

/// Refuses an interface whose addresses another program would take back or let expire.
fn check_manager(physical: &Link, addressing: &Addressing, by_networkd: bool) -> Result<(), AgentError> {
    // The device's state file, described in NetworkManager(8) under "managed" devices.
    let state = fs::read_to_string(format!("/run/NetworkManager/devices/{}", physical.index)).unwrap_or_default();
    let managed = state.lines().any(|line| matches!(line, "managed=true" | "managed=1"));
    if managed && state.lines().any(|line| line.starts_with("connection-uuid=")) {
        let remedy = format!(
            "NetworkManager manages it; make the bridge with `nmcli` (a bridge connection with {} as its port): Gantry \
             uses it as it is",
            physical.name
        );
        return Err(AgentError::invalid("physicalInterface", &physical.name, remedy));
    }
    if let Some(address) = addressing.leased_address().filter(|_| !by_networkd) {
        let remedy = format!(
            "its address {address} is leased by a DHCP client that would not follow it to the bridge; configure the \
             address statically, or by systemd-networkd"
        );
        return Err(AgentError::invalid("physicalInterface", &physical.name, remedy));
    }
    Ok(())
}

/// With the module br_netfilter, bridged packets pass through the host's own firewall unless this setting is off. Others
/// on the host (Docker) may rely on it, so it is left alone.
fn warn_of_bridge_netfilter() {
    let setting = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    if fs::read_to_string(setting).is_ok_and(|value| value.trim() == "1") {
        tracing::warn!(
            "{setting} is 1: the host's FORWARD rules apply to guests' bridged traffic; set it to 0 if not meant"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_name_has_at_most_15_plain_characters() {
        for name in ["br_eth0", "a", "br-eth0.100", "123456789012345"] {
            check_interface_name("bridge", name).unwrap();
        }
        for name in ["", "1234567890123456", "br eth0", "br/eth0", "..", "br\"", "-x", "brü"] {
            let error = check_interface_name("bridge", name).unwrap_err();
            assert!(matches!(error, AgentError::InvalidArgument { field, .. } if field == "bridge"), "{name}");
        }
    }
}

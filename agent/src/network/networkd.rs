//! Keeps systemd-networkd from undoing a bridge.
//!
//! networkd takes an interface out of a bridge it does not know, and gives the interface its addresses back, whenever it
//! restarts or reloads. So the interface becomes unmanaged, and the bridge is configured the way the interface was: DHCP
//! and router advertisements go on there. The files are under /run: after a reboot the host comes up as its
//! administrator configured it, until the bridge is asked for again.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf};

use gantry_common::agent::{AgentError, Bridge};

use super::{netlink::Link, paths::NetworkPaths, program, record};

const STATE: &str = "/run/systemd/netif";
const RUNTIME: &str = "/run/systemd/network";
/// Where drop-ins are looked for, the directory that overrides the others first.
const CONFIGURATION: [&str; 5] = [
    "/etc/systemd/network",
    "/run/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
    "/lib/systemd/network",
];
/// Sections of a `.network` file that are about addressing. The others are about the device itself.
const ADDRESSING: [&str; 12] = [
    "Network",
    "Address",
    "Neighbor",
    "IPv6AddressLabel",
    "RoutingPolicyRule",
    "NextHop",
    "Route",
    "DHCP",
    "DHCPv4",
    "DHCPv6",
    "IPv6AcceptRA",
    "DHCPPrefixDelegation",
];
/// Settings that stack further devices on the interface; those stay where they are.
const STACKED: [&str; 8] = ["VLAN", "MACVLAN", "MACVTAP", "IPVLAN", "IPVTAP", "VXLAN", "Tunnel", "Xfrm"];

fn port_file(bridge: &Bridge) -> PathBuf {
    Path::new(RUNTIME).join(format!("00-gantry-{}-port.network", bridge.name))
}

fn bridge_file(bridge: &Bridge) -> PathBuf {
    Path::new(RUNTIME).join(format!("00-gantry-{}.network", bridge.name))
}

/// The `.network` file by which networkd manages the interface, if it does.
///
/// networkd writes it to a state file that `networkctl` reads; the name of the entry is the same since systemd 220.
pub(super) fn configuration_of(link: &Link) -> Option<PathBuf> {
    let state = fs::read_to_string(format!("{STATE}/links/{}", link.index)).ok()?;
    if state.lines().any(|line| line == "ADMIN_STATE=unmanaged") {
        return None;
    }
    state.lines().find_map(|line| line.strip_prefix("NETWORK_FILE=")).map(PathBuf::from)
}

/// Writes the files for a bridge whose `port` is configured by `configuration`. Takes effect with [`reload`].
pub(super) fn hand_over(bridge: &Bridge, port: &Link, configuration: &Path) -> Result<(), AgentError> {
    let mut text = fs::read_to_string(configuration).map_err(|error| AgentError::file(configuration, error))?;
    for drop_in in drop_ins(configuration) {
        text.push('\n');
        text.push_str(&fs::read_to_string(&drop_in).map_err(|error| AgentError::file(&drop_in, error))?);
    }
    let lease = fs::read_to_string(format!("{STATE}/leases/{}", port.index)).unwrap_or_default();
    let bridge_text = bridge_configuration(&bridge.name, &text, dhcp_identity(&lease));
    let port_text = format!("[Match]\nName={}\n\n[Link]\nUnmanaged=yes\n", port.name);
    record::write(&bridge_file(bridge), bridge_text.as_bytes(), record::Readers::All)?;
    record::write(&port_file(bridge), port_text.as_bytes(), record::Readers::All)?;
    Ok(())
}

/// Whether there are files for the bridge.
pub(super) fn has_files(bridge: &Bridge) -> bool {
    port_file(bridge).exists() || bridge_file(bridge).exists()
}

/// Removes the bridge's files. Takes effect with [`reload`].
pub(super) fn take_back(bridge: &Bridge) -> Result<(), AgentError> {
    record::remove(&port_file(bridge))?;
    record::remove(&bridge_file(bridge))
}

/// Makes networkd read its files again.
pub(super) async fn reload(paths: &NetworkPaths) -> Result<(), AgentError> {
    program::run(paths, "networkctl", &["reload"]).await.map(|_| ())
}

fn drop_ins(configuration: &Path) -> Vec<PathBuf> {
    let Some(name) = configuration.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let mut found = BTreeMap::new();
    for directory in CONFIGURATION {
        let Ok(entries) = fs::read_dir(Path::new(directory).join(format!("{name}.d"))) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "conf") {
                found.entry(path.file_name().map(ToOwned::to_owned)).or_insert(path);
            }
        }
    }
    found.into_values().collect()
}

/// The bridge's `.network` file: the addressing of the port's.
fn bridge_configuration(bridge: &str, port_configuration: &str, dhcp_identity: Option<u32>) -> String {
    // KeepConfiguration: the addresses that were moved stay in use until networkd has confirmed them.
    let mut text = format!("[Match]\nName={bridge}\n\n[Network]\nKeepConfiguration=yes\n");
    if let Some(iaid) = dhcp_identity {
        text.push_str(&format!("\n[DHCPv4]\nIAID={iaid}\n"));
    }
    let mut copied = false;
    for line in port_configuration.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            copied = ADDRESSING.contains(&section);
            if copied {
                text.push('\n');
            }
        }
        let key = line.split('=').next().unwrap_or_default().trim();
        let left_out = line.is_empty() || line.starts_with(['#', ';']) || STACKED.contains(&key);
        if copied && !left_out && key != "KeepConfiguration" {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The identity association that the port's DHCP client used. networkd derives one from the interface, so the bridge
/// would be another client to the DHCP server and get another address.
fn dhcp_identity(lease: &str) -> Option<u32> {
    let client = lease.lines().find_map(|line| line.strip_prefix("CLIENTID="))?;
    // RFC 4361: type 255, then four bytes of IAID, then the DUID.
    let iaid = client.strip_prefix("ff")?.get(..8)?;
    u32::from_str_radix(iaid, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridge_gets_the_addressing_and_not_the_device_settings() {
        let port = "[Match]\nName=eth0\n[Link]\nMACAddress=02:00:00:00:00:01\n# note\n[Network]\nAddress=10.0.0.5/24\n\
                    VLAN=eth0.7\n[Route]\nGateway=10.0.0.1\nMetric=50\n[Bridge]\nCost=3\n";
        assert_eq!(
            bridge_configuration("br_eth0", port, None),
            "[Match]\nName=br_eth0\n\n[Network]\nKeepConfiguration=yes\n\n[Network]\nAddress=10.0.0.5/24\n\n[Route]\n\
             Gateway=10.0.0.1\nMetric=50\n"
        );
    }

    #[test]
    fn the_bridge_asks_the_dhcp_server_as_the_interface_did() {
        let lease = "# This is private data. Do not parse.\nADDRESS=10.0.0.5\nCLIENTID=ff1f2e3d4c00020000ab11\n";
        assert_eq!(dhcp_identity(lease), Some(0x1f2e_3d4c));
        assert!(bridge_configuration("br0", "[Network]\nDHCP=yes\n", Some(7)).contains("[DHCPv4]\nIAID=7\n"));
        assert_eq!(dhcp_identity("CLIENTID=01020000000001\n"), None);
        assert_eq!(dhcp_identity(""), None);
    }
}

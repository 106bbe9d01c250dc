//! All the devices of a kind in a domain that runs.

use gantry_common::{agent::AgentError, id::VmUuid, net::MacAddress};
use roxmltree::{Document, Node};

use super::live::{attribute, live_xml};
use crate::vm::Host;

/// A network interface of a running domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveInterface {
    /// Its Ethernet address.
    pub mac: MacAddress,
    /// Its tap device.
    pub tap: String,
}

/// A CD-ROM drive of a running domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveDrive {
    /// Its name in the domain, such as `sda`.
    pub target: String,
    /// The bus it sits on.
    pub bus: String,
    /// The disc in it.
    pub disc: Option<String>,
}

/// The VM's network interfaces.
pub async fn interfaces(host: &Host, vm: VmUuid) -> Result<Vec<LiveInterface>, AgentError> {
    list(&live_xml(host, vm).await?, interface)
}

/// The VM's CD-ROM drives, in the order of their targets.
pub async fn cdroms(host: &Host, vm: VmUuid) -> Result<Vec<LiveDrive>, AgentError> {
    let mut drives = list(&live_xml(host, vm).await?, cdrom)?;
    // Of two targets on one bus, the longer comes later: sdaa after sdz.
    drives.sort_by_key(|drive| (drive.target.len(), drive.target.clone()));
    Ok(drives)
}

fn list<T>(xml: &str, read: fn(Node) -> Option<T>) -> Result<Vec<T>, AgentError> {
    let document =
        Document::parse(xml).map_err(|error| AgentError::Internal { reason: format!("the domain's XML: {error}") })?;
    let devices = document.root_element().children().filter(|node| node.has_tag_name("devices"));
    Ok(devices.flat_map(|node| node.children()).filter_map(read).collect())
}

fn interface(device: Node) -> Option<LiveInterface> {
    if !device.has_tag_name("interface") {
        return None;
    }
    let mac = attribute(device, "mac", "address")?.parse().ok()?;
    Some(LiveInterface { mac, tap: attribute(device, "target", "dev").unwrap_or_default().to_owned() })
}

fn cdrom(device: Node) -> Option<LiveDrive> {
    if !device.has_tag_name("disk") || device.attribute("device") != Some("cdrom") {
        return None;
    }
    Some(LiveDrive {
        target: attribute(device, "target", "dev")?.to_owned(),
        bus: attribute(device, "target", "bus")?.to_owned(),
        disc: attribute(device, "source", "file").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: &str = "<domain><devices>
        <disk type='file' device='disk'><source file='/ps/root'/><target dev='sda' bus='sata'/></disk>
        <disk type='file' device='cdrom'><source file='/a.iso' index='3'/><target dev='sdb' bus='sata'/></disk>
        <disk type='file' device='cdrom'><target dev='sdc' bus='sata' tray='open'/></disk>
        <interface type='bridge'><mac address='FA:4C:EE:9A:76:00'/><target dev='vnic1'/></interface>
        <interface type='bridge'><mac address='52:54:00:00:00:01'/></interface>
        </devices></domain>";

    #[test]
    fn drives_are_told_from_disks_and_empty_ones_from_full_ones() {
        let drives = list(DOMAIN, cdrom).unwrap();
        let seen: Vec<_> = drives.iter().map(|drive| (drive.target.as_str(), drive.disc.as_deref())).collect();
        assert_eq!(seen, [("sdb", Some("/a.iso")), ("sdc", None)]);
    }

    #[test]
    fn interfaces_are_listed_with_their_taps() {
        let interfaces = list(DOMAIN, interface).unwrap();
        let seen: Vec<_> = interfaces.iter().map(|one| (one.mac.to_string(), one.tap.as_str())).collect();
        assert_eq!(seen, [("fa:4c:ee:9a:76:00".to_owned(), "vnic1"), ("52:54:00:00:00:01".to_owned(), "")]);
    }
}

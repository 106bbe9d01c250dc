//! Finding a device in a domain that runs.

use std::{fmt, time::Duration};

use gantry_common::{
    agent::AgentError,
    id::{VmUuid, VolumeUuid},
    net::MacAddress,
};
use roxmltree::{Document, Node};

use crate::{
    libvirt::failed,
    vm::{Host, look::find_ours},
};

/// libvirt answers from memory.
const DEADLINE: Duration = Duration::from_secs(10);

/// What tells a device from the others of its VM, before and after it is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceName {
    /// The disk of a volume, whose uuid is the disk's serial number.
    Volume(VolumeUuid),
    /// The drive with a target name, such as `sda`.
    Drive(String),
    /// The network interface with an Ethernet address.
    Interface(MacAddress),
}

/// A device of a running domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveDevice {
    /// libvirt's name of it.
    pub alias: String,
    /// Its target: a drive's name in the domain, an interface's tap.
    pub target: Option<String>,
    /// The file behind a drive; an empty CD-ROM drive has none.
    pub file: Option<String>,
    /// Its whole XML.
    pub xml: String,
}

/// Looks for the device in the VM's running domain. `None` where the device is not there; an error where the domain is not.
pub async fn look_for(host: &Host, vm: VmUuid, name: &DeviceName) -> Result<Option<LiveDevice>, AgentError> {
    let xml = live_xml(host, vm).await?;
    find(&xml, name).map_err(|error| AgentError::Internal { reason: format!("the domain's XML: {error}") })
}

/// The running domain's XML.
pub async fn live_xml(host: &Host, vm: VmUuid) -> Result<String, AgentError> {
    const OPERATION: &str = "virDomainGetXMLDesc";
    let xml = host
        .observer
        .executor()
        .call(OPERATION, DEADLINE, move |connection| {
            let Some(domain) = find_ours(connection, vm)? else { return Ok(None) };
            domain.get_xml_desc(0).map(Some).map_err(failed(OPERATION))
        })
        .await?;
    xml.ok_or_else(|| AgentError::NotFound { what: "running VM".into(), name: vm.to_string() })
}

fn find(xml: &str, name: &DeviceName) -> Result<Option<LiveDevice>, roxmltree::Error> {
    let document = Document::parse(xml)?;
    let devices = document.root_element().children().filter(|node| node.has_tag_name("devices"));
    let found = devices.flat_map(|node| node.children()).find(|device| name.is_of(*device));
    Ok(found.map(|device| LiveDevice {
        alias: attribute(device, "alias", "name").unwrap_or_default().to_owned(),
        target: attribute(device, "target", "dev").map(str::to_owned),
        file: attribute(device, "source", "file").map(str::to_owned),
        xml: xml[device.range()].to_owned(),
    }))
}

impl DeviceName {
    fn is_of(&self, device: Node) -> bool {
        match self {
            Self::Volume(volume) => {
                device.has_tag_name("disk") && serial(device).as_deref() == Some(&volume.to_string())
            }
            Self::Drive(target) => {
                device.has_tag_name("disk") && attribute(device, "target", "dev") == Some(target.as_str())
            }
            Self::Interface(mac) => {
                let found = attribute(device, "mac", "address").and_then(|found| found.parse::<MacAddress>().ok());
                device.has_tag_name("interface") && found == Some(*mac)
            }
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume(volume) => write!(f, "the disk of volume {volume}"),
            Self::Drive(target) => write!(f, "the drive {target}"),
            Self::Interface(mac) => write!(f, "the network interface {mac}"),
        }
    }
}

fn child<'a>(device: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    device.children().find(|child| child.has_tag_name(name))
}

pub fn attribute<'a>(device: Node<'a, 'a>, name: &str, attribute: &str) -> Option<&'a str> {
    child(device, name)?.attribute(attribute)
}

fn serial(device: Node) -> Option<String> {
    device.children().find(|child| child.has_tag_name("serial"))?.text().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: &str = "<domain><devices>
        <disk type='file' device='disk'><source file='/ps/root'/><target dev='vda' bus='virtio'/>
            <serial>8aef7e3a53b34eedaa050000000001f4</serial><alias name='virtio-disk0'/></disk>
        <disk type='file' device='disk'><source file='/ps/data'/><target dev='vdb' bus='virtio'/>
            <serial>8aef7e3a53b34eedaa050000000001f5</serial><alias name='virtio-disk1'/></disk>
        <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><alias name='sata0-0-0'/></disk>
        <interface type='bridge'><mac address='FA:4C:EE:9A:76:00'/><target dev='gt1.0'/><alias name='net0'/></interface>
        </devices></domain>";

    fn found(name: &DeviceName) -> Option<LiveDevice> {
        find(DOMAIN, name).unwrap()
    }

    #[test]
    fn a_disk_is_found_by_its_volume_with_its_whole_xml() {
        let name = DeviceName::Volume("8aef7e3a53b34eedaa050000000001f5".parse().unwrap());
        let device = found(&name).unwrap();
        assert_eq!((device.alias.as_str(), device.target.as_deref()), ("virtio-disk1", Some("vdb")));
        assert_eq!(device.file.as_deref(), Some("/ps/data"));
        let whole = Document::parse(&device.xml).unwrap();
        assert!(whole.root_element().has_tag_name("disk"));
        assert_eq!(found(&DeviceName::Volume(VolumeUuid::random())), None);
    }

    #[test]
    fn an_empty_drive_is_found_by_its_target() {
        let device = found(&DeviceName::Drive("sda".into())).unwrap();
        assert_eq!((device.alias.as_str(), device.file), ("sata0-0-0", None));
        assert_eq!(found(&DeviceName::Drive("gt1.0".into())), None);
    }

    #[test]
    fn an_interface_is_found_by_its_address_in_either_case() {
        let device = found(&DeviceName::Interface("fa:4c:ee:9a:76:00".parse().unwrap())).unwrap();
        assert_eq!((device.alias.as_str(), device.target.as_deref()), ("net0", Some("gt1.0")));
        assert_eq!(found(&DeviceName::Interface("fa:4c:ee:9a:76:01".parse().unwrap())), None);
    }
}

//! Where a VM's VNC console listens.

use std::{net::IpAddr, time::Duration};

use gantry_common::{
    agent::{AgentError, ConsoleAddress, VmState},
    id::VmUuid,
};

use super::{Host, look::find_ours, wrong_state};
use crate::libvirt::failed;

const DEADLINE: Duration = Duration::from_secs(10);

/// The console's address, which libvirt chose when the VM started.
pub async fn address(host: &Host, vm: VmUuid) -> Result<ConsoleAddress, AgentError> {
    let xml = host
        .observer
        .executor()
        .call("virDomainGetXMLDesc", DEADLINE, move |connection| {
            let Some(domain) = find_ours(connection, vm)? else { return Ok(None) };
            domain.get_xml_desc(0).map(Some).map_err(failed("virDomainGetXMLDesc"))
        })
        .await?
        .ok_or_else(|| wrong_state(vm, VmState::Absent, "start it"))?;
    vnc(&xml).ok_or_else(|| AgentError::NotFound { what: "VNC console".into(), name: vm.to_string() })
}

fn vnc(xml: &str) -> Option<ConsoleAddress> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let graphics =
        document.descendants().find(|node| node.has_tag_name("graphics") && node.attribute("type") == Some("vnc"))?;
    let listen: IpAddr = graphics
        .children()
        .filter(|node| node.has_tag_name("listen"))
        .find_map(|node| node.attribute("address")?.parse().ok())
        .or_else(|| graphics.attribute("listen")?.parse().ok())?;
    // Until QEMU has bound it, the port is -1.
    Some(ConsoleAddress { listen, port: graphics.attribute("port")?.parse().ok().filter(|port| *port != 0)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_live_xml() {
        let xml = "<domain><devices><graphics type='spice' port='1'/><graphics type='vnc' port='5903' autoport='yes' \
                   listen='10.0.0.1'><listen type='address' address='10.0.0.1'/></graphics></devices></domain>";
        let address = vnc(xml).unwrap();
        assert_eq!((address.listen.to_string().as_str(), address.port), ("10.0.0.1", 5903));
    }

    #[test]
    fn a_console_without_a_port_yet_is_no_console() {
        assert_eq!(vnc("<domain><graphics type='vnc' port='-1' listen='::1'/></domain>"), None);
        assert_eq!(vnc("<domain/>"), None);
    }
}

//! A VM's VNC console: connections to it, and its port, where it has one.

use std::{net::IpAddr, os::unix::net::UnixStream as StdUnixStream, time::Duration};

use gantry_common::{
    agent::{AgentError, ConsoleAddress, VmState},
    id::VmUuid,
};
use tokio::net::UnixStream;

use super::{Host, look::find_ours, wrong_state};
use crate::libvirt::{failed, ffi};

const DEADLINE: Duration = Duration::from_secs(10);

/// Opens a connection to the console, which no other program of the host can reach.
pub async fn open(host: &Host, vm: VmUuid) -> Result<UnixStream, AgentError> {
    const OPERATION: &str = "virDomainOpenGraphicsFD";
    let descriptor = host
        .commands
        .call_on(vm, OPERATION, DEADLINE, move |connection| {
            let Some(domain) = find_ours(connection, vm)? else { return Ok(None) };
            ffi::open_graphics(&domain).map(Some).map_err(failed(OPERATION))
        })
        .await?
        .ok_or_else(|| not_running(vm))?;
    let stream = StdUnixStream::from(descriptor);
    let stream = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
    stream.map_err(|error| AgentError::Internal { reason: format!("the console's socket: {error}") })
}

/// The console's port, which libvirt chose when the VM started, if it has one.
pub async fn address(host: &Host, vm: VmUuid) -> Result<Option<ConsoleAddress>, AgentError> {
    let xml = host
        .observer
        .executor()
        .call("virDomainGetXMLDesc", DEADLINE, move |connection| {
            let Some(domain) = find_ours(connection, vm)? else { return Ok(None) };
            domain.get_xml_desc(0).map(Some).map_err(failed("virDomainGetXMLDesc"))
        })
        .await?
        .ok_or_else(|| not_running(vm))?;
    Ok(port(&xml))
}

fn not_running(vm: VmUuid) -> AgentError {
    wrong_state(vm, VmState::Absent, "start it")
}

fn port(xml: &str) -> Option<ConsoleAddress> {
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
    fn the_port_is_read_from_the_live_xml() {
        let xml = "<domain><devices><graphics type='spice' port='1'/><graphics type='vnc' port='5903' autoport='yes' \
                   listen='10.0.0.1'><listen type='address' address='10.0.0.1'/></graphics></devices></domain>";
        let address = port(xml).unwrap();
        assert_eq!((address.listen.to_string().as_str(), address.port), ("10.0.0.1", 5903));
    }

    #[test]
    fn a_console_that_listens_nowhere_has_no_port() {
        assert_eq!(port("<domain><graphics type='vnc'><listen type='none'/></graphics></domain>"), None);
        assert_eq!(port("<domain><graphics type='vnc' port='-1' listen='::1'/></domain>"), None);
        assert_eq!(port("<domain/>"), None);
    }
}

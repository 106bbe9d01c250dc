//! Network interfaces.

use gantry_common::agent::{AgentError, Network, Nic, VmSpec};

use super::{boot::BootOrder, hardware::Hardware, xml::Element};

/// The interfaces, in order of their number: guests name them by the order they find them in.
pub fn interfaces(spec: &VmSpec, hardware: Hardware, boot: BootOrder) -> Result<Vec<Element>, AgentError> {
    let mut nics: Vec<&Nic> = spec.nics.iter().collect();
    nics.sort_by_key(|nic| nic.device_id);
    nics.into_iter()
        .enumerate()
        .map(|(position, nic)| {
            let order = boot.first_nic.filter(|_| position == 0);
            Ok(interface(nic, network_of(spec, nic)?, hardware).children(order.map(super::boot::order)))
        })
        .collect()
}

/// One interface, for a machine that runs: what it boots from is settled.
pub fn plugged(spec: &VmSpec, nic: &Nic, hardware: Hardware) -> Result<Element, AgentError> {
    Ok(interface(nic, network_of(spec, nic)?, hardware))
}

fn network_of<'a>(spec: &'a VmSpec, nic: &Nic) -> Result<&'a Network, AgentError> {
    spec.networks.iter().find(|network| network.l3_network == nic.l3_network).ok_or_else(|| {
        AgentError::invalid("vm.nics.l3Network", nic.l3_network, "describe the interface's network in vm.networks")
    })
}

fn interface(nic: &Nic, network: &Network, hardware: Hardware) -> Element {
    Element::new("interface")
        .attr("type", "bridge")
        .children([
            Element::new("mac").attr("address", nic.mac),
            Element::new("source").attr("bridge", &network.bridge.name),
            Element::new("target").attr("dev", &nic.tap),
            Element::new("model").attr("type", hardware.nic_model),
        ])
        .children(network.mtu.map(|mtu| Element::new("mtu").attr("size", mtu)))
}

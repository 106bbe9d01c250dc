//! Keeps each network's DHCP and user data to the guests it is for, on this host.
//!
//! Every host has the same service address and 169.254.169.254 on the same wire, and networks that share a bridge have
//! the latter twice. So a service namespace's port exchanges packets with the interfaces of its own network on this host
//! and with nothing else: not with the physical interface, not with the host.

use gantry_common::agent::{Network, Nic};

use super::{
    packet_filter::Element,
    service_namespace::{USERDATA_ADDRESS, port_name},
};

/// The sets and chains.
pub(super) const RULES: &str = "\
  set services { type ifname; }
  set uplinks { type ifname; }
  set served { type ifname . ifname; }
  set dhcp_guests { type ifname; }
  set hidden { type ifname . ipv4_addr; }
  chain between_ports {
    type filter hook forward priority -300; policy accept;
    iifname @services iifname . oifname != @served drop
    oifname @services iifname . oifname != @served drop
    iifname @uplinks jump from_outside
    oifname @uplinks jump to_outside
  }
  chain from_outside {
    iifname . arp saddr ip @hidden drop
    iifname . arp daddr ip @hidden drop
    iifname . ip saddr @hidden drop
    iifname . ip daddr @hidden drop
    oifname @dhcp_guests udp sport 67 udp dport 68 drop
  }
  chain to_outside {
    oifname . arp saddr ip @hidden drop
    oifname . arp daddr ip @hidden drop
    oifname . ip saddr @hidden drop
    oifname . ip daddr @hidden drop
    iifname @dhcp_guests udp sport 68 udp dport 67 drop
  }
  chain from_host {
    type filter hook output priority -300; policy accept;
    oifname @services drop
  }
  chain to_host {
    type filter hook input priority -300; policy accept;
    iifname @services drop
  }
";

/// Whether the network has a service namespace.
pub(super) fn has_services(network: &Network) -> bool {
    network.dhcp || network.userdata
}

/// The network's elements of the sets.
pub(super) fn network_elements(network: &Network) -> Vec<Element> {
    let Some(service_address) = network.service_address.filter(|_| has_services(network)) else { return Vec::new() };
    let physical = &network.bridge.physical_interface;
    let mut elements = vec![
        Element::new("services", format!("\"{}\"", port_name(network.l3_network))),
        Element::new("uplinks", format!("\"{physical}\"")),
        Element::new("hidden", format!("\"{physical}\" . {service_address}")),
    ];
    if network.userdata {
        elements.push(Element::new("hidden", format!("\"{physical}\" . {USERDATA_ADDRESS}")));
    }
    elements
}

/// The elements of an interface on the network.
pub(super) fn nic_elements(nic: &Nic, network: &Network) -> Vec<Element> {
    if !has_services(network) {
        return Vec::new();
    }
    let (tap, port) = (&nic.tap, port_name(network.l3_network));
    let mut elements = vec![
        Element::new("served", format!("\"{tap}\" . \"{port}\"")),
        Element::new("served", format!("\"{port}\" . \"{tap}\"")),
    ];
    if network.dhcp {
        elements.push(Element::new("dhcp_guests", format!("\"{tap}\"")));
    }
    elements
}

//! Keeps a guest to its own addresses.
//!
//! A guarded interface may send, from its own MAC address only:
//! - IPv4 from its own address, and DHCP requests from 0.0.0.0; never as a DHCP server;
//! - ARP with its own addresses as the sender, and probes with the sender 0.0.0.0 (RFC 5227);
//! - IPv6 from any link-local address, since guests choose theirs at random (RFC 7217), and from `::` to detect
//!   duplicates; never router advertisements or as a DHCP server.
//!
//! All else is dropped, before the bridge learns from it: VLAN tags, spanning tree, LLDP.
//! An interface without anti-spoofing is meant to be a router or a server of the network, and nothing is dropped.

use gantry_common::agent::Nic;

use super::packet_filter::Element;

/// The sets and chains; `guests` sees every packet that comes in by any port of any bridge.
pub(super) const RULES: &str = "\
  set guarded { type ifname; }
  set macs { type ifname . ether_addr; }
  set addresses { type ifname . ether_addr . ipv4_addr; }
  chain guests {
    type filter hook prerouting priority -300; policy accept;
    iifname @guarded jump guarded
  }
  chain guarded {
    iifname . ether saddr != @macs drop
    ether type arp jump guarded_arp
    ether type ip jump guarded_ipv4
    ether type ip6 jump guarded_ipv6
    drop
  }
  chain guarded_arp {
    iifname . arp saddr ether . arp saddr ip @addresses accept
    arp saddr ip 0.0.0.0 iifname . arp saddr ether @macs accept
    drop
  }
  chain guarded_ipv4 {
    udp sport 67 drop
    iifname . ether saddr . ip saddr @addresses accept
    ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
    drop
  }
  chain guarded_ipv6 {
    icmpv6 type nd-router-advert drop
    udp sport 547 drop
    ip6 saddr fe80::/64 accept
    ip6 saddr :: icmpv6 type { nd-neighbor-solicit, nd-router-solicit, mld-listener-report, mld2-listener-report } accept
    drop
  }
";

/// The interface's elements of the sets.
pub(super) fn elements(nic: &Nic) -> Vec<Element> {
    if !nic.anti_spoofing {
        return Vec::new();
    }
    let Nic { tap, mac, ip, .. } = nic;
    vec![
        Element::new("macs", format!("\"{tap}\" . {mac}")),
        Element::new("addresses", format!("\"{tap}\" . {mac} . {ip}")),
        // Last: from here on everything not named above is dropped.
        Element::new("guarded", format!("\"{tap}\"")),
    ]
}

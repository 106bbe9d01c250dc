//! Moves the addresses and routes of one interface to another, back too, without cutting off who is connected.
//!
//! An address is first added to the new interface and only then removed from the old one, and a route is replaced by
//! its twin in one step: at no moment does the host lack one of its addresses or a way to its peers.

use std::{fs, net::IpAddr, path::PathBuf};

use gantry_common::agent::AgentError;
use nix::libc;
use rtnetlink::packet_route::{
    AddressFamily,
    address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage},
    route::{RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHopFlags, RouteProtocol, RouteType},
};

use super::netlink::{Link, Netlink, answer, unless};

/// The kernel's own table of local addresses; its entries come and go with the addresses.
const LOCAL_TABLE: u8 = 255;
/// The unit of times in routes: USER_HZ, 100 on every architecture that Linux runs KVM on.
const CLOCK_TICKS_PER_SECOND: u32 = 100;
/// Settings of an interface that its addresses rely on, under /proc/sys/net.
const SETTINGS: [(&str, &str); 11] = [
    ("ipv4", "forwarding"),
    ("ipv4", "rp_filter"),
    ("ipv4", "arp_ignore"),
    ("ipv4", "arp_announce"),
    ("ipv4", "proxy_arp"),
    ("ipv4", "accept_local"),
    ("ipv6", "disable_ipv6"),
    ("ipv6", "addr_gen_mode"),
    ("ipv6", "forwarding"),
    ("ipv6", "accept_ra"),
    ("ipv6", "autoconf"),
];

/// The addresses and routes of an interface at one moment.
#[derive(Debug, Clone)]
pub(super) struct Addressing {
    addresses: Vec<AddressMessage>,
    routes: Vec<RouteMessage>,
}

impl Addressing {
    /// What `link` has, but for what the kernel itself puts on every interface.
    ///
    /// # Errors
    /// [`AgentError::Network`] when a route cannot be moved.
    pub(super) async fn of(netlink: &Netlink, link: &Link) -> Result<Self, AgentError> {
        let (mut addresses, mut v6): (Vec<_>, Vec<_>) = netlink
            .addresses(link.index)
            .await?
            .into_iter()
            .filter(|address| !is_link_local_v6(address))
            .partition(|address| address.header.family == AddressFamily::Inet);
        // The kernel lists IPv6 addresses with the newest first; the order decides which one is the source of a packet.
        v6.reverse();
        addresses.append(&mut v6);
        let prefixes: Vec<_> = addresses.iter().filter_map(automatic_prefix).collect();
        let mut routes = Vec::new();
        for route in netlink.routes().await? {
            if !is_movable(&route, link.index) || is_automatic(&route, &prefixes) {
                continue;
            }
            if route.attributes.iter().any(|attribute| matches!(attribute, RouteAttribute::NhId(_))) {
                return Err(AgentError::Network {
                    operation: format!("move the routes of {}", link.name),
                    reason: "one of them is by a nexthop object (`ip nexthop`); replace it with a plain route"
                        .to_owned(),
                });
            }
            routes.push(route);
        }
        // A gateway must be reachable before the route through it is made.
        routes.sort_by_key(has_gateway);
        Ok(Self { addresses, routes })
    }

    /// An IPv4 address whose lifetime somebody must renew.
    pub(super) fn leased_address(&self) -> Option<IpAddr> {
        self.addresses
            .iter()
            .filter(|message| message.header.family == AddressFamily::Inet)
            .find(|message| {
                message.attributes.iter().any(
                    |attribute| matches!(attribute, AddressAttribute::CacheInfo(life) if life.ifa_valid != u32::MAX),
                )
            })
            .and_then(own_address)
    }

    /// Adds the addresses to `link`, which may have some of them already.
    pub(super) async fn add_addresses(&self, netlink: &Netlink, link: &Link) -> Result<(), AgentError> {
        for address in &self.addresses {
            let operation = format!("add {} to {}", describe(address), link.name);
            let mut request = netlink.handle().address().add(link.index, IpAddr::from([0, 0, 0, 0]), 0);
            *request.message_mut() = address_on(address, link);
            answer(operation, unless(&[libc::EEXIST], request.execute())).await?;
        }
        Ok(())
    }

    /// Replaces the routes by the same through `to` instead of `from`.
    pub(super) async fn switch_routes(&self, netlink: &Netlink, from: &Link, to: &Link) -> Result<(), AgentError> {
        for route in &self.routes {
            let message = route_through(route, from.index, to.index);
            // EEXIST: it is there, as the automatic route of an address for example.
            let request = netlink.handle().route().add(message).replace().execute();
            answer(format!("move a route to {}", to.name), unless(&[libc::EEXIST], request)).await?;
        }
        Ok(())
    }

    /// Removes the addresses from `link`, the last one first: a first one may take the others of its subnet along.
    pub(super) async fn remove_addresses(&self, netlink: &Netlink, link: &Link) -> Result<(), AgentError> {
        for address in self.addresses.iter().rev() {
            let operation = format!("remove {} from {}", describe(address), link.name);
            let request = netlink.handle().address().del(address_on(address, link)).execute();
            answer(operation, unless(&[libc::EADDRNOTAVAIL, libc::ENODEV], request)).await?;
        }
        Ok(())
    }
}

/// Removes what is left of the routes through `link`: the kernel keeps the route of an IPv6 subnet until it expires.
pub(super) async fn remove_routes(netlink: &Netlink, link: &Link) -> Result<(), AgentError> {
    for route in netlink.routes().await?.iter().filter(|route| is_movable(route, link.index)) {
        let message = route_through(route, link.index, link.index);
        let request = netlink.handle().route().del(message).execute();
        answer(format!("remove a route through {}", link.name), unless(&[libc::ESRCH], request)).await?;
    }
    Ok(())
}

/// Gives `to` the settings under /proc/sys/net that `from` has. Best effort: not every kernel has every setting.
pub(super) fn copy_settings(from: &Link, to: &Link) {
    let file = |link: &Link, (family, setting): (&str, &str)| {
        ["/proc/sys/net", family, "conf", &link.name, setting].iter().collect::<PathBuf>()
    };
    for setting in SETTINGS {
        let (old, new) = (fs::read(file(from, setting)), fs::read(file(to, setting)));
        if let (Ok(old), Ok(new)) = (old, new)
            && old != new
            && let Err(error) = fs::write(file(to, setting), old)
        {
            tracing::warn!(interface = to.name, setting = setting.1, %error, "setting not carried over");
        }
    }
}

fn is_link_local_v6(message: &AddressMessage) -> bool {
    matches!(own_address(message), Some(IpAddr::V6(address)) if address.is_unicast_link_local())
}

/// The address itself: of a point-to-point address the near end.
fn own_address(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    local.or_else(|| peer_address(message))
}

fn peer_address(message: &AddressMessage) -> Option<IpAddr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    })
}

fn describe(message: &AddressMessage) -> String {
    own_address(message).map_or_else(String::new, |address| format!("{address}/{}", message.header.prefix_len))
}

fn flags(message: &AddressMessage) -> AddressFlags {
    message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            AddressAttribute::Flags(flags) => Some(*flags),
            _ => None,
        })
        .unwrap_or(AddressFlags::empty())
}

/// The subnet that the kernel makes a route to when the address is added.
fn automatic_prefix(message: &AddressMessage) -> Option<(IpAddr, u8)> {
    if flags(message).contains(AddressFlags::Noprefixroute) {
        return None;
    }
    let prefix_length = message.header.prefix_len;
    let address = peer_address(message)?;
    Some((ipnet::IpNet::new(address, prefix_length).ok()?.network(), prefix_length))
}

/// The same address as it is to be on `link`.
fn address_on(message: &AddressMessage, link: &Link) -> AddressMessage {
    let v6 = message.header.family == AddressFamily::Inet6;
    let mut moved = message.clone();
    moved.header.index = link.index;
    moved.header.flags = AddressHeaderFlags::empty();
    moved.attributes = message
        .attributes
        .iter()
        .filter_map(|attribute| match attribute {
            AddressAttribute::Label(label) => {
                let suffix = label.split_once(':').map_or(String::new(), |(_, suffix)| format!(":{suffix}"));
                let label = format!("{}{suffix}", link.name);
                (label.len() <= 15).then_some(AddressAttribute::Label(label))
            }
            AddressAttribute::Flags(flags) => {
                let mut kept = *flags & (AddressFlags::Noprefixroute | AddressFlags::Homeaddress);
                if v6 {
                    // The address was in use a moment ago on the same wire: it needs no detection of duplicates, which
                    // would keep it from being used for a second.
                    kept |= AddressFlags::Nodad;
                }
                Some(AddressAttribute::Flags(kept))
            }
            AddressAttribute::Address(_)
            | AddressAttribute::Local(_)
            | AddressAttribute::Broadcast(_)
            | AddressAttribute::CacheInfo(_)
            | AddressAttribute::RoutePriority(_)
            | AddressAttribute::Protocol(_) => Some(attribute.clone()),
            _ => None,
        })
        .collect();
    moved
}

fn is_movable(route: &RouteMessage, index: u32) -> bool {
    let through = route.attributes.iter().any(|attribute| match attribute {
        RouteAttribute::Oif(oif) => *oif == index,
        RouteAttribute::MultiPath(hops) => hops.iter().any(|hop| hop.interface_index == index),
        _ => false,
    });
    through
        && route.header.table != LOCAL_TABLE
        && !route.header.flags.contains(RouteFlags::Cloned)
        && route.header.kind == RouteType::Unicast
        && !is_to_link_local_v6(route)
}

fn is_to_link_local_v6(route: &RouteMessage) -> bool {
    matches!(destination(route), Some(IpAddr::V6(address)) if address.is_unicast_link_local())
}

fn destination(route: &RouteMessage) -> Option<IpAddr> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Destination(RouteAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })
}

/// Whether the kernel makes the route when one of the addresses is added.
fn is_automatic(route: &RouteMessage, prefixes: &[(IpAddr, u8)]) -> bool {
    route.header.protocol == RouteProtocol::Kernel
        && destination(route)
            .is_some_and(|address| prefixes.contains(&(address, route.header.destination_prefix_length)))
}

fn has_gateway(route: &RouteMessage) -> bool {
    route.attributes.iter().any(|attribute| {
        matches!(attribute, RouteAttribute::Gateway(_) | RouteAttribute::Via(_) | RouteAttribute::MultiPath(_))
    })
}

/// The same route through the interface `to` wherever it went through `from`.
fn route_through(route: &RouteMessage, from: u32, to: u32) -> RouteMessage {
    let mut moved = route.clone();
    moved.header.flags &= RouteFlags::Onlink;
    moved.attributes = Vec::with_capacity(route.attributes.len());
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => {
                moved.attributes.push(RouteAttribute::Oif(if *index == from { to } else { *index }));
            }
            RouteAttribute::MultiPath(hops) => {
                let mut hops = hops.clone();
                for hop in &mut hops {
                    hop.flags &= RouteNextHopFlags::Onlink;
                    if hop.interface_index == from {
                        hop.interface_index = to;
                    }
                }
                moved.attributes.push(RouteAttribute::MultiPath(hops));
            }
            // A route learned from a router's advertisement ends unless it is renewed.
            RouteAttribute::CacheInfo(cache) if cache.expires > 0 => {
                moved.attributes.push(RouteAttribute::Expires(cache.expires / CLOCK_TICKS_PER_SECOND));
            }
            RouteAttribute::CacheInfo(_)
            | RouteAttribute::Expires(_)
            | RouteAttribute::Iif(_)
            | RouteAttribute::Uid(_)
            | RouteAttribute::Other(_) => {}
            kept => moved.attributes.push(kept.clone()),
        }
    }
    moved
}

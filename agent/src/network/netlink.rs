//! The kernel's interfaces, addresses and routes.

use futures_util::TryStreamExt;
use gantry_common::{agent::AgentError, net::MacAddress};
use rtnetlink::{
    Handle, LinkBridge, LinkMessageBuilder, LinkUnspec,
    packet_route::{
        AddressFamily,
        address::AddressMessage,
        link::{BridgeStpState, InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
        route::RouteMessage,
    },
};
use tokio::task::JoinHandle;

/// A connection to the kernel. Short-lived: one per operation.
pub(super) struct Netlink {
    handle: Handle,
    connection: JoinHandle<()>,
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// An interface.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Link {
    pub index: u32,
    pub name: String,
    pub mac: Option<MacAddress>,
    pub mtu: u32,
    pub loopback: bool,
    pub up: bool,
    /// The bridge or bond it is a port of.
    pub controller: Option<u32>,
    /// What it is, where it is not a plain device.
    pub kind: Option<InfoKind>,
}

impl Link {
    pub(super) fn is_bridge(&self) -> bool {
        self.kind == Some(InfoKind::Bridge)
    }

    fn parse(message: LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            mac: None,
            mtu: 0,
            loopback: message.header.flags.contains(LinkFlags::Loopback),
            up: message.header.flags.contains(LinkFlags::Up),
            controller: None,
            kind: None,
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Address(mac) => link.mac = <[u8; 6]>::try_from(mac).ok().map(MacAddress::from),
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::Controller(index) if index != 0 => link.controller = Some(index),
                LinkAttribute::LinkInfo(infos) => {
                    link.kind = infos.into_iter().find_map(|info| match info {
                        LinkInfo::Kind(kind) => Some(kind),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        link
    }
}

/// An error of the change `operation`, in the kernel's words.
pub(super) fn failed(operation: impl Into<String>) -> impl FnOnce(rtnetlink::Error) -> AgentError {
    let operation = operation.into();
    move |error| {
        let reason = match error {
            rtnetlink::Error::NetlinkError(message) => message.to_io().to_string(),
            other => other.to_string(),
        };
        AgentError::Network { operation, reason }
    }
}

/// Takes an error of one of the kinds in `expected` (numbers of `errno`) as a success.
pub(super) fn unless(expected: &[i32], outcome: Result<(), rtnetlink::Error>) -> Result<(), rtnetlink::Error> {
    match outcome {
        Err(rtnetlink::Error::NetlinkError(message)) if expected.contains(&message.raw_code().abs()) => Ok(()),
        other => other,
    }
}

impl Netlink {
    pub(super) fn open() -> Result<Self, AgentError> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(|error| AgentError::Network {
            operation: "open a netlink socket".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self { handle, connection: tokio::spawn(connection) })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) async fn links(&self) -> Result<Vec<Link>, AgentError> {
        let messages: Vec<_> =
            self.handle.link().get().execute().try_collect().await.map_err(failed("list the interfaces"))?;
        Ok(messages.into_iter().map(Link::parse).collect())
    }

    pub(super) async fn link(&self, name: &str) -> Result<Option<Link>, AgentError> {
        match self.handle.link().get().match_name(name).execute().try_next().await {
            Ok(message) => Ok(message.map(Link::parse)),
            Err(rtnetlink::Error::NetlinkError(message)) if message.raw_code().abs() == nix::libc::ENODEV => Ok(None),
            Err(error) => Err(failed(format!("look for the interface {name}"))(error)),
        }
    }

    pub(super) async fn addresses(&self, index: u32) -> Result<Vec<AddressMessage>, AgentError> {
        let request = self.handle.address().get().set_link_index_filter(index);
        request.execute().try_collect().await.map_err(failed("list the addresses"))
    }

    pub(super) async fn routes(&self) -> Result<Vec<RouteMessage>, AgentError> {
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut filter = RouteMessage::default();
            filter.header.address_family = family;
            let found: Vec<_> =
                self.handle.route().get(filter).execute().try_collect().await.map_err(failed("list the routes"))?;
            routes.extend(found);
        }
        Ok(routes)
    }

    /// Makes a bridge without spanning tree, so that a new port forwards at once. Its MAC address is set and not
    /// derived: a derived one changes with the ports, and every neighbour's ARP entry goes stale.
    /// VLAN filtering is off by default; naming it fails on kernels built without it.
    pub(super) async fn add_bridge(&self, name: &str, mac: MacAddress) -> Result<(), AgentError> {
        let message = LinkMessageBuilder::<LinkBridge>::new(name)
            .address(mac.octets().to_vec())
            .stp_state(BridgeStpState::Disabled)
            .forward_delay(0)
            .nf_call_iptables(false)
            .nf_call_ip6tables(false)
            .nf_call_arptables(false)
            .build();
        self.handle.link().add(message).execute().await.map_err(failed(format!("make the bridge {name}")))
    }

    /// Sets the MTU. On a bridge it stays as set, whatever its ports have.
    pub(super) async fn set_mtu(&self, link: &Link, mtu: u32) -> Result<(), AgentError> {
        let message = LinkUnspec::new_with_index(link.index).mtu(mtu).build();
        self.change(message, format!("set the MTU of {} to {mtu}", link.name)).await
    }

    pub(super) async fn set_up(&self, link: &Link) -> Result<(), AgentError> {
        let message = LinkUnspec::new_with_index(link.index).up().build();
        self.change(message, format!("bring {} up", link.name)).await
    }

    /// Makes `port` a port of `bridge`, or of none.
    pub(super) async fn set_bridge_of(&self, port: &Link, bridge: Option<&Link>) -> Result<(), AgentError> {
        let index = bridge.map_or(0, |bridge| bridge.index);
        let message = LinkUnspec::new_with_index(port.index).controller(index).build();
        let operation = match bridge {
            Some(bridge) => format!("make {} a port of {}", port.name, bridge.name),
            None => format!("take {} out of its bridge", port.name),
        };
        self.change(message, operation).await
    }

    pub(super) async fn remove(&self, link: &Link) -> Result<(), AgentError> {
        let outcome = self.handle.link().del(link.index).execute().await;
        unless(&[nix::libc::ENODEV], outcome).map_err(failed(format!("remove {}", link.name)))
    }

    async fn change(&self, message: LinkMessage, operation: String) -> Result<(), AgentError> {
        self.handle.link().set(message).execute().await.map_err(failed(operation))
    }
}

//! The kernel's interfaces, addresses and routes.

use std::{future::Future, time::Duration};

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

/// Far more than the kernel takes, which may have other programs' changes to do first.
const DEADLINE: Duration = Duration::from_secs(10);

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

/// Waits for the kernel's answer to a request, and puts an error in its words.
///
/// # Errors
/// [`AgentError::Network`] when it refuses, [`AgentError::Timeout`] when the answer does not come: the library drops an
/// answer that it cannot decode, and waits on.
pub(super) async fn answer<T>(
    operation: impl Into<String>,
    request: impl Future<Output = Result<T, rtnetlink::Error>>,
) -> Result<T, AgentError> {
    let operation = operation.into();
    match tokio::time::timeout(DEADLINE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(rtnetlink::Error::NetlinkError(message))) => {
            Err(AgentError::Network { operation, reason: message.to_io().to_string() })
        }
        Ok(Err(other)) => Err(AgentError::Network { operation, reason: other.to_string() }),
        Err(_) => Err(AgentError::Timeout { operation, seconds: DEADLINE.as_secs() }),
    }
}

/// Takes an error of one of the kinds in `expected` (numbers of `errno`) as a success.
pub(super) async fn unless(
    expected: &[i32],
    request: impl Future<Output = Result<(), rtnetlink::Error>>,
) -> Result<(), rtnetlink::Error> {
    match request.await {
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
        let request = self.handle.link().get().execute().try_collect::<Vec<_>>();
        let messages = answer("list the interfaces", request).await?;
        Ok(messages.into_iter().map(Link::parse).collect())
    }

    pub(super) async fn link(&self, name: &str) -> Result<Option<Link>, AgentError> {
        let request = async {
            match self.handle.link().get().match_name(name).execute().try_next().await {
                Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code().abs() == nix::libc::ENODEV => Ok(None),
                found => found,
            }
        };
        Ok(answer(format!("look for the interface {name}"), request).await?.map(Link::parse))
    }

    pub(super) async fn addresses(&self, index: u32) -> Result<Vec<AddressMessage>, AgentError> {
        let request = self.handle.address().get().set_link_index_filter(index);
        answer("list the addresses", request.execute().try_collect()).await
    }

    pub(super) async fn routes(&self) -> Result<Vec<RouteMessage>, AgentError> {
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut filter = RouteMessage::default();
            filter.header.address_family = family;
            let request = self.handle.route().get(filter).execute().try_collect::<Vec<_>>();
            routes.extend(answer("list the routes", request).await?);
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
        answer(format!("make the bridge {name}"), self.handle.link().add(message).execute()).await
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
        let request = self.handle.link().del(link.index).execute();
        answer(format!("remove {}", link.name), unless(&[nix::libc::ENODEV], request)).await
    }

    async fn change(&self, message: LinkMessage, operation: String) -> Result<(), AgentError> {
        answer(operation, self.handle.link().set(message).execute()).await
    }
}

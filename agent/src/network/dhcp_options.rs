//! What dnsmasq is told: its configuration, the options guests get, and one fixed lease per interface.

use std::{fmt::Write as _, net::Ipv4Addr, path::Path};

use gantry_common::{
    agent::{AgentError, Network, Nic},
    net::MacAddress,
};
use ipnet::Ipv4Net;

use super::service_namespace::{INNER_INTERFACE, USERDATA_ADDRESS};

/// The tag of interfaces that do not carry their guest's default route.
const SECONDARY: &str = "secondary";
const SECONDARY_ONLY: &str = "tag:secondary,";

/// How long a lease lasts. A guest renews it when half of that has passed, and then gets what has changed since.
const LEASE: &str = "1h";

/// The files dnsmasq reads and writes, all in one directory per network.
pub(super) struct DhcpFiles<'a>(pub &'a Path);

impl DhcpFiles<'_> {
    pub(super) fn configuration(&self) -> std::path::PathBuf {
        self.0.join("dnsmasq.conf")
    }

    pub(super) fn pid(&self) -> std::path::PathBuf {
        self.0.join("dnsmasq.pid")
    }

    pub(super) fn leases(&self) -> std::path::PathBuf {
        self.0.join("leases")
    }

    /// One file per interface that does not carry its guest's default route.
    pub(super) fn secondary(&self) -> std::path::PathBuf {
        self.0.join("secondary")
    }

    pub(super) fn options(&self) -> std::path::PathBuf {
        self.0.join("options")
    }
}

/// dnsmasq's configuration. It answers only interfaces that have a file in the lease directory, and keeps no database:
/// the files are the leases.
pub(super) fn configuration(network: &Network, files: &DhcpFiles<'_>) -> String {
    format!(
        "port=0\ninterface={INNER_INTERFACE}\nexcept-interface=lo\nbind-interfaces\nno-resolv\nno-hosts\n\
         dhcp-range={network_address},static,{netmask},{LEASE}\ndhcp-authoritative\ndhcp-ignore=tag:!known\n\
         dhcp-lease-max=65536\nleasefile-ro\nquiet-dhcp\ndhcp-hostsdir={leases}\ndhcp-optsdir={options}\n\
         conf-dir={secondary}\npid-file={pid}\n",
        network_address = network.subnet.network(),
        netmask = network.subnet.netmask(),
        leases = files.leases().display(),
        options = files.options().display(),
        secondary = files.secondary().display(),
        pid = files.pid().display(),
    )
}

/// The options of a network: one line each, as in dnsmasq's `dhcp-option`.
pub(super) fn options(network: &Network) -> Result<String, AgentError> {
    check(network)?;
    let mut text = String::new();
    for (tag, gateway) in [("", network.gateway), (SECONDARY_ONLY, None)] {
        // A line without a value keeps dnsmasq from sending its own address, or the value of the line without a tag.
        let value = gateway.map_or_else(String::new, |gateway| format!(",{gateway}"));
        let _ = writeln!(text, "{tag}option:router{value}");
        let routes: String = classless_routes(network, gateway)
            .into_iter()
            .map(|(prefix, next_hop)| format!(",{prefix},{next_hop}"))
            .collect();
        let _ = writeln!(text, "{tag}option:classless-static-route{routes}");
    }
    let servers: String = network.dns.iter().map(|server| format!(",{server}")).collect();
    let _ = writeln!(text, "option:dns-server{servers}");
    if let Some(domain) = &network.dns_domain {
        let _ = writeln!(text, "option:domain-name,{domain}");
    }
    if let Some(mtu) = network.mtu {
        let _ = writeln!(text, "option:mtu,{mtu}");
    }
    Ok(text)
}

/// The routes of option 121. A client that takes them ignores the router option (RFC 3442), so the default route is
/// among them. The route to the user data makes it reachable without a gateway.
fn classless_routes(network: &Network, gateway: Option<Ipv4Addr>) -> Vec<(Ipv4Net, Ipv4Addr)> {
    let mut routes: Vec<_> = network.host_routes.iter().map(|route| (route.prefix.trunc(), route.next_hop)).collect();
    if let Some(service_address) = network.service_address.filter(|_| network.userdata) {
        routes.push((Ipv4Net::from(USERDATA_ADDRESS), service_address));
    }
    if !routes.is_empty()
        && let Some(gateway) = gateway
        && !routes.iter().any(|(prefix, _)| prefix.prefix_len() == 0)
    {
        routes.push((Ipv4Net::default(), gateway));
    }
    routes
}

/// An interface's lease: one line, as in dnsmasq's `dhcp-host`.
///
/// It must not set a tag: dnsmasq, 2.90 at least, ends with a double free when it reads such a line again after it served
/// the interface.
pub(super) fn lease(nic: &Nic, hostname: Option<&str>) -> String {
    let hostname = hostname.and_then(host_label).map_or_else(String::new, |label| format!(",{label}"));
    format!("{},{}{hostname},{LEASE}\n", nic.mac, nic.ip)
}

/// What marks an interface as secondary, in dnsmasq's configuration.
pub(super) fn secondary_mark(nic: &Nic) -> String {
    format!("dhcp-mac=set:{SECONDARY},{}\n", nic.mac)
}

/// The first label of a host name, where it is one that DHCP can carry.
fn host_label(hostname: &str) -> Option<&str> {
    let label = hostname.split('.').next().unwrap_or_default();
    is_label(label).then_some(label)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Refuses values that DHCP cannot carry.
fn check(network: &Network) -> Result<(), AgentError> {
    if let Some(domain) = &network.dns_domain
        && (domain.len() > 253 || !domain.split('.').all(is_label))
    {
        let remedy = "a DNS domain is labels of letters, digits and '-' with dots between, such as example.com";
        return Err(AgentError::invalid("dnsDomain", domain, remedy));
    }
    // 68: the smallest MTU of IPv4 (RFC 791).
    if let Some(mtu) = network.mtu.filter(|mtu| *mtu < 68) {
        return Err(AgentError::invalid("mtu", mtu, "an IPv4 network's MTU is at least 68"));
    }
    let bytes: usize = classless_routes(network, network.gateway)
        .iter()
        .map(|(prefix, _)| 1 + usize::from(prefix.prefix_len()).div_ceil(8) + 4)
        .sum();
    if bytes > 255 {
        let remedy = format!("they take {bytes} bytes in a DHCP answer and 255 are the most; hand out fewer");
        return Err(AgentError::invalid("hostRoutes", network.host_routes.len(), remedy));
    }
    if network.dns.len() > 63 {
        return Err(AgentError::invalid("dns", network.dns.len(), "a DHCP answer carries at most 63 DNS servers"));
    }
    Ok(())
}

/// A message that gives a lease back (DHCPRELEASE of RFC 2131), as dnsmasq needs before the address can be another
/// interface's.
pub(super) fn release(mac: MacAddress, address: Ipv4Addr, server: Ipv4Addr) -> Vec<u8> {
    // A BOOTP message has 300 bytes at least; what is not set is zero.
    let mut message = vec![0; 300];
    message[..4].copy_from_slice(&[1, 1, 6, 0]);
    message[4..8].copy_from_slice(&u32::from(address).to_be_bytes());
    message[12..16].copy_from_slice(&address.octets());
    message[28..34].copy_from_slice(&mac.octets());
    // The magic cookie, then option 53 (message type 7, release) and option 54 (server).
    message[236..240].copy_from_slice(&[99, 130, 83, 99]);
    message[240..245].copy_from_slice(&[53, 1, 7, 54, 4]);
    message[245..249].copy_from_slice(&server.octets());
    message[249] = 255;
    message
}

#[cfg(test)]
mod tests {
    use gantry_common::{
        agent::{Bridge, HostRoute},
        id::{L2NetworkUuid, L3NetworkUuid, NicUuid},
    };

    use super::*;

    fn network() -> Network {
        Network {
            l3_network: L3NetworkUuid::random(),
            bridge: Bridge {
                l2_network: L2NetworkUuid::random(),
                name: "br_eth0".to_owned(),
                physical_interface: "eth0".to_owned(),
            },
            subnet: "10.9.1.0/24".parse().unwrap(),
            gateway: Some(Ipv4Addr::new(10, 9, 1, 1)),
            service_address: Some(Ipv4Addr::new(10, 9, 1, 2)),
            dhcp: true,
            userdata: true,
            dns: vec![Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(1, 1, 1, 1)],
            dns_domain: Some("lab.example".to_owned()),
            mtu: Some(1450),
            host_routes: vec![HostRoute {
                prefix: "10.8.0.5/16".parse().unwrap(),
                next_hop: Ipv4Addr::new(10, 9, 1, 7),
            }],
        }
    }

    #[test]
    fn option_121_repeats_the_default_route_and_leads_to_the_user_data() {
        assert_eq!(
            options(&network()).unwrap(),
            "option:router,10.9.1.1\n\
             option:classless-static-route,10.8.0.0/16,10.9.1.7,169.254.169.254/32,10.9.1.2,0.0.0.0/0,10.9.1.1\n\
             tag:secondary,option:router\n\
             tag:secondary,option:classless-static-route,10.8.0.0/16,10.9.1.7,169.254.169.254/32,10.9.1.2\n\
             option:dns-server,9.9.9.9,1.1.1.1\n\
             option:domain-name,lab.example\n\
             option:mtu,1450\n"
        );
    }

    #[test]
    fn a_bare_network_hands_out_neither_router_nor_dns() {
        let bare = Network {
            gateway: None,
            userdata: false,
            dns: Vec::new(),
            dns_domain: None,
            mtu: None,
            host_routes: Vec::new(),
            ..network()
        };
        assert_eq!(
            options(&bare).unwrap(),
            "option:router\noption:classless-static-route\ntag:secondary,option:router\n\
             tag:secondary,option:classless-static-route\noption:dns-server\n"
        );
    }

    #[test]
    fn a_default_route_among_the_host_routes_is_not_doubled() {
        let mut network = network();
        network.host_routes[0].prefix = Ipv4Net::default();
        assert_eq!(
            classless_routes(&network, network.gateway).iter().filter(|route| route.0.prefix_len() == 0).count(),
            1
        );
    }

    #[test]
    fn what_could_break_out_of_its_line_is_refused_with_the_field_named() {
        for domain in ["a\noption:router,6.6.6.6", "a,b", "", "-a.b", "a..b"] {
            let error = options(&Network { dns_domain: Some(domain.to_owned()), ..network() }).unwrap_err();
            assert!(matches!(error, AgentError::InvalidArgument { field, .. } if field == "dnsDomain"), "{domain}");
        }
        let mut many = network();
        many.host_routes = vec![many.host_routes[0].clone(); 40];
        assert!(options(&many).unwrap_err().to_string().starts_with("hostRoutes '40'"));
    }

    #[test]
    fn a_lease_carries_the_host_name_only_where_dhcp_can() {
        let nic = Nic {
            uuid: NicUuid::random(),
            device_id: 0,
            l3_network: L3NetworkUuid::random(),
            tap: "vnic1.0".to_owned(),
            mac: "fa:00:00:00:00:01".parse().unwrap(),
            ip: Ipv4Addr::new(10, 9, 1, 9),
            is_default: true,
            anti_spoofing: true,
        };
        assert_eq!(lease(&nic, Some("web-1.example.com")), "fa:00:00:00:00:01,10.9.1.9,web-1,1h\n");
        for unusable in [None, Some("a b"), Some("a,ignore"), Some("x\n"), Some("")] {
            assert_eq!(lease(&nic, unusable), "fa:00:00:00:00:01,10.9.1.9,1h\n");
        }
        assert_eq!(secondary_mark(&nic), "dhcp-mac=set:secondary,fa:00:00:00:00:01\n");
    }

    #[test]
    fn a_release_names_the_client_the_address_and_the_server() {
        let message =
            release("fa:00:00:00:00:01".parse().unwrap(), Ipv4Addr::new(10, 9, 1, 9), Ipv4Addr::new(10, 9, 1, 2));
        assert_eq!(message.len(), 300);
        assert_eq!(message[12..16], [10, 9, 1, 9]);
        assert_eq!(message[28..34], [0xfa, 0, 0, 0, 0, 1]);
        assert_eq!(message[236..250], [99, 130, 83, 99, 53, 1, 7, 54, 4, 10, 9, 1, 2, 255]);
    }
}

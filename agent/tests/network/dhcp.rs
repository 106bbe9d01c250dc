//! Leases.

use gantry_common::agent::{AgentError, HostRoute, Network};

use crate::world::{Guest, assert_same, dnsmasq_pids, in_namespaces, network, nic, run, vm};

/// Leases are asked for and given back, and dnsmasq reads its files again after each.
#[test]
fn dhcp_outlives_many_changes() {
    in_namespaces("dhcp::dhcp_outlives_many_changes", |world| async move {
        let networks = world.networks();
        let stays = vm(9);
        networks.attach_vm(&stays).await.unwrap();
        let guest = Guest::boot(&stays.nics[0]);
        let before = dnsmasq_pids();
        for number in 10..15 {
            let mut vm = vm(number);
            networks.attach_vm(&vm).await.unwrap();
            let other = Guest::boot(&vm.nics[0]);
            assert!(guest.lease().is_some() && other.lease().is_some());
            vm.guest_data.hostname = Some("renamed".to_owned());
            networks.attach_vm(&vm).await.unwrap();
            assert_eq!(value(&other.lease().unwrap(), "hostname"), Some("renamed"));
            networks.detach_vm(vm.uuid).await.unwrap();
            assert_eq!(other.lease(), None);
        }
        assert_eq!(dnsmasq_pids(), before);
    });
}

fn value<'a>(lease: &'a str, name: &str) -> Option<&'a str> {
    lease.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[test]
fn a_guest_gets_its_own_address_and_the_network_s_options() {
    in_namespaces("dhcp::a_guest_gets_its_own_address_and_the_network_s_options", |world| async move {
        let networks = world.networks();
        let vm = vm(9);
        networks.attach_vm(&vm).await.unwrap();
        let lease = Guest::boot(&vm.nics[0]).lease().expect("an answer");
        assert_eq!(value(&lease, "ip"), Some("10.9.1.9"));
        assert_eq!(value(&lease, "subnet"), Some("255.255.255.0"));
        assert_eq!(value(&lease, "router"), Some("10.9.1.1"));
        assert_eq!(value(&lease, "dns"), Some("9.9.9.9"));
        assert_eq!(value(&lease, "domain"), Some("lab.example"));
        assert_eq!(value(&lease, "hostname"), Some("web-9"));
        assert_eq!(value(&lease, "mtu"), Some("1450"));
        assert_eq!(value(&lease, "lease"), Some("3600"));
        assert_eq!(
            value(&lease, "staticroutes"),
            Some("10.8.0.0/16 10.9.1.7 169.254.169.254/32 10.9.1.2 0.0.0.0/0 10.9.1.1")
        );
    });
}

#[test]
fn only_known_interfaces_get_an_answer() {
    in_namespaces("dhcp::only_known_interfaces_get_an_answer", |world| async move {
        let networks = world.networks();
        let mut known = vm(9);
        known.nics[0].anti_spoofing = false;
        networks.attach_vm(&known).await.unwrap();
        let guest = Guest::boot(&known.nics[0]);
        guest.run("ip link set eth0 address fa:00:00:00:00:77");
        assert_eq!(guest.lease(), None);
        guest.run(&format!("ip link set eth0 address {}", known.nics[0].mac));
        assert!(guest.lease().is_some());
        assert_eq!(Guest::on("stray", "fa:00:00:00:00:09").lease(), None);
    });
}

#[test]
fn a_secondary_interface_gets_no_default_route() {
    in_namespaces("dhcp::a_secondary_interface_gets_no_default_route", |world| async move {
        let networks = world.networks();
        let mut vm = vm(9);
        vm.nics.push(nic(10));
        vm.nics[1].is_default = false;
        networks.attach_vm(&vm).await.unwrap();
        let lease = Guest::boot(&vm.nics[1]).lease().expect("an answer");
        assert_eq!(value(&lease, "ip"), Some("10.9.1.10"));
        assert_eq!(value(&lease, "router"), None);
        assert_eq!(value(&lease, "staticroutes"), Some("10.8.0.0/16 10.9.1.7 169.254.169.254/32 10.9.1.2"));
    });
}

#[test]
fn an_address_is_another_vm_s_as_soon_as_it_is_given_back() {
    in_namespaces("dhcp::an_address_is_another_vm_s_as_soon_as_it_is_given_back", |world| async move {
        let networks = world.networks();
        let first = vm(9);
        networks.attach_vm(&first).await.unwrap();
        let guest = Guest::boot(&first.nics[0]);
        assert!(guest.lease().is_some());
        guest.shut_down();
        networks.detach_vm(first.uuid).await.unwrap();

        let mut second = vm(10);
        second.nics[0].ip = first.nics[0].ip;
        networks.attach_vm(&second).await.unwrap();
        let lease = Guest::boot(&second.nics[0]).lease().expect("an answer");
        assert_eq!(value(&lease, "ip"), Some("10.9.1.9"));
        // The other's interface, were it still there, gets nothing.
        assert_eq!(Guest::boot(&first.nics[0]).lease(), None);
    });
}

#[test]
fn changed_options_reach_guests_without_a_restart_of_dhcp() {
    in_namespaces("dhcp::changed_options_reach_guests_without_a_restart_of_dhcp", |world| async move {
        let networks = world.networks();
        let vm = vm(9);
        networks.attach_vm(&vm).await.unwrap();
        let guest = Guest::boot(&vm.nics[0]);
        let before = dnsmasq_pids();
        let changed = Network {
            dns: vec!["1.1.1.1".parse().unwrap(), "8.8.8.8".parse().unwrap()],
            mtu: None,
            host_routes: vec![HostRoute {
                prefix: "10.7.0.0/16".parse().unwrap(),
                next_hop: "10.9.1.8".parse().unwrap(),
            }],
            ..network()
        };
        networks.ensure_network(&changed).await.unwrap();
        let lease = guest.lease().expect("an answer");
        assert_eq!(value(&lease, "dns"), Some("1.1.1.1 8.8.8.8"));
        assert_eq!(value(&lease, "mtu"), None);
        assert!(value(&lease, "staticroutes").unwrap().starts_with("10.7.0.0/16 10.9.1.8 "));
        assert_eq!(dnsmasq_pids(), before);
    });
}

#[test]
fn a_new_service_address_takes_over_with_all_leases() {
    in_namespaces("dhcp::a_new_service_address_takes_over_with_all_leases", |world| async move {
        let networks = world.networks();
        let vm = vm(9);
        networks.attach_vm(&vm).await.unwrap();
        let guest = Guest::boot(&vm.nics[0]);
        let changed = Network { service_address: Some("10.9.1.3".parse().unwrap()), ..network() };
        networks.ensure_network(&changed).await.unwrap();
        let lease = guest.lease().expect("an answer");
        assert_eq!(value(&lease, "serverid"), Some("10.9.1.3"));
        assert_eq!(value(&lease, "ip"), Some("10.9.1.9"));
        assert_eq!(dnsmasq_pids().len(), 1);
    });
}

#[test]
fn values_that_cannot_be_served_are_refused_and_nothing_is_made() {
    in_namespaces("dhcp::values_that_cannot_be_served_are_refused_and_nothing_is_made", |world| async move {
        let networks = world.networks();
        let before = world.snapshot();
        for (refused, field) in [
            (Network { service_address: None, ..network() }, "serviceAddress"),
            (Network { service_address: Some("10.8.0.1".parse().unwrap()), ..network() }, "serviceAddress"),
            (Network { service_address: network().gateway, ..network() }, "serviceAddress"),
            (Network { dns_domain: Some("a\nb".to_owned()), ..network() }, "dnsDomain"),
            (Network { mtu: Some(10), ..network() }, "mtu"),
        ] {
            let error = networks.ensure_network(&refused).await.unwrap_err();
            assert!(matches!(&error, AgentError::InvalidArgument { field: found, .. } if found == field), "{error}");
        }
        let mut wrong = vm(9);
        wrong.nics[0].ip = "10.77.0.1".parse().unwrap();
        let error = networks.attach_vm(&wrong).await.unwrap_err();
        assert!(error.to_string().starts_with("ip '10.77.0.1'"), "{error}");
        assert_same(&world.snapshot(), &before);
        assert_eq!(run("nft list ruleset"), "");
    });
}

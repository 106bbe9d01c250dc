//! User data over HTTP.

use gantry_common::agent::Network;

use crate::world::{Guest, SERVICE, in_namespaces, network, nic, vm};

/// A guest whose route to the user data is as DHCP hands it out.
fn boot(nic: &gantry_common::agent::Nic) -> Guest {
    let guest = Guest::boot(nic);
    guest.set_address(&nic.ip.to_string());
    guest.run(&format!("ip route add 169.254.169.254/32 via {SERVICE}"));
    guest
}

#[test]
fn a_guest_reads_its_own_data_in_both_forms() {
    in_namespaces("userdata::a_guest_reads_its_own_data_in_both_forms", |world| async move {
        let networks = world.networks();
        let (first, second) = (vm(9), vm(10));
        networks.attach_vm(&first).await.unwrap();
        networks.attach_vm(&second).await.unwrap();
        for (vm, number) in [(&first, 9), (&second, 10)] {
            let guest = boot(&vm.nics[0]);
            let get = |path: &str| guest.get(&format!("http://169.254.169.254{path}"));
            let ok = |body: &str| ("200".to_owned(), body.to_owned());
            assert_eq!(get("/latest/user-data"), ok(&format!("#cloud-config\n# {number}\n")));
            assert_eq!(get("/2009-04-04/meta-data/instance-id"), ok(&vm.uuid.to_string()));
            assert_eq!(get("/2016-09-02/meta-data/local-ipv4"), ok(&format!("10.9.1.{number}")));
            assert_eq!(get("/latest/meta-data/public-keys/0/openssh-key"), ok("ssh-ed25519 AAAA user@example"));
            assert_eq!(get("/user-data"), ok(&format!("#cloud-config\n# {number}\n")));
            assert!(get("/meta-data").1.contains(&format!("local-hostname: \"web-{number}\"")));
            assert_eq!(get("/vendor-data"), ok(""));
            assert_eq!(get("/network-config").0, "404");
            assert_eq!(guest.get("-X PUT http://169.254.169.254/latest/api/token").0, "405");
        }
    });
}

#[test]
fn data_changes_with_the_next_attach_and_ends_with_the_vm() {
    in_namespaces("userdata::data_changes_with_the_next_attach_and_ends_with_the_vm", |world| async move {
        let networks = world.networks();
        let mut vm = vm(9);
        vm.nics[0].anti_spoofing = false;
        networks.attach_vm(&vm).await.unwrap();
        let guest = boot(&vm.nics[0]);
        vm.guest_data.userdata = None;
        networks.attach_vm(&vm).await.unwrap();
        assert_eq!(guest.get("http://169.254.169.254/latest/user-data").0, "404");
        assert_eq!(guest.get("http://169.254.169.254/user-data"), ("200".to_owned(), String::new()));
        // An address that is nobody's.
        guest.run("ip address flush dev eth0");
        guest.set_address("10.9.1.99");
        guest.run(&format!("ip route add 169.254.169.254/32 via {SERVICE}"));
        assert_eq!(guest.get("http://169.254.169.254/latest/meta-data/instance-id").0, "404");
    });
}

#[test]
fn networks_that_share_a_bridge_serve_their_own_guests() {
    in_namespaces("userdata::networks_that_share_a_bridge_serve_their_own_guests", |world| async move {
        let networks = world.networks();
        let first = vm(9);
        let mut second = vm(10);
        let other = Network {
            l3_network: "77777777777747777777777777777777".parse().unwrap(),
            subnet: "10.20.0.0/16".parse().unwrap(),
            service_address: Some("10.20.0.2".parse().unwrap()),
            gateway: None,
            host_routes: Vec::new(),
            ..network()
        };
        second.nics[0] =
            gantry_common::agent::Nic { l3_network: other.l3_network, ip: "10.20.0.9".parse().unwrap(), ..nic(10) };
        second.networks = vec![other];
        networks.attach_vm(&first).await.unwrap();
        networks.attach_vm(&second).await.unwrap();
        // On the wire's own terms: whoever answers for 169.254.169.254 first.
        for vm in [&first, &second] {
            let guest = Guest::boot(&vm.nics[0]);
            assert!(guest.lease().unwrap().contains(&format!("ip={}\n", vm.nics[0].ip)));
            guest.run(&format!("ip address add {}/16 dev eth0", vm.nics[0].ip));
            guest.run("ip route add 169.254.169.254/32 dev eth0");
            let (_, body) = guest.get("http://169.254.169.254/latest/meta-data/instance-id");
            assert_eq!(body, vm.uuid.to_string());
        }
    });
}

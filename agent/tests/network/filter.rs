//! Anti-spoofing, and the isolation of each host's services.

use gantry_common::agent::Network;

use crate::world::{BRIDGE, Guest, PEER, SERVICE, in_namespaces, network, nic, output, run, succeeds, vm, wait_until};

fn forget_neighbours() {
    for (namespace, device) in [("peer", "wire0"), ("guest-vnic9.0", "eth0"), ("guest-vnic10.0", "eth0")] {
        output(&format!("ip -n {namespace} neighbour flush dev {device}"));
    }
}

#[test]
fn a_guarded_guest_sends_from_its_own_addresses_only() {
    in_namespaces("filter::a_guarded_guest_sends_from_its_own_addresses_only", |world| async move {
        let networks = world.networks();
        let mut vm = vm(9);
        networks.attach_vm(&vm).await.unwrap();
        let guest = Guest::boot(&vm.nics[0]);
        guest.set_address("10.9.1.9");
        guest.run("ip address add 10.9.1.66/24 dev eth0");
        let own = "busybox ping -c 1 -W 1 -I 10.9.1.9";
        let stolen = "busybox ping -c 1 -W 1 -I 10.9.1.66";
        let announce = "busybox arping -c 1 -U -I eth0 -s 10.9.1.66 10.9.1.66";
        let link_local = "busybox ping6 -c 1 -W 1 -I eth0 fe80::99";
        run("ip -n peer address add fe80::99/64 dev wire0 nodad");
        let peer_knows = |address: &str| {
            run("ip -n peer neighbour show").lines().any(|line| line.starts_with(address) && line.contains("lladdr"))
        };
        // The peer takes up whatever it hears about itself and others.
        run("ip netns exec peer busybox sysctl -q -w net.ipv4.conf.wire0.arp_accept=1");

        assert!(guest.runs(&format!("{own} {PEER}")));
        wait_until("the guest's link-local address is usable", || guest.runs(link_local));
        assert!(!guest.runs(&format!("{stolen} {PEER}")));
        guest.runs(announce);
        assert!(!peer_knows("10.9.1.66"));
        forget_neighbours();
        guest.run("ip link set eth0 address fa:00:00:00:00:67");
        assert!(!guest.runs(&format!("{own} {PEER}")));
        assert!(!guest.runs(link_local));

        vm.nics[0].anti_spoofing = false;
        networks.attach_vm(&vm).await.unwrap();
        wait_until("another address is heard", || guest.runs(&format!("{stolen} {PEER}")));
        forget_neighbours();
        wait_until("another address is announced", || guest.runs(announce) && peer_knows("10.9.1.66"));
        wait_until("its own is heard", || guest.runs(&format!("{own} {PEER}")));
    });
}

#[test]
fn a_guarded_guest_is_no_dhcp_server() {
    in_namespaces("filter::a_guarded_guest_is_no_dhcp_server", |world| async move {
        let networks = world.networks();
        let mut rogue = vm(9);
        rogue.networks[0] = Network { dhcp: false, userdata: false, service_address: None, ..network() };
        networks.attach_vm(&rogue).await.unwrap();
        let server = Guest::boot(&rogue.nics[0]);
        server.set_address("10.9.1.9");
        std::fs::write("/run/udhcpd.conf", "start 10.9.1.50\nend 10.9.1.60\ninterface eth0\nlease_file /run/l\n")
            .unwrap();
        std::fs::write("/run/l", "").unwrap();
        let mut child = std::process::Command::new("ip")
            .args(["netns", "exec", "guest-vnic9.0", "busybox", "udhcpd", "-f", "/run/udhcpd.conf"])
            .spawn()
            .unwrap();
        let client = Guest::on("stray", "fa:00:00:00:00:77");
        assert_eq!(client.lease(), None);
        rogue.nics[0].anti_spoofing = false;
        networks.attach_vm(&rogue).await.unwrap();
        assert!(client.lease().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn the_services_of_a_host_are_seen_by_its_own_guests_only() {
    in_namespaces("filter::the_services_of_a_host_are_seen_by_its_own_guests_only", |world| async move {
        let networks = world.networks();
        let vm = vm(9);
        networks.attach_vm(&vm).await.unwrap();
        let guest = Guest::boot(&vm.nics[0]);
        guest.set_address("10.9.1.9");
        assert!(guest.pings(SERVICE) && guest.pings(PEER));
        // From the wire, from the host, from an interface that is not on the network.
        assert!(!succeeds(&format!("ip netns exec peer busybox ping -c 1 -W 1 {SERVICE}")));
        run(&format!("ip address add 10.9.1.250/24 dev {BRIDGE}"));
        assert!(succeeds(&format!("busybox ping -c 1 -W 1 {PEER}")));
        assert!(!succeeds(&format!("busybox ping -c 1 -W 1 {SERVICE}")));
        let stray = Guest::on("stray", "fa:00:00:00:00:77");
        stray.set_address("10.9.1.77");
        assert!(stray.pings(PEER) && !stray.pings(SERVICE));

        // Another host on the wire has the same addresses: no guest of this one hears from it.
        run(&format!("ip -n peer address add {SERVICE}/24 dev wire0"));
        run("ip -n peer address add 169.254.169.254/32 dev wire0");
        run("ip link set gsv8aef7e3a53b3 down");
        forget_neighbours();
        guest.run("ip route replace 169.254.169.254/32 dev eth0");
        assert!(guest.pings(PEER) && !guest.pings(SERVICE) && !guest.pings("169.254.169.254"));
        assert!(stray.pings(PEER));
    });
}

#[test]
fn a_served_guest_s_dhcp_stays_on_the_host() {
    in_namespaces("filter::a_served_guest_s_dhcp_stays_on_the_host", |world| async move {
        let networks = world.networks();
        std::fs::write("/run/udhcpd.conf", "start 10.9.1.50\nend 10.9.1.60\ninterface wire0\nlease_file /run/l\n")
            .unwrap();
        std::fs::write("/run/l", "").unwrap();
        let mut other = std::process::Command::new("ip")
            .args(["netns", "exec", "peer", "busybox", "udhcpd", "-f", "/run/udhcpd.conf"])
            .spawn()
            .unwrap();
        let vm = vm(9);
        networks.attach_vm(&vm).await.unwrap();
        let stray = Guest::on("stray", "fa:00:00:00:00:77");
        assert!(stray.lease().unwrap().contains("ip=10.9.1.5"), "the server on the wire answers others");
        let guest = Guest::boot(&vm.nics[0]);
        for _ in 0..3 {
            assert!(guest.lease().unwrap().contains("ip=10.9.1.9\n"));
        }
        run("ip link set gsv8aef7e3a53b3 down");
        assert_eq!(guest.lease(), None);
        other.kill().unwrap();
        other.wait().unwrap();
    });
}

#[test]
fn guests_reach_each_other() {
    in_namespaces("filter::guests_reach_each_other", |world| async move {
        let networks = world.networks();
        let (first, second) = (vm(9), vm(10));
        networks.attach_vm(&first).await.unwrap();
        networks.attach_vm(&second).await.unwrap();
        let (guest, other) = (Guest::boot(&first.nics[0]), Guest::boot(&nic(10)));
        guest.set_address("10.9.1.9");
        other.set_address("10.9.1.10");
        assert!(guest.pings("10.9.1.10") && other.pings("10.9.1.9"));
    });
}

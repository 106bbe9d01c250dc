//! Bridges and the addresses that move to them.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use gantry_common::agent::{AgentError, Bridge};

use crate::world::{BRIDGE, addresses, assert_same, bridge, in_namespaces, output, run, vm, wait_until};

/// A connection from the host to the peer that answers every byte.
struct Echo(TcpStream);

impl Echo {
    fn connect() -> Self {
        std::thread::spawn(|| {
            let namespace = std::fs::File::open("/run/netns/peer").unwrap();
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            let listener = TcpListener::bind("10.9.0.2:7").unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
        });
        wait_until("the peer listens", || {
            run("ip netns exec peer cat /proc/net/tcp").contains("0200090A:0007 00000000:0000 0A")
        });
        Self(TcpStream::connect("10.9.0.2:7").unwrap())
    }

    fn check(&mut self) {
        self.0.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        self.0.write_all(b"x").unwrap();
        self.0.read_exact(&mut [0]).unwrap();
    }
}

fn routes(interface: &str) -> String {
    let mut lines: Vec<String> = ["-4", "-6"]
        .iter()
        .flat_map(|family| {
            run(&format!("ip -o {family} route show table all"))
                .lines()
                .filter(|line| {
                    line.contains(&format!("dev {interface} "))
                        && !line.contains("table local")
                        && !line.contains("fe80::/64")
                        && !line.contains("multicast")
                })
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").replace(interface, "IF"))
                .collect::<Vec<_>>()
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

/// Lifetimes, which pass, rounded to whether there is one.
fn timeless(text: &str) -> String {
    let words = text.split_inclusive([' ', '\n']).map(|word| {
        let passes = word.trim_end().strip_suffix("sec").is_some_and(|number| number.parse::<u32>().is_ok());
        if passes { word.replace(|digit: char| digit.is_ascii_digit(), "") } else { word.to_owned() }
    });
    words.collect()
}

#[test]
fn addresses_and_routes_move_to_the_bridge_and_back_and_a_connection_goes_on() {
    in_namespaces(
        "bridges::addresses_and_routes_move_to_the_bridge_and_back_and_a_connection_goes_on",
        |world| async move {
            run("ip link set eth0 mtu 1400");
            run("ip address add 10.9.0.5/24 dev eth0 label eth0:one");
            run("ip address add 172.16.0.1/16 dev eth0 noprefixroute");
            run("ip address add fd00:9::1/64 dev eth0 nodad");
            run("ip address add fd00:a::1/64 dev eth0 nodad valid_lft 5000 preferred_lft 4000");
            run("ip route add default via 10.9.0.2 dev eth0 metric 50 proto static");
            run("ip route add 10.50.0.0/16 via 10.9.0.2 dev eth0 src 10.9.0.5");
            run("ip route add 10.51.0.0/16 via 10.9.0.2 dev eth0 table 1000");
            run("ip route add 10.52.0.1/32 dev eth0 scope link");
            run("ip -6 route add default via fd00:9::2 dev eth0 metric 70");
            let (old_addresses, old_routes) = (timeless(&addresses("eth0")), timeless(&routes("eth0")));
            assert_eq!(old_routes.lines().count(), 8, "{old_routes}");
            let mut echo = Echo::connect();
            echo.check();

            let networks = world.networks();
            for _ in 0..2 {
                networks.ensure_bridge(&bridge()).await.unwrap();
                echo.check();
                assert_eq!(timeless(&addresses(BRIDGE)), old_addresses);
                assert_eq!(timeless(&routes(BRIDGE)), old_routes);
                assert_eq!(addresses("eth0"), "");
                assert_eq!(routes("eth0"), "");
            }
            let link = run(&format!("ip -d link show {BRIDGE}"));
            for part in ["mtu 1400", "02:00:00:00:00:01", "stp_state 0", "forward_delay 0", "vlan_filtering 0"] {
                assert!(link.contains(part), "{part} in {link}");
            }

            networks.remove_bridge(&bridge()).await.unwrap();
            networks.remove_bridge(&bridge()).await.unwrap();
            echo.check();
            assert_eq!(timeless(&routes("eth0")), old_routes);
            assert_eq!(timeless(&addresses("eth0")), old_addresses);
            assert!(!output(&format!("ip link show {BRIDGE}")).status.success());
        },
    );
}

#[test]
fn a_move_that_fails_halfway_is_undone() {
    in_namespaces("bridges::a_move_that_fails_halfway_is_undone", |world| async move {
        // A route that the kernel keeps but would not take anew: one of its two ways is down.
        run("ip link add eth1 type veth peer name eth1peer");
        run("ip address add 10.10.0.1/24 dev eth1");
        run("ip link set eth1 up");
        run("ip link set eth1peer up");
        run("ip route add 10.60.0.0/16 nexthop via 10.9.0.2 dev eth0 nexthop via 10.10.0.2 dev eth1");
        run("ip route add 10.50.0.0/16 via 10.9.0.2 dev eth0");
        run("ip link set eth1 down");
        let mut echo = Echo::connect();
        echo.check();
        let before = world.snapshot();
        let error = world.networks().ensure_bridge(&bridge()).await.unwrap_err();
        assert!(matches!(error, AgentError::Network { .. }), "{error}");
        assert_same(&world.snapshot(), &before);
        echo.check();
    });
}

#[test]
fn a_bridge_that_an_agent_left_half_made_is_finished() {
    in_namespaces("bridges::a_bridge_that_an_agent_left_half_made_is_finished", |world| async move {
        run("ip route add default via 10.9.0.2 dev eth0");
        let (old_addresses, old_routes) = (addresses("eth0"), routes("eth0"));
        world.networks().ensure_bridge(&bridge()).await.unwrap();
        // As if the agent had been killed after the first steps.
        let record = "/run/gantry/network/bridges/br_eth0.json";
        let text = std::fs::read_to_string(record).unwrap();
        assert!(text.contains("\"settled\": true"));
        std::fs::write(record, text.replace("true", "false")).unwrap();
        run("ip address add 10.9.0.1/24 dev eth0");
        run("ip route replace default via 10.9.0.2 dev eth0");

        world.networks().restore().await.unwrap();
        assert_eq!(addresses(BRIDGE), old_addresses);
        assert_eq!(routes(BRIDGE), old_routes);
        assert_eq!(addresses("eth0") + &routes("eth0"), "");
    });
}

#[test]
fn interfaces_that_cannot_be_bridged_are_refused_with_the_reason() {
    in_namespaces("bridges::interfaces_that_cannot_be_bridged_are_refused_with_the_reason", |world| async move {
        run("ip link add other type bridge");
        run("ip link add taken type veth");
        run("ip link set taken master other");
        run("ip link add leased type veth");
        run("ip address add 10.11.0.1/24 dev leased valid_lft 600 preferred_lft 600");
        let before = world.snapshot();
        let networks = world.networks();
        for (name, physical, expected) in [
            ("br_x", "none0", "it has: eth0, leased, other, taken, veth0, veth1"),
            ("br_x", "lo", "loopback"),
            ("br_x", "other", "it is a bridge itself"),
            ("br_x", "taken", "the interface taken is used by other"),
            ("br_x", "leased", "10.11.0.1 is leased by a DHCP client"),
            ("eth0", "eth0", "a name of its own"),
            ("taken", "eth0", "is no bridge"),
            ("other", "eth0", "has the port taken but not eth0"),
            ("br_of_16_letters", "eth0", "1 to 15"),
            ("br x", "eth0", "1 to 15"),
        ] {
            let refused = Bridge { name: name.to_owned(), physical_interface: physical.to_owned(), ..bridge() };
            let error = networks.ensure_bridge(&refused).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{name} {physical}: {error}");
        }
        assert_same(&world.snapshot(), &before);
    });
}

#[test]
fn a_bridge_made_by_the_administrator_is_used_and_never_removed() {
    in_namespaces("bridges::a_bridge_made_by_the_administrator_is_used_and_never_removed", |world| async move {
        run(&format!("ip link add {BRIDGE} type bridge"));
        run(&format!("ip link set {BRIDGE} up"));
        run(&format!("ip link set eth0 master {BRIDGE}"));
        let before = world.snapshot();
        let networks = world.networks();
        networks.ensure_bridge(&bridge()).await.unwrap();
        networks.remove_bridge(&bridge()).await.unwrap();
        assert_same(&world.snapshot(), &before);
    });
}

#[test]
fn a_bridge_with_guests_is_not_removed() {
    in_namespaces("bridges::a_bridge_with_guests_is_not_removed", |world| async move {
        let networks = world.networks();
        let vm = vm(9);
        networks.attach_vm(&vm).await.unwrap();
        let error = networks.remove_bridge(&bridge()).await.unwrap_err();
        assert!(error.to_string().contains(&format!("used by VM {}", vm.uuid)), "{error}");
        networks.detach_vm(vm.uuid).await.unwrap();

        run("ip link add stray type veth");
        run(&format!("ip link set stray master {BRIDGE}"));
        let error = networks.remove_bridge(&bridge()).await.unwrap_err();
        assert_eq!(error, AgentError::InUse { what: "bridge br_eth0".into(), user: "the interface stray".into() });
        run("ip link delete stray");
        networks.remove_bridge(&bridge()).await.unwrap();
    });
}

//! An operator gives a running VM a second network and a disc, and takes both away again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use gantry_tests::{ALWAYS, Client, ImageServer, Kind, Lab, LabHost, Management, Site, eventually, text};
use serde_json::{Value, json};

/// A VM that runs, and where to look at it.
struct Running<'a> {
    client: &'a Client,
    host: LabHost<'a>,
    vm: String,
}

impl Running<'_> {
    fn path(&self, rest: &str) -> String {
        format!("/vm-instances/{}{rest}", self.vm)
    }

    fn act(&self, action: &str, params: &Value) -> Value {
        self.client.act(&self.path("/actions"), action, params).unwrap()
    }

    /// The VM's interface on a network.
    fn nic(&self, l3: &str) -> Option<Value> {
        self.client
            .query("/vm-instances/nics", &[&format!("vmInstanceUuid={}", self.vm), &format!("l3NetworkUuid={l3}")])
            .pop()
    }

    fn in_guest(&self, script: &str) -> String {
        self.host.in_guest(&self.vm, script)
    }

    fn until_ready(&self, boots: usize) {
        self.host.console_shows(&self.vm, "that it is ready", |console| (console.boots() >= boots).then_some(()));
    }

    /// Waits until what the guest has of its interfaces by DHCP contains all of this.
    fn lease_shows(&self, facts: &[&str]) {
        eventually(&format!("the guest has {facts:?}"), ALWAYS, || {
            let seen = self.in_guest("cat /run/nics/*");
            facts.iter().all(|fact| seen.contains(fact)).then_some(())
        });
    }

    /// Has the guest renew the lease of an interface, as it does by itself every half hour.
    fn renew(&self, interface: &str) {
        self.in_guest(&format!("kill -USR1 $(cat /run/udhcpc.{interface}.pid)"));
    }

    /// What QEMU has in the VM's drives.
    fn drives(&self) -> String {
        self.host.run(&format!("virsh qemu-monitor-command {} --hmp 'info block'", self.vm))
    }

    fn packet_filter_knows(&self, tap: &str) -> bool {
        self.host.run("nft list table bridge gantry").contains(tap)
    }
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| text(one, "name")).collect()
}

fn reason(details: &Value, uuid: &str) -> String {
    let found = details.as_array().unwrap().iter().find(|one| one["uuid"] == json!(uuid));
    text(found.unwrap_or_else(|| panic!("{uuid} is not explained: {details}")), "reason")
}

#[test]
fn a_running_vm_gets_a_second_network_and_lives_on_with_it_alone() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let node = Management::start(&[]);
    let client = &node.client();
    let site = Site::set_up(client, &lab);
    let host = lab.host(1);
    let (_, second) = site.second_network(client);
    let vm = Running { client, host, vm: site.vm_on(client, 1, "server", &[]) };
    vm.until_ready(1);
    let free = || client.get(&format!("/ip-capacity?l3NetworkUuids={second}")).unwrap()["availableCapacity"].clone();
    let free_before = free();

    let list = client.get(&vm.path("/l3-networks-candidates")).unwrap();
    assert_eq!(names(&list["inventories"]), ["second guests"]);
    assert!(reason(&list["details"], &site.l3_network).contains("already"));

    let wanted = "10.77.0.150";
    client.create(&vm.path(&format!("/l3-networks/{second}")), &json!({ "staticIp": wanted })).unwrap();
    let nic = vm.nic(&second).unwrap();
    let (mac, tap) = (text(&nic, "mac"), text(&nic, "internalName"));
    assert_eq!(text(&nic, "ip"), wanted);
    // libvirt and the wire have it, and the guest has its lease.
    let interfaces = host.run(&format!("virsh domiflist {}", vm.vm));
    assert!(interfaces.contains(&mac) && interfaces.contains(&tap), "{interfaces}");
    assert!(host.run("ip -o link show master br_eth1").contains(&tap) && vm.packet_filter_knows(&tap));
    vm.lease_shows(&[&format!("mac={mac} ip={wanted}/24")]);
    // The first interface still carries the default route.
    let route = vm.in_guest("ip route | grep ^default");
    assert!(route.contains("dev eth0") && !route.contains("dev eth1"), "{route}");
    // It is reached from its wire, and cannot use another address there.
    host.run("ip addr add 10.77.0.2/24 dev br_eth1");
    host.run(&format!("ping -q -c 2 -W 2 {wanted}"));
    let ask =
        |from: &str| vm.in_guest(&format!("arping -q -c 2 -w 3 -I eth1 -s {from} 10.77.0.2 && echo answered || true"));
    vm.in_guest("ip addr add 10.77.0.99/24 dev eth1");
    assert_eq!((ask(wanted).trim(), ask("10.77.0.99").trim()), ("answered", ""));
    vm.in_guest("ip addr del 10.77.0.99/24 dev eth1");

    // What changes of a network reaches its running guests when they renew their leases.
    client.create(&format!("/l3-networks/{second}/dns"), &json!({ "dns": "10.77.0.53" })).unwrap();
    client.create(&format!("/l3-networks/{second}/mtu"), &json!({ "mtu": 1400 })).unwrap();
    let route = json!({ "prefix": "10.78.0.0/16", "nexthop": "10.77.0.2" });
    client.create(&format!("/l3-networks/{second}/hostroute"), &route).unwrap();
    vm.renew("eth1");
    vm.lease_shows(&["mtu=1400", "dns=10.77.0.53", "10.78.0.0/16,10.77.0.2"]);
    assert!(vm.in_guest("ip route get 10.78.0.1").contains("via 10.77.0.2 dev eth1"));

    // The first network goes, and with it the default route.
    let first = vm.nic(&site.l3_network).unwrap();
    let left = client.delete(&format!("/vm-instances/nics/{}", text(&first, "uuid"))).unwrap();
    assert_eq!(left["inventory"]["defaultL3NetworkUuid"], json!(second));
    assert!(!host.run(&format!("virsh domiflist {}", vm.vm)).contains(&text(&first, "mac")));
    let tap = text(&first, "internalName");
    assert!(!host.succeeds(&format!("ip link show {tap}")) && !vm.packet_filter_knows(&tap));
    assert_eq!(vm.in_guest("ls /sys/class/net").split_whitespace().collect::<Vec<_>>(), ["eth1", "lo"]);
    vm.renew("eth1");
    eventually("the default route is the second network's", ALWAYS, || {
        vm.in_guest("ip route").contains("default via 10.77.0.1 dev eth1").then_some(())
    });
    let available = client.get(&format!("/l3-networks/{}/ip/{}/availability", site.l3_network, text(&first, "ip")));
    assert_eq!(available.unwrap()["available"], json!(true));

    // Another address is kept for it until it starts again.
    vm.act("setVmStaticIp", &json!({ "l3NetworkUuid": second, "ip": "10.77.0.160" }));
    assert_eq!(text(&vm.nic(&second).unwrap(), "ip"), wanted);
    vm.act("stopVmInstance", &json!({ "type": "cold" }));
    vm.act("startVmInstance", &json!({}));
    vm.until_ready(2);
    assert_eq!(host.console(&vm.vm).fact("ip").as_deref(), Some("10.77.0.160"));

    client.delete(&format!("/vm-instances/nics/{}", text(&vm.nic(&second).unwrap(), "uuid"))).unwrap();
    assert_eq!(free(), free_before);
    assert_eq!(vm.in_guest("ls /sys/class/net").trim(), "lo");
    assert!(!host.run("ls /sys/class/net").contains("vnic"));
}

#[test]
fn a_disc_is_put_into_a_running_vm_and_taken_out_again() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let node = Management::start(&[]);
    let client = &node.client();
    let site = Site::set_up(client, &lab);
    let host = lab.host(1);
    let server = ImageServer::start(&lab.address(1), &Lab::guest_disc());
    let iso = text(&client.create("/images", &site.iso_params(server.url())).unwrap(), "uuid");
    let vm = Running { client, host, vm: site.vm_on(client, 1, "server", &[]) };
    let attach = || client.create(&vm.path(&format!("/iso/{iso}")), &json!({}));
    let detach = || client.delete_by(&vm.path("/iso"), &[("isoUuid", &iso)]);
    let pid = host.qemu_pid(&vm.vm);

    let isos = client.get(&vm.path("/iso-candidates")).unwrap();
    assert_eq!((names(&isos["inventories"]), isos["details"].clone()), (vec!["disc".to_owned()], json!([])));
    let vms = client.get(&format!("/images/iso/{iso}/vm-candidates")).unwrap();
    assert_eq!(names(&vms["inventories"]), ["server"]);

    assert!(!vm.drives().contains(&iso));
    attach().unwrap();
    let cached = format!("/imagecache/template/{iso}/{iso}.iso");
    assert!(vm.drives().contains(&cached), "{}", vm.drives());
    assert!(host.run(&format!("virsh domblklist {}", vm.vm)).contains(&cached));
    assert_eq!(host.qemu_pid(&vm.vm), pid);
    let again = attach().unwrap_err();
    assert_eq!(again.code, "SYS.1012", "{again:?}");
    let isos = client.get(&vm.path("/iso-candidates")).unwrap();
    assert_eq!((isos["inventories"].clone(), reason(&isos["details"], &iso)), (json!([]), again.details));
    let with_it = client.query("/vm-instances", &[&format!("__systemTag__~=iso::{iso}::%")]);
    assert_eq!(text(&with_it[0], "uuid"), vm.vm);

    // An image in a drive can be put aside, and not removed.
    client.delete(&format!("/images/{iso}")).unwrap();
    let refused = client.act(&format!("/images/{iso}/actions"), "expungeImage", &json!({})).unwrap_err();
    assert_eq!(refused.code, "SYS.1008", "{refused:?}");
    client.act(&format!("/images/{iso}/actions"), "recoverImage", &json!({})).unwrap();

    // It stays in over a restart, and is taken out of a VM that is off as well.
    vm.act("stopVmInstance", &json!({ "type": "cold" }));
    vm.act("startVmInstance", &json!({}));
    assert!(vm.drives().contains(&cached));
    detach().unwrap();
    assert!(!vm.drives().contains(&iso), "{}", vm.drives());
    let refused = detach().unwrap_err();
    assert_eq!(refused.code, "SYS.1007", "{refused:?}");
    client.delete(&vm.path("/iso")).expect("there is nothing to take out");

    vm.act("stopVmInstance", &json!({ "type": "cold" }));
    attach().unwrap();
    vm.act("startVmInstance", &json!({}));
    assert!(vm.drives().contains(&cached));
    client.delete(&vm.path("/iso")).expect("the one disc is the one that is meant");
    assert!(!vm.drives().contains(&iso));
}

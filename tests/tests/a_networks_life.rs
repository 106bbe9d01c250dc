//! A network gets addresses and services, its guests live with what changes of them, and it is taken away under running VMs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use gantry_tests::{ALWAYS, Client, Kind, Lab, LabHost, Management, Site, eventually, text};
use serde_json::{Value, json};

/// The network, as the API and the host's kernel have it.
struct Network<'a> {
    client: &'a Client,
    host: LabHost<'a>,
    l2: String,
    l3: String,
}

impl Network<'_> {
    /// Calls an operation that names the L3 network.
    fn done(&self, operation: &str, mut params: Value) -> Value {
        params["l3NetworkUuid"] = json!(self.l3);
        self.client.done(operation, &params)
    }

    fn is_available(&self, ip: &str) -> bool {
        self.done("CheckIpAvailability", json!({ "ip": ip }))["available"] == json!(true)
    }

    /// How many addresses it has to give, and how many of them nobody has.
    fn capacity(&self) -> (u64, u64) {
        let found = self.client.done("GetIpAddressCapacity", &json!({ "l3NetworkUuids": [self.l3] }));
        (found["totalCapacity"].as_u64().unwrap(), found["availableCapacity"].as_u64().unwrap())
    }

    fn dhcp_address(&self) -> Option<String> {
        self.done("GetL3NetworkDhcpIpAddress", json!({}))["ip"].as_str().map(str::to_owned)
    }

    /// The namespace that its services are in on the host.
    fn namespace(&self) -> String {
        format!("gantry-{}", &self.l3[..12])
    }

    fn has_namespace(&self) -> bool {
        self.host.run("ip netns list").contains(&self.namespace())
    }

    /// Whether dnsmasq listens on the host for its guests, on this address.
    fn serves_dhcp_at(&self, ip: &str) -> bool {
        let inside = format!("nsenter --net=/run/netns/{}", self.namespace());
        self.host.run(&format!("{inside} ip -o -4 addr show dev eth0")).contains(&format!("inet {ip}/"))
            && self.host.run(&format!("{inside} ss --no-header -lunp 'sport = 67'")).contains("dnsmasq")
    }

    fn has_bridge(&self) -> bool {
        self.host.succeeds("ip link show br_eth1")
    }

    fn range(&self, name: &str, first: u8, last: u8) -> String {
        let params = json!({
            "name": name, "startIp": format!("10.77.0.{first}"), "endIp": format!("10.77.0.{last}"),
            "netmask": "255.255.255.0", "gateway": "10.77.0.1",
        });
        text(&self.done("AddIpRange", params)["inventory"], "uuid")
    }

    /// What CreateVmInstance takes for a VM that is on the network alone, with this address.
    fn vm_params(&self, site: &Site, name: &str, image: &str, ip: &str) -> Value {
        let mut params = site.vm_params(name);
        params["imageUuid"] = json!(image);
        params["l3NetworkUuids"] = json!([self.l3]);
        params["systemTags"] = json!([format!("staticIp::{}::{ip}", self.l3)]);
        params
    }

    /// A VM's interfaces: their addresses.
    fn addresses_of(&self, vm: &str) -> Vec<String> {
        let nics = self.client.query("/vm-instances/nics", &[&format!("vmInstanceUuid={vm}")]);
        nics.iter().map(|nic| text(nic, "ip")).collect()
    }

    /// Checks that a VM is off, by its record and on its host.
    fn is_off(&self, vm: &str) {
        assert_eq!(self.client.vm_state(vm), "Stopped");
        assert_eq!(self.host.domain_state(vm), None);
    }

    /// Checks that a VM runs and has no interface, by its record, on its host and in its guest.
    fn runs_on_without(&self, vm: &str) {
        assert!(self.addresses_of(vm).is_empty());
        assert_eq!(self.host.domain_state(vm).as_deref(), Some("running"));
        assert!(!self.host.run(&format!("virsh domiflist {vm}")).contains("vnic"));
        assert_eq!(self.host.in_guest(vm, "ls /sys/class/net").trim(), "lo");
    }

    fn start(&self, vm: &str) {
        self.client.done("StartVmInstance", &json!({ "uuid": vm }));
        assert_eq!(self.host.domain_state(vm).as_deref(), Some("running"));
    }
}

#[test]
fn a_network_is_made_changed_under_its_guests_and_taken_away_from_them() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let node = Management::start(&[]);
    let client = &node.client();
    let site = Site::set_up(client, &lab);
    let host = lab.host(1);
    let blank = site.blank_image(client, &lab);
    // On a blank disk nobody answers who could shut down, or let go of an interface, when a network goes.
    client.set("vm", "stop.gracePeriod", "1");

    let l2 = json!({ "name": "wire", "zoneUuid": site.zone, "physicalInterface": "eth1" });
    let l2 = text(&client.done("CreateL2NoVlanNetwork", &l2)["inventory"], "uuid");
    let l3 = json!({ "name": "guests", "l2NetworkUuid": l2 });
    let l3 = text(&client.done("CreateL3Network", &l3)["inventory"], "uuid");
    let network = Network { client, host, l2, l3 };
    let on_cluster = json!({ "l2NetworkUuid": network.l2, "clusterUuid": site.cluster });
    assert!(!network.has_bridge());
    client.done("AttachL2NetworkToCluster", &on_cluster);
    assert!(network.has_bridge());
    let renamed = client.done("UpdateL2Network", &json!({ "uuid": network.l2, "name": "the guests' wire" }));
    assert_eq!(text(&renamed["inventory"], "name"), "the guests' wire");

    // A whole subnet, and one address of it for a router that may come.
    let whole = network.done("AddIpRangeByNetworkCidr", json!({ "name": "whole", "networkCidr": "10.77.0.0/24" }));
    let whole = &whole["inventory"];
    let facts = ["startIp", "endIp", "gateway", "netmask"].map(|fact| text(whole, fact));
    assert_eq!(facts, ["10.77.0.2", "10.77.0.254", "10.77.0.1", "255.255.255.0"]);
    assert_eq!(network.capacity(), (253, 253));
    network.done("SetL3NetworkRouterInterfaceIp", json!({ "routerInterfaceIp": "10.77.0.120" }));
    let router = network.done("GetL3NetworkRouterInterfaceIp", json!({}));
    assert_eq!(text(&router, "routerInterfaceIp"), "10.77.0.120");
    assert_eq!((network.capacity(), network.is_available("10.77.0.120")), ((252, 252), false));
    // It goes while it is nobody's, and a smaller one comes.
    client.done("DeleteIpRange", &json!({ "uuid": text(whole, "uuid") }));
    assert_eq!(network.capacity(), (0, 0));
    let front = network.range("front", 100, 149);
    assert_eq!(network.capacity(), (49, 49));

    let provider = client.query("/network-services/providers", &["name=Flat Network Service Provider"]).remove(0);
    let services = |names: &[&str]| json!({ "networkServices": { text(&provider, "uuid"): names } });
    assert_eq!((network.dhcp_address(), network.has_namespace()), (None, false));
    network.done("AttachNetworkServiceToL3Network", services(&["DHCP", "Userdata"]));
    let refs = client.done("QueryNetworkServiceL3NetworkRef", &json!({ "q": format!("l3NetworkUuid={}", network.l3) }));
    assert_eq!(refs["inventories"].as_array().unwrap().len(), 2, "{refs}");
    let dhcp = network.dhcp_address().unwrap();
    assert!(!network.is_available(&dhcp));
    let back = network.range("back", 150, 199);
    client.done("UpdateIpRange", &json!({ "uuid": back, "name": "the back", "description": "for servers" }));
    assert_eq!(text(&client.one("/l3-networks/ip-ranges", &back), "name"), "the back");
    assert_eq!(network.capacity(), (99, 98));

    // What is offered as free is what a VM gets that asks for it; what is the router's is not offered.
    let free = network.done("GetFreeIp", json!({ "start": "10.77.0.119", "limit": 2 }));
    let free: Vec<String> = free["inventories"].as_array().unwrap().iter().map(|one| text(one, "ip")).collect();
    assert_eq!(free, ["10.77.0.119", "10.77.0.121"]);
    let params = network.vm_params(&site, "router's neighbour", &blank, "10.77.0.120");
    let refused = client.call("CreateVmInstance", &params).unwrap_err();
    assert!(refused.details.contains("is kept for the router"), "{refused:?}");
    let params = network.vm_params(&site, "guest", &site.image, &free[1]);
    let guest = text(&client.done("CreateVmInstance", &params)["inventory"], "uuid");
    let params = network.vm_params(&site, "server", &blank, "10.77.0.160");
    let server = text(&client.done("CreateVmInstance", &params)["inventory"], "uuid");
    assert!(network.serves_dhcp_at(&dhcp));
    assert_eq!((network.capacity(), network.is_available(&free[1])), ((99, 96), false));
    let boots = |number: usize| {
        host.console_shows(&guest, "that it is ready", |console| (console.boots() >= number).then_some(()));
    };
    boots(1);
    let lease = || host.in_guest(&guest, "cat /run/nics/*");
    assert!(lease().contains(&format!("ip={}/24 gateway=10.77.0.1", free[1])), "{}", lease());
    assert!(lease().contains(&format!("server={dhcp}")), "{}", lease());

    // What is added reaches the guest with its next lease, and so does what is taken away.
    let renewed = |what: &str, look: &dyn Fn(&str) -> bool| {
        host.in_guest(&guest, "kill -USR1 $(cat /run/udhcpc.eth0.pid)");
        eventually(&format!("the guest's lease shows {what}"), ALWAYS, || {
            look(&host.in_guest(&guest, "cat /run/nics/* /etc/resolv.conf")).then_some(())
        });
    };
    network.done("AddDnsToL3Network", json!({ "dns": "10.77.0.53" }));
    network.done("AddHostRouteToL3Network", json!({ "prefix": "10.78.0.0/16", "nexthop": "10.77.0.2" }));
    network.done("SetL3NetworkMtu", json!({ "mtu": 1400 }));
    assert_eq!(network.done("GetL3NetworkMtu", json!({}))["mtu"], 1400);
    let domain = json!({ "uuid": network.l3, "name": "the guests", "dnsDomain": "guests.example" });
    assert_eq!(text(&client.done("UpdateL3Network", &domain)["inventory"], "name"), "the guests");
    let added = ["dns=10.77.0.53", "10.78.0.0/16,10.77.0.2", "mtu=1400", "search guests.example"];
    renewed("what was added", &|seen| added.iter().all(|fact| seen.contains(fact)));
    network.done("RemoveDnsFromL3Network", json!({ "dns": "10.77.0.53" }));
    network.done("RemoveHostRouteFromL3Network", json!({ "prefix": "10.78.0.0/16" }));
    renewed("no more of what was taken away", &|seen| !seen.contains("10.77.0.53") && !seen.contains("10.78.0.0"));

    // An address is chosen for the next start, and given back when it is chosen no more.
    let choose = |ip: &str| network.done("SetVmStaticIp", json!({ "vmInstanceUuid": guest, "ip": ip }));
    choose("10.77.0.130");
    assert!(!network.is_available("10.77.0.130"));
    network.done("DeleteVmStaticIp", json!({ "vmInstanceUuid": guest }));
    assert!(network.is_available("10.77.0.130"));
    assert_eq!(network.addresses_of(&guest), [free[1].as_str()]);
    choose("10.77.0.131");
    client.done("StopVmInstance", &json!({ "uuid": guest, "type": "cold" }));
    network.done("DeleteVmStaticIp", json!({ "vmInstanceUuid": guest }));
    network.start(&guest);
    boots(2);
    assert_eq!(host.console(&guest).fact("ip"), Some(network.addresses_of(&guest).remove(0)));
    assert_eq!(network.addresses_of(&guest), [free[1].as_str()], "it was chosen no more when the VM started");

    // A range goes with the addresses in it: the guest's and that of the services, which answer on another one.
    client.done("DeleteIpRange", &json!({ "uuid": front }));
    network.runs_on_without(&guest);
    assert_eq!(host.domain_state(&server).as_deref(), Some("running"));
    let moved = network.dhcp_address().unwrap();
    assert!(moved != dhcp && network.serves_dhcp_at(&moved), "{moved}");
    assert_eq!(network.capacity(), (50, 48));

    network.done("DetachNetworkServiceFromL3Network", services(&["DHCP"]));
    assert!(network.has_namespace() && !network.serves_dhcp_at(&moved), "the user data is served still");
    network.done("DetachNetworkServiceFromL3Network", services(&["Userdata"]));
    assert_eq!((network.dhcp_address(), network.has_namespace()), (None, false));
    assert_eq!(network.capacity(), (50, 49));
    network.done("AttachNetworkServiceToL3Network", services(&["DHCP"]));
    assert!(network.serves_dhcp_at(&network.dhcp_address().unwrap()));

    // Off the cluster, the VM keeps its interface, and runs with it once the network is back.
    client.done("DetachL2NetworkFromCluster", &on_cluster);
    network.is_off(&server);
    assert_eq!(network.addresses_of(&server), ["10.77.0.160"]);
    assert!(!network.has_bridge() && !network.has_namespace());
    let refused = client.call("StartVmInstance", &json!({ "uuid": server })).unwrap_err();
    assert!(refused.details.contains("is not on L2 network 'the guests' wire'"), "{refused:?}");
    client.done("AttachL2NetworkToCluster", &on_cluster);
    network.start(&server);
    assert!(network.serves_dhcp_at(&network.dhcp_address().unwrap()));

    // An L3 network goes when every guest lets go of it, or is off; with the L2 network, the bridge goes.
    let refused = client.call("DeleteL3Network", &json!({ "uuid": network.l3 })).unwrap_err();
    assert!(refused.details.contains("Left: unplugging interfaces of VM 'server'"), "{refused:?}");
    assert_eq!(network.addresses_of(&server), ["10.77.0.160"]);
    assert!(host.run(&format!("virsh domiflist {server}")).contains("br_eth1") && network.has_namespace());
    client.done("StopVmInstance", &json!({ "uuid": server, "type": "cold" }));
    client.done("DeleteL3Network", &json!({ "uuid": network.l3 }));
    assert!(network.addresses_of(&server).is_empty() && !network.has_namespace() && network.has_bridge());
    assert!(client.query("/l3-networks/ip-ranges", &[&format!("l3NetworkUuid={}", network.l3)]).is_empty());
    let l3 = json!({ "name": "second", "l2NetworkUuid": network.l2 });
    let network = Network { l3: text(&client.done("CreateL3Network", &l3)["inventory"], "uuid"), ..network };
    network.range("all", 100, 199);
    network.start(&server);
    network.done("AttachL3NetworkToVm", json!({ "vmInstanceUuid": guest }));
    assert!(host.run(&format!("virsh domiflist {guest}")).contains("br_eth1"));
    client.done("DeleteL2Network", &json!({ "uuid": network.l2 }));
    network.runs_on_without(&guest);
    assert!(!network.has_bridge());
    assert!(!host.run("ls /sys/class/net").contains("vnic"));
    assert_eq!(client.query("/l3-networks", &[]).len(), 1, "the site's own");
    assert_eq!(client.query("/l2-networks", &[]).len(), 1, "the site's own");
}

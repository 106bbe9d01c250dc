//! A cluster with running VMs is deleted while one of its hosts is cut off, then the zone: nothing is left anywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use gantry_tests::{
    ALWAYS, Client, Footprint, Kind, Lab, LabHost, Management, PRIMARY_STORAGE, Site, eventually, text,
};
use serde_json::json;

#[test]
fn a_cluster_is_deleted_whole_or_not_at_all_and_a_host_that_was_away_is_cleaned_when_it_is_back() {
    let lab = Lab::boot(Kind::Kvm, 2);
    let node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let offering = client.create("/disk-offerings", &json!({ "name": "data", "diskSize": 64 << 20 })).unwrap();
    let vms: Vec<String> = (1..=2).map(|host| vm_with_data(&client, &site, host, &text(&offering, "uuid"))).collect();
    let (near, far) = (lab.host(1), lab.host(2));
    assert_eq!((near.domains(), far.domains()), (vec![vms[0].clone()], vec![vms[1].clone()]));

    far.cut();
    eventually("the host is Disconnected", ALWAYS, || {
        (text(&client.one("/hosts", &site.hosts[1]), "status") == "Disconnected").then_some(())
    });
    let before = Footprint::take(&client, &lab);
    let cluster = format!("/clusters/{}", site.cluster);
    let refused = client.delete(&cluster).unwrap_err();
    assert_eq!(refused.code, "HOST.1000", "{refused:?}");
    assert!(refused.details.contains(&far.address().to_string()), "{refused:?}");
    assert!(!refused.details.contains(&near.address().to_string()), "{refused:?}");
    let difference = before.difference(&Footprint::take(&client, &lab));
    assert!(difference.is_empty(), "something was touched:\n{}", difference.join("\n"));

    client.delete_enforcing(&cluster).unwrap();
    for path in ["/clusters", "/hosts", "/vm-instances", "/vm-instances/nics", "/volumes"] {
        assert!(client.query(path, &[]).is_empty(), "{path}: {:?}", client.query(path, &[]));
    }
    has_nothing(near);
    assert_eq!(far.domains(), [vms[1].clone()], "nobody can have reached it");
    assert!(!client.query("/gc-jobs", &["status=Idle"]).is_empty());
    client.delete(&format!("/zones/{}", site.zone)).unwrap();
    for path in ["/zones", "/primary-storage", "/l2-networks", "/l3-networks", "/l3-networks/ip-ranges"] {
        assert!(client.query(path, &[]).is_empty(), "{path}: {:?}", client.query(path, &[]));
    }

    far.join();
    eventually("the host has done what it owed", ALWAYS, || client.query("/gc-jobs", &[]).is_empty().then_some(()));
    has_nothing(far);
    is_dismissed(far);
    assert!(near.has("/etc/gantry/agent.toml"), "the image store is still on it");
    client.delete(&format!("/backup-storage/{}", site.image_store)).unwrap();
    assert!(client.query("/images", &[]).is_empty());
    is_dismissed(near);
    assert!(near.files("/var/lib/gantry/images/images").is_empty());
}

fn vm_with_data(client: &Client, site: &Site, host: usize, offering: &str) -> String {
    let mut params = site.vm_params(&format!("vm-{host}"));
    params["hostUuid"] = json!(site.hosts[host - 1]);
    params["dataDiskOfferingUuids"] = json!([offering]);
    text(&client.create("/vm-instances", &params).unwrap(), "uuid")
}

/// Nothing that VMs and networks made is on the host.
fn has_nothing(host: LabHost<'_>) {
    assert!(host.domains().is_empty(), "{:?}", host.domains());
    assert!(host.files(PRIMARY_STORAGE).is_empty(), "{:?}", host.files(PRIMARY_STORAGE));
    let interfaces = host.run("ls /sys/class/net");
    let ours = |name: &&str| name.starts_with("br_") || name.starts_with("vnic") || name.starts_with("gantry");
    assert_eq!(interfaces.split_whitespace().find(ours), None, "{interfaces}");
    assert_eq!(host.run("ip netns list").trim(), "");
    assert!(!host.succeeds("pgrep dnsmasq"), "DHCP is still served");
    let rules = host.run("nft list ruleset");
    assert!(!rules.contains("vnic") && !rules.contains("br_"), "{rules}");
    // The host has its own address back.
    assert!(host.run("ip -brief address show host0").contains(&host.address().to_string()));
}

/// The host is the node's no more.
fn is_dismissed(host: LabHost<'_>) {
    eventually("the agent has ended", ALWAYS, || {
        (!host.succeeds("systemctl is-active --quiet gantry-agent")).then_some(())
    });
    assert!(!host.has("/etc/gantry/agent.toml"));
}

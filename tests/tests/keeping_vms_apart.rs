//! VMs that must not share a host, and VMs that get another size.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use std::collections::BTreeSet;

use gantry_tests::{ApiError, Client, Kind, Lab, Management, Site, text};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

#[test]
fn vms_of_a_group_run_on_hosts_of_their_own_and_a_vm_gets_another_size() {
    let lab = Lab::boot(Kind::Kvm, 2);
    let node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    // It boots while the others are kept apart.
    let resized = site.vm_on(&client, 1, "resized", &[]);
    let blank = Site { image: site.blank_image(&client, &lab), ..site };
    keeps_apart(&client, &lab, &blank);
    resizes(&client, &lab, &resized);
}

fn keeps_apart(client: &Client, lab: &Lab, site: &Site) {
    let group = |name: &str, policy: &str| {
        let params = json!({ "name": name, "policy": policy, "type": "host" });
        text(&client.create("/affinity-groups", &params).unwrap(), "uuid")
    };
    let hard = group("replicas", "antiHard");
    let create = |name: &str, group: &str, strategy: &str| {
        let mut params = site.vm_params(name);
        params["systemTags"] = json!([format!("affinityGroupUuid::{group}")]);
        params["strategy"] = json!(strategy);
        client.create("/vm-instances", &params)
    };
    let asking = format!(
        "/vm-instances/candidate-destinations?instanceOfferingUuid={}&imageUuid={}&l3NetworkUuids={}&systemTags=affinityGroupUuid::{hard}",
        site.offering, site.image, site.l3_network
    );
    assert_eq!(uuids(&client.get(&asking).unwrap()["hosts"]), site.hosts.iter().cloned().collect());

    // Two that are made at once, each on its own host; no third.
    let both = std::thread::scope(|scope| {
        let (create, hard) = (&create, &hard);
        let calls = ["first", "second"].map(|name| scope.spawn(move || create(name, hard, "InstantStart")));
        calls.map(|call| call.join().unwrap().unwrap())
    });
    for vm in &both {
        let host = site.hosts.iter().position(|host| *host == text(vm, "hostUuid")).unwrap();
        assert_eq!(lab.host(host + 1).domain_state(&text(vm, "uuid")).as_deref(), Some("running"));
    }
    assert_ne!(both[0]["hostUuid"], both[1]["hostUuid"]);
    let known = client.done("QueryAffinityGroup", &json!({ "uuid": hard }))["inventories"][0].take();
    let members: BTreeSet<String> =
        known["usages"].as_array().unwrap().iter().map(|usage| text(usage, "resourceUuid")).collect();
    assert_eq!(members, both.iter().map(|vm| text(vm, "uuid")).collect());
    let refused = create("third", &hard, "InstantStart").unwrap_err();
    names_blockers(&refused, &both);
    assert_eq!(client.query("/vm-instances", &["name=third"]).len(), 0, "what is refused leaves nothing");
    let candidates = client.get(&asking).unwrap();
    assert_eq!(candidates["hosts"], json!([]));
    assert!(
        site.hosts.iter().all(|host| refused.details.contains(&reason(&candidates, host))),
        "{candidates} {refused:?}"
    );

    // It can be there without running. It starts once its host is free of the others.
    let third = text(&create("third", &hard, "CreateStopped").unwrap(), "uuid");
    let start = || client.act(&format!("/vm-instances/{third}/actions"), "startVmInstance", &json!({}));
    let starting = || client.get(&format!("/vm-instances/{third}/starting-target-hosts")).unwrap();
    assert_eq!(starting()["hosts"], json!([]));
    let home = text(&client.query("/vm-instances", &[&format!("uuid={third}")])[0], "lastHostUuid");
    let there = both.iter().find(|vm| text(vm, "hostUuid") == home).unwrap();
    names_blockers(&start().unwrap_err(), std::slice::from_ref(there));
    let blocker = format!("/vm-instances/{}/actions", text(there, "uuid"));
    client.act(&blocker, "stopVmInstance", &json!({ "type": "cold" })).unwrap();
    assert_eq!(uuids(&starting()["hosts"]), BTreeSet::from([home.clone()]));
    assert_eq!(text(&start().unwrap()["inventory"], "hostUuid"), home);
    let back = client.act(&blocker, "startVmInstance", &json!({})).unwrap_err();
    assert!(back.details.contains(&third), "now that one is in the way: {back:?}");

    // A soft group spreads its VMs and takes a third all the same.
    let soft = group("workers", "antiSoft");
    let hosts =
        ["fourth", "fifth", "sixth"].map(|name| text(&create(name, &soft, "InstantStart").unwrap(), "hostUuid"));
    assert_ne!(hosts[0], hosts[1]);
    let members = client.query("/vm-instances", &["affinityGroup.name=workers", "state=Running"]);
    assert_eq!(members.len(), 3);
    for vm in client.query("/vm-instances", &["affinityGroup.name?=workers,replicas"]) {
        client.delete(&format!("/vm-instances/{}", text(&vm, "uuid"))).unwrap();
    }
}

fn resizes(client: &Client, lab: &Lab, vm: &str) {
    let host = lab.host(1);
    let path = format!("/vm-instances/{vm}/actions");
    let size = |boots: usize| {
        host.console_shows(vm, "that it is ready", |console| (console.boots() == boots).then_some(()));
        let console = host.console(vm);
        let fact = |name: &str| console.fact(name).unwrap().parse::<u64>().unwrap();
        (fact("cpus"), fact("memory_kib"))
    };
    let (cpus, small_kib) = size(1);
    assert_eq!(cpus, 1);
    let larger = json!({ "name": "larger", "cpuNum": 2, "memorySize": 192 * MIB });
    let larger = text(&client.create("/instance-offerings", &larger).unwrap(), "uuid");
    client.act(&path, "stopVmInstance", &json!({ "type": "cold" })).unwrap();
    client.act(&path, "changeInstanceOffering", &json!({ "instanceOfferingUuid": larger })).unwrap();
    client.act(&path, "startVmInstance", &json!({})).unwrap();
    let (cpus, large_kib) = size(2);
    assert_eq!(cpus, 2);
    assert!(large_kib > small_kib + 48 * 1024, "64 MiB more, less what the kernel keeps: {small_kib} {large_kib}");

    // One that runs changes when it is rebooted.
    let before = client.query("/hosts", &["vmInstance.name=resized"])[0].clone();
    client.act(&path, "updateVmInstance", &json!({ "cpuNum": 1 })).unwrap();
    assert!(host.run(&format!("virsh dominfo {}", hyphenated(vm))).contains("CPU(s):         2"));
    client.act(&path, "rebootVmInstance", &json!({})).unwrap();
    let (cpus, kib) = size(3);
    assert_eq!(cpus, 1);
    assert!(kib.abs_diff(large_kib) < 8 * 1024, "its memory is as it was, but for what each processor takes: {kib}");
    let after = client.query("/hosts", &["vmInstance.name=resized"])[0].clone();
    let left = |host: &Value| host["availableCpuCapacity"].as_u64().unwrap();
    assert_eq!(left(&after), left(&before) + 1);
}

/// A refusal that names these VMs and what keeps the new one from them.
fn names_blockers(refused: &ApiError, blockers: &[Value]) {
    assert_eq!(refused.code, "HOST_ALLOCATION.1001", "{refused:?}");
    for vm in blockers {
        let blocker =
            format!("VM '{}' ({}) of its affinity group 'replicas' (antiHard)", text(vm, "name"), text(vm, "uuid"));
        assert!(refused.details.contains(&blocker), "{refused:?} lacks {blocker}");
    }
}

fn uuids(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|one| text(one, "uuid")).collect()
}

fn reason(candidates: &Value, host: &str) -> String {
    let details = candidates["details"].as_array().unwrap();
    let found = details.iter().find(|exclusion| exclusion["uuid"] == host);
    text(found.unwrap_or_else(|| panic!("no reason for {host}: {candidates}")), "reason")
}

/// A uuid as libvirt writes it.
fn hyphenated(uuid: &str) -> String {
    format!("{}-{}-{}-{}-{}", &uuid[..8], &uuid[8..12], &uuid[12..16], &uuid[16..20], &uuid[20..])
}

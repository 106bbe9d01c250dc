//! Many callers at once want more than there is: what there is goes to some of them, and the others leave nothing behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use std::collections::BTreeSet;

use gantry_tests::{ApiError, Client, Footprint, Kind, Lab, Management, PRIMARY_STORAGE, Site, text};
use serde_json::{Value, json};

const CALLERS: usize = 50;
const VM_MEMORY_BYTES: u64 = 64 << 20;
const VMS_PER_HOST: usize = 4;
const FEW_ADDRESSES: usize = 10;

#[test]
fn fifty_callers_share_what_two_hosts_have() {
    let lab = Lab::boot(Kind::Kvm, 2);
    let node = Management::start(&[]);
    let client = node.client();
    let mut site = Site::set_up(&client, &lab);
    let total = client.query("/hosts", &[]).iter().map(total_memory).min().unwrap();
    // Half a VM more than fits, so that the last one does not fit by little.
    let reserve = total - VM_MEMORY_BYTES * VMS_PER_HOST as u64 - VM_MEMORY_BYTES / 2;
    client.set("kvm", "reservedMemory", &reserve.to_string());
    assert!(client.query("/hosts", &[]).iter().all(|host| total_memory(host) < total));
    site.image = site.blank_image(&client, &lab);
    let tiny = json!({ "name": "tiny", "cpuNum": 1, "memorySize": VM_MEMORY_BYTES });
    site.offering = text(&client.create("/instance-offerings", &tiny).unwrap(), "uuid");
    let before = Footprint::take(&client, &lab);

    let (made, refused) = call_at_once(&client, |caller| site.vm_params(&format!("vm-{caller}")));
    assert_eq!(made.len(), 2 * VMS_PER_HOST, "{:?}", refused.first());
    for error in &refused {
        assert_eq!(error.code, "HOST_ALLOCATION.1001", "{error:?}");
        assert_eq!(error.cause["opaque"]["hosts"].as_array().map(Vec::len), Some(2), "{error:?}");
        for host in lab.hosts() {
            assert!(error.details.contains(&host.address().to_string()), "no reason for a host: {error:?}");
        }
    }
    for host in client.query("/hosts", &[]) {
        assert_eq!(host["availableMemoryCapacity"].as_u64(), Some(VM_MEMORY_BYTES / 2), "{host}");
    }
    // What is recorded is there, and nothing else is.
    assert_eq!(client.query("/vm-instances", &[]).len(), made.len());
    assert_eq!(distinct(&client.query("/vm-instances/nics", &[]), "ip"), made.len());
    assert_eq!(distinct(&client.query("/vm-instances/nics", &[]), "mac"), made.len());
    assert_eq!(client.query("/volumes", &[]).len(), made.len());
    for host in lab.hosts() {
        assert_eq!(host.domains().len(), VMS_PER_HOST);
        assert_eq!(host.files(&format!("{PRIMARY_STORAGE}/rootVolumes")).len(), VMS_PER_HOST);
    }
    expunge(&client, &made);
    assert_eq!(before.difference(&Footprint::take(&client, &lab)), Vec::<String>::new());

    // The same with addresses, by VMs that need nothing else.
    let l3 = few_addresses(&client, &site, &lab);
    let on_few = |caller: usize| {
        let mut params = site.vm_params(&format!("vm-{caller}"));
        params["l3NetworkUuids"] = json!([l3]);
        params["strategy"] = json!("CreateStopped");
        params
    };
    let (made, refused) = call_at_once(&client, on_few);
    assert_eq!(made.len(), FEW_ADDRESSES);
    assert!(refused.iter().all(|error| error.code == "L3.1000"), "{refused:?}");
    assert_eq!(distinct(&client.query("/vm-instances/nics", &[]), "ip"), FEW_ADDRESSES);
    expunge(&client, &made);
    // And with the one address that all of them want.
    let wanted = lab.address(215);
    let (made, refused) = call_at_once(&client, |caller| {
        let mut params = on_few(caller);
        params["systemTags"] = json!([format!("staticIp::{l3}::{wanted}")]);
        params
    });
    assert_eq!(made.len(), 1);
    assert!(refused.iter().all(|error| error.code == "L3.1000" && error.details.contains(&wanted)), "{refused:?}");
    expunge(&client, &made);
    assert_eq!(before.difference(&Footprint::take(&client, &lab)), Vec::<String>::new());
}

/// All callers create a VM at the same time. Answers the VMs, and why others were not made.
fn call_at_once(client: &Client, params: impl Fn(usize) -> Value + Sync) -> (Vec<String>, Vec<ApiError>) {
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let params = &params;
        let calling: Vec<_> =
            (0..CALLERS).map(|caller| scope.spawn(move || client.create("/vm-instances", &params(caller)))).collect();
        calling.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    let mut made = Vec::new();
    let mut refused = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(vm) => made.push(text(&vm, "uuid")),
            Err(error) => refused.push(error),
        }
    }
    (made, refused)
}

fn expunge(client: &Client, vms: &[String]) {
    for vm in vms {
        client.delete(&format!("/vm-instances/{vm}")).unwrap();
        client.act(&format!("/vm-instances/{vm}/actions"), "expungeVmInstance", &json!({})).unwrap();
    }
}

/// A subnet of [`FEW_ADDRESSES`].
fn few_addresses(client: &Client, site: &Site, lab: &Lab) -> String {
    let l3 = client.create("/l3-networks", &json!({ "name": "few", "l2NetworkUuid": site.l2_network })).unwrap();
    let l3 = text(&l3, "uuid");
    let range = json!({
        "name": "few", "startIp": lab.address(210), "endIp": lab.address(209 + FEW_ADDRESSES as u8),
        "netmask": "255.255.255.0", "gateway": lab.address(1),
    });
    client.create(&format!("/l3-networks/{l3}/ip-ranges"), &range).unwrap();
    l3
}

fn total_memory(host: &Value) -> u64 {
    host["totalMemoryCapacity"].as_u64().unwrap()
}

fn distinct(inventories: &[Value], field: &str) -> usize {
    inventories.iter().map(|inventory| text(inventory, field)).collect::<BTreeSet<_>>().len()
}

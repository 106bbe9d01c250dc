//! VMs that run on certain processors of their host.

use std::time::Duration;

use gantry_common::agent::CpuPin;
use gantry_mgmt::{
    failure::Failure,
    resource::{Machine, VmInstanceState},
};
use http::Method;
use serde_json::json;

use super::{
    api::{Api, details},
    candidates::{Shop, reasons, uuids},
    sizes::one_host,
    tags::tag,
    tenants::Tenant,
};

fn pin(vcpu: u32, cpus: &str) -> CpuPin {
    CpuPin { vcpu, cpus: cpus.parse().unwrap() }
}

#[tokio::test]
async fn a_vm_runs_where_it_is_pinned_to_from_its_next_start_or_reboot_on() {
    let api = Api::start().await;
    let (world, agent) = one_host(&api).await;
    let vm = world.vm(&api, VmInstanceState::Stopped, Duration::ZERO).await;
    let path = format!("/vm-instances/{vm}");
    api.act(&path, "updateVmInstance", json!({ "cpuNum": 2 })).await.unwrap();
    let pins = || agent.double.pins.lock()[&vm].clone();

    let made = tag(&api, "/system-tags", "VmInstanceVO", vm, "vmCpuPinning::0:1-2").await.unwrap();
    let tag = made["uuid"].as_str().unwrap();
    let refused = api.act(&path, "startVmInstance", json!({})).await.unwrap_err();
    assert_eq!(refused["code"], "HOST_ALLOCATION.1001");
    let reason = "it has the processors 0-1, and the VM's tag vmCpuPinning names 2";
    assert!(details(&refused).contains(reason), "{refused}");

    let change = async |policy: &str| {
        let change = json!({ "tag": format!("vmCpuPinning::{policy}") });
        api.act(&format!("/system-tags/{tag}"), "updateSystemTag", change).await.unwrap()
    };
    change("0-1:0;1,5:0-2,^2").await;
    api.act(&path, "startVmInstance", json!({})).await.unwrap();
    assert_eq!(pins(), [pin(0, "0"), pin(1, "0-1")], "it has no processor 5");
    change("0:1").await;
    assert_eq!(pins().len(), 2, "it runs on as it was started");
    api.act(&path, "rebootVmInstance", json!({})).await.unwrap();
    assert_eq!(pins(), [pin(0, "1")]);
    api.delete(&format!("/tags/{tag}")).await.unwrap();
    api.act(&path, "rebootVmInstance", json!({})).await.unwrap();
    assert_eq!(pins(), []);
}

#[tokio::test]
async fn a_new_vm_goes_where_the_processors_are() {
    let api = Api::start().await;
    let shop = Shop::open(&api).await;
    let (large, small) = (shop.world.host.to_string(), shop.small.to_string());
    // One has every other processor switched off; the other's agent only counts them.
    let gaps = [(shop.world.host, json!("0,2")), (shop.small, json!(""))];
    let record = api.node.store.write(move |tx| {
        for (host, cpus) in gaps {
            let mut machine = tx.get::<Machine>(host)?.unwrap();
            machine.facts.as_mut().unwrap()["cpus"] = cpus;
            tx.save(&machine)?;
        }
        Ok::<_, Failure>(())
    });
    record.await.unwrap();
    let both = vec![&large, &small];
    // A VM of this size has no processor 7.
    for (policy, mut takes) in [("0:2", vec![&large]), ("0:1", vec![&small]), ("0:0", both.clone()), ("7:7", both)] {
        let answer = shop.destinations(&api, &format!("&systemTags=vmCpuPinning::{policy}")).await;
        let mut hosts = uuids(&answer["hosts"]);
        hosts.sort_unstable();
        takes.sort_unstable();
        assert_eq!(hosts, takes, "{policy}: {answer}");
    }
    let answer = shop.destinations(&api, "&systemTags=vmCpuPinning::0:1").await;
    assert_eq!(reasons(&answer)[large.as_str()], "it has the processors 0,2, and the VM's tag vmCpuPinning names 1");
}

#[tokio::test]
async fn operators_alone_pin_vms() {
    let operator = Api::start().await;
    let shop = Shop::open(&operator).await;
    let tenant = Tenant::settle(&operator, shop.world, "tenant").await;
    let wanted = "vmCpuPinning::0:0";
    let refused = tag(&tenant, "/system-tags", "VmInstanceVO", tenant.vm, wanted).await.unwrap_err();
    assert_eq!(refused["code"], "ID.1002", "{refused}");
    assert!(details(&refused).contains("'vmCpuPinning::{policy}'"), "{refused}");

    let made = tag(&operator, "/system-tags", "VmInstanceVO", tenant.vm, wanted).await.unwrap();
    let path = format!("/system-tags/{}", made["uuid"].as_str().unwrap());
    assert_eq!(tenant.inventories(&path).await[0]["tag"], wanted, "its owner sees it");
    let change = json!({ "tag": "vmCpuPinning::0:1" });
    let refused = tenant.act(&path, "updateSystemTag", change).await.unwrap_err();
    assert_eq!(refused["code"], "ID.1002", "{refused}");
    let refused = tenant.delete(&path.replace("/system-tags", "/tags")).await.unwrap_err();
    assert_eq!(refused["code"], "ID.1002", "{refused}");
    assert_eq!(operator.inventories(&path).await[0]["tag"], wanted);

    let shared = json!({ "resourceUuids": [shop.image, shop.offering, shop.world.l3], "toPublic": true });
    operator.act("/accounts/resources", "shareResource", shared).await.unwrap();
    let params = json!({
        "name": "pinned", "imageUuid": shop.image, "instanceOfferingUuid": shop.offering, "l3NetworkUuids": [shop.world.l3],
    });
    // Not even where no host could take it.
    for tag in [wanted, "vmCpuPinning::0:7"] {
        let body = json!({ "params": params, "systemTags": [tag] });
        let refused = tenant.call(Method::POST, "/vm-instances", body).await.unwrap_err();
        assert_eq!(refused["code"], "ID.1002", "{refused}");
    }
}

#[tokio::test]
async fn what_is_no_policy_is_refused_with_what_one_looks_like() {
    let api = Api::start().await;
    let (world, _agent) = one_host(&api).await;
    let vm = world.vm(&api, VmInstanceState::Stopped, Duration::ZERO).await;
    let refused = tag(&api, "/system-tags", "VmInstanceVO", vm, "vmCpuPinning::0:1;1:x").await.unwrap_err();
    assert_eq!(refused["code"], "SYS.1007");
    assert!(details(&refused).contains("'1:x' in it is not"), "{refused}");
    assert!(details(&refused).contains("vmCpuPinning::1:3;1-3:4-7,^6"), "{refused}");
    assert!(api.inventories(&format!("/system-tags?q=resourceUuid={vm}")).await.is_empty());
}

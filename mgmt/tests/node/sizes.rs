//! What a VM is to have, and what it has.

use std::time::Duration;

use gantry_common::id::{HostUuid, VmUuid};
use gantry_mgmt::{
    failure::Failure,
    resource::{VmInstance, VmInstanceState},
};
use serde_json::{Value, json};

use super::{
    api::{Api, details},
    wire::RunningAgent,
    world::World,
};

const MIB: u64 = 1 << 20;

async fn offering(api: &Api, cpu_num: u32, memory_mib: u64, more: Value) -> String {
    let mut params = json!({ "name": "size", "cpuNum": cpu_num, "memorySize": memory_mib * MIB });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = api.post("/instance-offerings", params).await.unwrap();
    made["inventory"]["uuid"].as_str().unwrap().to_owned()
}

/// A host with 20 processors and 1 GiB to promise.
pub async fn one_host(api: &Api) -> (World, RunningAgent) {
    let agent = RunningAgent::start(&api.node.authority).await;
    let world = World::with_host(api, agent.host).await;
    world.attach_network(api).await;
    api.node.fleet.watch(agent.endpoint());
    api.node.fleet.wait_connected(agent.host, Duration::from_secs(60)).await.unwrap();
    api.set("kvm", "reservedMemory", "0").await.unwrap();
    (world, agent)
}

async fn left(api: &Api) -> (u64, u64) {
    let host = api.inventories("/hosts").await[0].clone();
    let of = |field: &str| host[field].as_u64().unwrap();
    (of("availableCpuCapacity"), of("availableMemoryCapacity") / MIB)
}

#[tokio::test]
async fn a_vm_that_is_off_has_its_new_size_at_its_next_start() {
    let api = Api::start().await;
    let (world, agent) = one_host(&api).await;
    let vm = world.vm(&api, VmInstanceState::Stopped, Duration::ZERO).await;
    let path = format!("/vm-instances/{vm}");
    let larger = offering(&api, 4, 256, json!({})).await;
    let changed = api.act(&path, "changeInstanceOffering", json!({ "instanceOfferingUuid": larger })).await.unwrap();
    let inventory = &changed["inventory"];
    assert_eq!((&inventory["cpuNum"], &inventory["memorySize"]), (&json!(4), &json!(256 * MIB)));
    assert_eq!(inventory["instanceOfferingUuid"], json!(larger));
    assert_eq!(left(&api).await, (20, 1024));
    api.act(&path, "startVmInstance", json!({})).await.unwrap();
    assert_eq!(left(&api).await, (16, 768));
    assert_eq!(agent.double.sizes.lock()[&vm], (4, 256 * MIB));
}

#[tokio::test]
async fn a_running_vm_gets_its_new_size_by_a_reboot_if_the_host_has_it() {
    let api = Api::start().await;
    let (world, agent) = one_host(&api).await;
    let vm = world.vm(&api, VmInstanceState::Stopped, Duration::ZERO).await;
    let path = format!("/vm-instances/{vm}");
    api.act(&path, "startVmInstance", json!({})).await.unwrap();
    assert_eq!(left(&api).await, (19, 1023));

    let larger = json!({ "cpuNum": 2, "memorySize": 512 * MIB });
    let updated = api.act(&path, "updateVmInstance", larger).await.unwrap();
    assert_eq!((&updated["inventory"]["cpuNum"], &updated["inventory"]["state"]), (&json!(2), &json!("Running")));
    assert_eq!(left(&api).await, (19, 1023), "it has what it was started with");
    assert_eq!(agent.double.sizes.lock()[&vm], (1, MIB));
    api.act(&path, "rebootVmInstance", json!({})).await.unwrap();
    assert_eq!(left(&api).await, (18, 512));
    assert_eq!(agent.double.sizes.lock()[&vm], (2, 512 * MIB));

    let too_large = offering(&api, 2, 2048, json!({})).await;
    api.act(&path, "changeInstanceOffering", json!({ "instanceOfferingUuid": too_large })).await.unwrap();
    let refused = api.act(&path, "rebootVmInstance", json!({})).await.unwrap_err();
    assert!(details(&refused).contains("2147483648"), "{refused}");
    assert_eq!(refused["code"], "HOST_ALLOCATION.1001");
    assert_eq!(left(&api).await, (18, 512), "nothing changed hands");
    assert_eq!(api.inventories(&path).await[0]["state"], "Running");
}

#[tokio::test]
async fn a_vm_says_other_things_of_itself() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    let vm = world.vm(&api, VmInstanceState::Stopped, Duration::ZERO).await;
    let path = format!("/vm-instances/{vm}");
    let all = json!({
        "name": "web", "description": "d", "platform": "Windows", "defaultL3NetworkUuid": world.l3,
        "cpuNum": 3, "memorySize": 64 * MIB,
    });
    let updated = api.act(&path, "updateVmInstance", all.clone()).await.unwrap()["inventory"].clone();
    for (field, value) in all.as_object().unwrap() {
        assert_eq!(&updated[field], value, "{field}");
    }
    let wrong = [
        (json!({ "defaultL3NetworkUuid": "0123456789abcdef0123456789abcdef" }), "AttachL3NetworkToVm"),
        (json!({ "platform": "Amiga" }), "WindowsVirtio"),
        (json!({ "memorySize": 1024 }), "16 MiB"),
        (json!({ "cpuNum": 0 }), "between 1 and 1024"),
        (json!({ "name": " " }), "visible"),
        (json!({ "state": "Paused" }), "Stopped, Running"),
        (json!({ "state": "Running" }), "never on a host"),
    ];
    for (change, word) in wrong {
        let refused = api.act(&path, "updateVmInstance", change.clone()).await.unwrap_err();
        assert!(details(&refused).contains(word), "{change}: {refused}");
    }
    assert_eq!(api.inventories(&path).await, [updated], "what is refused changes nothing");
    api.delete(&path).await.unwrap();
    let destroyed = api.act(&path, "updateVmInstance", json!({ "cpuNum": 1 })).await.unwrap_err();
    assert!(details(&destroyed).contains("Destroyed"), "{destroyed}");
}

#[tokio::test]
async fn a_record_that_has_gone_wrong_is_corrected() {
    let api = Api::start().await;
    let (world, _agent) = one_host(&api).await;
    let vm = world.vm(&api, VmInstanceState::Stopped, Duration::ZERO).await;
    let path = format!("/vm-instances/{vm}");
    api.act(&path, "startVmInstance", json!({})).await.unwrap();
    let stuck = move |tx: &gantry_mgmt::store::Tx<'_>| {
        let vm = tx.get::<VmInstance>(vm)?.unwrap();
        tx.save(&VmInstance { state: VmInstanceState::Stopping, ..vm })?;
        Ok::<_, Failure>(())
    };
    api.node.store.write(stuck).await.unwrap();
    let stopped = api.act(&path, "updateVmInstance", json!({ "state": "Stopped" })).await.unwrap()["inventory"].clone();
    assert_eq!((&stopped["state"], &stopped["hostUuid"]), (&json!("Stopped"), &Value::Null));
    assert_eq!(stopped["lastHostUuid"], json!(world.host));
    assert_eq!(left(&api).await, (20, 1024));
    let running = api.act(&path, "updateVmInstance", json!({ "state": "Running" })).await.unwrap()["inventory"].clone();
    assert_eq!((&running["state"], &running["hostUuid"]), (&json!("Running"), &json!(world.host)));
    assert_eq!(left(&api).await, (19, 1023));
}

#[tokio::test]
async fn an_offering_that_cannot_be_used_is_refused() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    let vm: VmUuid = world.vm(&api, VmInstanceState::Stopped, Duration::ZERO).await;
    let path = format!("/vm-instances/{vm}");
    let strategy = json!({ "allocatorStrategy": "MaxInstancePerHostHostAllocatorStrategy" });
    let limited = offering(&api, 1, 64, strategy).await;
    let change = json!({ "instanceOfferingUuid": limited });
    let refused = api.act(&path, "changeInstanceOffering", change.clone()).await.unwrap_err();
    assert!(details(&refused).contains("maxInstancePerHost::"), "{refused}");
    let tag = |tag: &str| json!({ "resourceType": "InstanceOfferingVO", "resourceUuid": limited, "tag": tag });
    for bad in [
        "maxInstancePerHost::0",
        "minimumCPUUsageHostAllocatorStrategyMode::very",
        "primaryStorage::allocator::uuid::x",
    ] {
        assert!(details(&api.post("/system-tags", tag(bad)).await.unwrap_err()).contains(bad), "{bad}");
    }
    api.post("/system-tags", tag("maxInstancePerHost::2")).await.unwrap();
    api.act(&path, "changeInstanceOffering", change.clone()).await.unwrap();
    let tags = api.inventories(&format!("/system-tags?q=resourceUuid={vm}&q=tag=maxInstancePerHost::2")).await;
    assert_eq!(tags.len(), 1, "the VM keeps the limit whatever becomes of the offering");
    let state = json!({ "stateEvent": "disable" });
    api.act(&format!("/instance-offerings/{limited}"), "changeInstanceOfferingState", state).await.unwrap();
    let refused = api.act(&path, "changeInstanceOffering", change).await.unwrap_err();
    assert!(details(&refused).contains("Disabled"), "{refused}");
    for (path, params, word) in [
        (
            "/instance-offerings",
            json!({ "name": "x", "cpuNum": 1, "memorySize": 64 * MIB, "type": "Toaster" }),
            "UserVm",
        ),
        (
            "/disk-offerings",
            json!({ "name": "x", "diskSize": 64 * MIB, "allocationStrategy": "Dice" }),
            "LocalStorageAllocatorStrategy",
        ),
    ] {
        let refused = api.post(path, params).await.unwrap_err();
        assert!(details(&refused).contains(word), "{refused}");
    }
}

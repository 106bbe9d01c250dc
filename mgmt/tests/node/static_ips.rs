//! Addresses that are chosen: of VMs, and of a network's router.

use std::time::Duration;

use gantry_common::id::{HostUuid, VmUuid};
use gantry_mgmt::{
    failure::Failure,
    resource::{VmInstance, VmInstanceState},
    vm::settle_static_ips,
};
use serde_json::{Value, json};

use super::{
    api::{Api, details},
    world::World,
};

struct Site {
    api: Api,
    world: World,
}

impl Site {
    async fn start() -> Self {
        let api = Api::start().await;
        let world = World::with_host(&api, HostUuid::random()).await;
        Self { api, world }
    }

    async fn vm(&self, state: VmInstanceState) -> VmUuid {
        self.world.vm(&self.api, state, Duration::ZERO).await
    }

    async fn set(&self, vm: VmUuid, ip: &str) -> Result<Value, Value> {
        let params = json!({ "l3NetworkUuid": self.world.l3, "ip": ip });
        self.api.act(&format!("/vm-instances/{vm}"), "setVmStaticIp", params).await
    }

    async fn delete(&self, vm: VmUuid) -> Result<Value, Value> {
        let query = format!("l3NetworkUuid={}&deleteMode=Permissive", self.world.l3);
        self.api.delete(&format!("/vm-instances/{vm}/static-ips?{query}")).await
    }

    async fn ip(&self, vm: VmUuid) -> Value {
        self.api.inventories(&format!("/vm-instances/{vm}")).await[0]["vmNics"][0]["ip"].clone()
    }

    async fn tags(&self, vm: VmUuid) -> Vec<Value> {
        let tags = self.api.inventories(&format!("/system-tags?q=resourceUuid={vm}")).await;
        tags.into_iter().map(|tag| tag["tag"].clone()).collect()
    }

    async fn free(&self) -> Vec<Value> {
        let free = self.api.inventories(&format!("/l3-networks/{}/ip/free", self.world.l3)).await;
        free.into_iter().map(|free| free["ip"].clone()).collect()
    }
}

#[tokio::test]
async fn a_vm_that_is_off_has_its_chosen_address_at_once_and_keeps_it() {
    let site = Site::start().await;
    let vm = site.vm(VmInstanceState::Stopped).await;
    assert_eq!(site.set(vm, "10.0.0.7").await.unwrap(), json!({}));
    assert_eq!(site.ip(vm).await, json!("10.0.0.7"));
    assert!(site.free().await.contains(&json!("10.0.0.2")), "the old address is free again");
    site.set(vm, "10.0.0.8").await.unwrap();
    site.set(vm, "10.0.0.8").await.expect("twice is as once");
    assert_eq!(site.tags(vm).await, [json!(format!("staticIp::{}::10.0.0.8", site.world.l3))]);
    site.delete(vm).await.unwrap();
    site.delete(vm).await.expect("what is gone is gone");
    assert_eq!((site.ip(vm).await, site.tags(vm).await.len()), (json!("10.0.0.8"), 0));
}

#[tokio::test]
async fn a_running_vms_chosen_address_is_kept_for_its_next_start() {
    let site = Site::start().await;
    let (vm, other) = (site.vm(VmInstanceState::Running).await, site.vm(VmInstanceState::Stopped).await);
    site.set(vm, "10.0.0.7").await.unwrap();
    assert_eq!(site.ip(vm).await, json!("10.0.0.2"));
    let refused = site.set(other, "10.0.0.7").await.unwrap_err();
    assert!(details(&refused).contains(&format!("by VM {vm}")), "{refused}");
    // Another choice, or none, gives it back.
    site.set(vm, "10.0.0.8").await.unwrap();
    assert!(site.free().await.contains(&json!("10.0.0.7")));
    site.delete(vm).await.unwrap();
    assert!(site.free().await.contains(&json!("10.0.0.8")));

    site.set(vm, "10.0.0.9").await.unwrap();
    let start = site.api.node.store.write(move |tx| {
        let vm = VmInstance { state: VmInstanceState::Stopped, ..tx.get::<VmInstance>(vm)?.unwrap() };
        settle_static_ips(tx, &vm)
    });
    Result::<(), Failure>::unwrap(start.await);
    assert_eq!(site.ip(vm).await, json!("10.0.0.9"));
    assert!(site.free().await.contains(&json!("10.0.0.2")));
}

#[tokio::test]
async fn an_address_that_cannot_be_chosen_is_refused_and_nothing_changes() {
    let site = Site::start().await;
    let (vm, other) = (site.vm(VmInstanceState::Stopped).await, site.vm(VmInstanceState::Stopped).await);
    let taken = site.ip(other).await;
    for (ip, why) in
        [("10.0.0.1", "gateway"), ("10.0.0.77", "10.0.0.2 to 10.0.0.9"), (taken.as_str().unwrap(), "taken")]
    {
        let refused = site.set(vm, ip).await.unwrap_err();
        assert_eq!(refused["code"], json!("L3.1000"));
        assert!(details(&refused).contains(why), "{refused}");
    }
    assert_eq!((site.ip(vm).await, site.tags(vm).await.len()), (json!("10.0.0.2"), 0));
    let paused = site.vm(VmInstanceState::Paused).await;
    let refused = site.set(paused, "10.0.0.9").await.unwrap_err();
    assert_eq!(refused["code"], json!("SYS.1010"), "{refused}");
}

#[tokio::test]
async fn the_routers_address_is_nobody_elses() {
    let site = Site::start().await;
    let path = format!("/l3-networks/{}/router-interface-ip", site.world.l3);
    assert_eq!(site.api.get(&path).await, json!({ "success": true }));
    let vm = site.vm(VmInstanceState::Stopped).await;
    for (ip, why) in
        [("10.0.0.1", "gateway"), ("10.0.1.3", "10.0.0.0/24"), ("10.0.0.255", "host's address"), ("10.0.0.2", "has it")]
    {
        let refused = site.api.post(&path, json!({ "routerInterfaceIp": ip })).await.unwrap_err();
        assert!(details(&refused).contains(why), "{refused}");
    }
    site.api.post(&path, json!({ "routerInterfaceIp": "10.0.0.3" })).await.unwrap();
    assert_eq!(site.api.get(&path).await, json!({ "routerInterfaceIp": "10.0.0.3", "success": true }));
    let refused = site.set(vm, "10.0.0.3").await.unwrap_err();
    assert!(details(&refused).contains("router"), "{refused}");
    let next = site.vm(VmInstanceState::Stopped).await;
    assert_eq!(site.ip(next).await, json!("10.0.0.4"));
    let capacity = site.api.get(&format!("/ip-capacity?l3NetworkUuids={}", site.world.l3)).await;
    assert_eq!(capacity, json!({ "totalCapacity": 7, "availableCapacity": 5 }));
    // One outside the ranges takes nothing from them.
    site.api.post(&path, json!({ "routerInterfaceIp": "10.0.0.200" })).await.unwrap();
    assert!(site.free().await.contains(&json!("10.0.0.3")));
}

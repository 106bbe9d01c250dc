use std::time::Duration;

use gantry_common::id::HostUuid;
use gantry_mgmt::resource::VmInstanceState;
use serde_json::{Value, json};

use super::{api::Api, world::World};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn holds(found: &[Value], uuid: impl ToString) -> bool {
    found.iter().any(|vm| vm["uuid"] == json!(uuid.to_string()))
}

#[tokio::test]
async fn a_destroyed_vm_is_expunged_when_it_is_old_enough_and_not_before() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    let old = world.vm(&api, VmInstanceState::Destroyed, 4 * DAY).await;
    let young = world.vm(&api, VmInstanceState::Destroyed, 2 * DAY).await;
    let stopped = world.vm(&api, VmInstanceState::Stopped, 4 * DAY).await;
    api.set("vm", "expungeInterval", "1").await.unwrap();
    let left = api.eventually("/vm-instances", |found| !holds(found, old)).await;
    assert!(holds(&left, young) && holds(&left, stopped));
    // Its address is free again.
    let used = api.node.store.read(|tx| tx.count::<gantry_mgmt::resource::UsedIp>(&[])).await.unwrap();
    assert_eq!(used, 2);
    api.set("vm", "expungePeriod", "3600").await.unwrap();
    let left = api.eventually("/vm-instances", |found| !holds(found, young)).await;
    assert!(holds(&left, stopped));
}

#[tokio::test]
async fn a_vm_is_expunged_at_once_where_that_is_the_policy() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    let vm = world.vm(&api, VmInstanceState::Stopped, Duration::ZERO).await;
    api.set("vm", "deletionPolicy", "Direct").await.unwrap();
    api.delete(&format!("/vm-instances/{vm}?deleteMode=Permissive")).await.unwrap();
    api.eventually("/vm-instances", |found| !holds(found, vm)).await;
}

#[tokio::test]
async fn no_vm_is_expunged_where_the_policy_is_never() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    let kept = world.vm(&api, VmInstanceState::Destroyed, 4 * DAY).await;
    api.set("vm", "deletionPolicy", "Never").await.unwrap();
    gantry_mgmt::background::expunge_vms(api.node.clone()).await.unwrap();
    assert!(holds(&api.inventories("/vm-instances").await, kept));
    api.set("vm", "deletionPolicy", "Delay").await.unwrap();
    gantry_mgmt::background::expunge_vms(api.node.clone()).await.unwrap();
    assert!(!holds(&api.inventories("/vm-instances").await, kept));
}

use std::time::Duration;

use gantry_common::id::HostUuid;
use gantry_mgmt::resource::VmInstanceState;
use serde_json::{Value, json};

use super::{
    api::{Api, details},
    world::World,
};

pub async fn tag(api: &Api, kind: &str, resource_type: &str, uuid: impl ToString, tag: &str) -> Result<Value, Value> {
    let params = json!({ "resourceType": resource_type, "resourceUuid": uuid.to_string(), "tag": tag });
    api.post(kind, params).await.map(|reply| reply["inventory"].clone())
}

async fn memory(api: &Api, world: World) -> u64 {
    api.inventories(&format!("/hosts/{}", world.host)).await[0]["totalMemoryCapacity"].as_u64().unwrap()
}

#[tokio::test]
async fn a_hosts_reserve_follows_its_tag_and_without_it_its_clusters() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    api.set("kvm", "reservedMemory", "0").await.unwrap();
    let made = tag(&api, "/system-tags", "HostVO", world.host, "reservedMemory::256M").await.unwrap();
    assert_eq!((&made["type"], &made["inherent"]), (&json!("System"), &json!(false)));
    assert_eq!(memory(&api, world).await, 3 << 28);
    let path = format!("/system-tags/{}", made["uuid"].as_str().unwrap());
    api.act(&path, "updateSystemTag", json!({ "tag": "reservedMemory::512M" })).await.unwrap();
    assert_eq!(memory(&api, world).await, 2 << 28);
    tag(&api, "/system-tags", "ClusterVO", world.cluster, "host::reservedMemory::768M").await.unwrap();
    assert_eq!(memory(&api, world).await, 2 << 28, "the host's own tag goes before its cluster's");
    api.delete(&format!("/tags/{}?deleteMode=Permissive", made["uuid"].as_str().unwrap())).await.unwrap();
    assert_eq!(memory(&api, world).await, 1 << 28);
    assert!(api.inventories(&path).await.is_empty());
}

#[tokio::test]
async fn a_vm_that_is_off_moves_to_the_address_that_its_tag_asks_for() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    let vm = world.vm(&api, VmInstanceState::Stopped, Duration::ZERO).await;
    let other = world.vm(&api, VmInstanceState::Stopped, Duration::ZERO).await;
    let ip = async |vm| api.inventories(&format!("/vm-instances/{vm}")).await[0]["vmNics"][0]["ip"].clone();
    assert_eq!((ip(vm).await, ip(other).await), (json!("10.0.0.2"), json!("10.0.0.3")));
    let wanted = |ip: &str| format!("staticIp::{}::{ip}", world.l3);
    tag(&api, "/system-tags", "VmInstanceVO", vm, &wanted("10.0.0.7")).await.unwrap();
    assert_eq!(ip(vm).await, json!("10.0.0.7"));
    let refused = tag(&api, "/system-tags", "VmInstanceVO", other, &wanted("10.0.0.7")).await.unwrap_err();
    assert_eq!(refused["code"], json!("L3.1000"));
    assert!(details(&refused).contains("10.0.0.7 is taken"), "{refused}");
    let kept = api.inventories(&format!("/system-tags?q=resourceUuid={other}")).await;
    assert!(kept.is_empty(), "a tag that could not take effect stays: {kept:?}");
    tag(&api, "/system-tags", "VmInstanceVO", other, &wanted("10.0.0.2")).await.expect("the old address is free again");
}

#[tokio::test]
async fn a_tag_that_means_nothing_is_refused_and_so_is_a_resource_that_is_not_there() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    let refused = tag(&api, "/system-tags", "HostVO", world.host, "colour::red").await.unwrap_err();
    assert_eq!(refused["code"], json!("SYS.1007"));
    assert!(details(&refused).contains("reservedMemory::{bytes}"), "{refused}");
    let refused = tag(&api, "/system-tags", "HostVO", world.zone, "reservedMemory::1G").await.unwrap_err();
    assert!(details(&refused).contains("resourceUuid"), "{refused}");
    let refused = tag(&api, "/user-tags", "MoonVO", world.host, "x").await.unwrap_err();
    assert!(details(&refused).contains("VmInstanceVO"), "{refused}");
}

#[tokio::test]
async fn most_tags_stand_once_and_change_only_within_their_kind() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    let vm = world.vm(&api, VmInstanceState::Stopped, Duration::ZERO).await;
    let made = tag(&api, "/system-tags", "VmInstanceVO", vm, "hostname::web-1").await.unwrap();
    let path = format!("/system-tags/{}", made["uuid"].as_str().unwrap());
    let refused = tag(&api, "/system-tags", "VmInstanceVO", vm, "hostname::web-2").await.unwrap_err();
    assert!(details(&refused).contains("hostname::web-1"), "{refused}");
    let refused = api.act(&path, "updateSystemTag", json!({ "tag": "sshkey::ssh-rsa A" })).await.unwrap_err();
    assert!(details(&refused).contains("hostname::{name}"), "{refused}");
    let changed = api.act(&path, "updateSystemTag", json!({ "tag": "hostname::web-2" })).await.unwrap();
    assert_eq!(changed["inventory"]["tag"], json!("hostname::web-2"));
    for key in ["sshkey::ssh-ed25519 A", "sshkey::ssh-ed25519 B"] {
        tag(&api, "/system-tags", "VmInstanceVO", vm, key).await.unwrap();
    }
}

#[tokio::test]
async fn user_tags_are_free_and_found_by_query() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    let made = tag(&api, "/user-tags", "ZoneVO", world.zone, "for-large-DB").await.unwrap();
    assert_eq!(made["type"], json!("User"));
    let refused = tag(&api, "/user-tags", "ZoneVO", world.zone, "for-large-DB").await.unwrap_err();
    assert_eq!(refused["code"], json!("SYS.1012"));
    let found = api.inventories("/user-tags?q=resourceType=ZoneVO&q=tag=for-large-DB").await;
    assert_eq!(found, std::slice::from_ref(&made));
    assert_eq!(api.inventories("/zones?q=__userTag__=for-large-DB").await.len(), 1);
    let path = format!("/tags/{}", made["uuid"].as_str().unwrap());
    api.delete(&path).await.unwrap();
    let refused = api.delete(&path).await.unwrap_err();
    assert_eq!(refused["code"], json!("SYS.1009"));
}

#[tokio::test]
async fn an_operation_refuses_a_tag_that_means_nothing_and_makes_nothing() {
    let api = Api::start().await;
    let params = json!({ "name": "z" });
    let body = json!({ "params": params, "systemTags": ["colour::red"] });
    let refused = api.call(http::Method::POST, "/zones", body).await.unwrap_err();
    assert!(details(&refused).contains("host::reservedMemory::{bytes}"), "{refused}");
    assert!(api.inventories("/zones").await.is_empty());
}

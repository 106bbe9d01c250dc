//! Changing what resources say of themselves.

use serde_json::json;

use super::api::{Api, details};

const NO_SUCH_ID: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn a_resource_gets_another_name_description_and_state() {
    let api = Api::start().await;
    let zone = api.post("/zones", json!({ "name": "north" })).await.unwrap()["inventory"].clone();
    let path = format!("/zones/{}", zone["uuid"].as_str().unwrap());

    let named = api.act(&path, "updateZone", json!({ "name": " south ", "description": "warm" })).await.unwrap();
    assert_eq!((&named["inventory"]["name"], &named["inventory"]["description"]), (&json!("south"), &json!("warm")));
    let described = api.act(&path, "updateZone", json!({ "description": "cold" })).await.unwrap()["inventory"].clone();
    assert_eq!((&described["name"], &described["description"]), (&json!("south"), &json!("cold")));

    let disabled = api.act(&path, "changeZoneState", json!({ "stateEvent": "disable" })).await.unwrap();
    assert_eq!(disabled["inventory"]["state"], "Disabled");
    let enabled = api.act(&path, "changeZoneState", json!({ "stateEvent": "enable" })).await.unwrap();
    assert_eq!(enabled["inventory"]["state"], "Enabled");
    assert_eq!(api.inventories("/zones").await[0], enabled["inventory"]);
}

#[tokio::test]
async fn a_change_that_cannot_be_is_refused_and_changes_nothing() {
    let api = Api::start().await;
    let zone = api.post("/zones", json!({ "name": "north" })).await.unwrap()["inventory"].clone();
    let path = format!("/zones/{}", zone["uuid"].as_str().unwrap());
    let blank = api.act(&path, "updateZone", json!({ "name": " ", "description": "x" })).await.unwrap_err();
    assert!(details(&blank).contains("name"), "{blank}");
    let sunk = api.act(&path, "changeZoneState", json!({ "stateEvent": "sink" })).await.unwrap_err();
    assert!(details(&sunk).contains("'sink'") && details(&sunk).contains("enable, disable"), "{sunk}");
    let missing = api.act(&format!("/zones/{NO_SUCH_ID}"), "updateZone", json!({ "name": "x" })).await.unwrap_err();
    assert!(details(&missing).contains(NO_SUCH_ID), "{missing}");
    assert_eq!(api.inventories("/zones").await, [zone]);
}

#[tokio::test]
async fn an_offering_chooses_hosts_otherwise_from_now_on() {
    let api = Api::start().await;
    let params = json!({ "name": "small", "cpuNum": 1, "memorySize": 1 << 28 });
    let offering = api.post("/instance-offerings", params).await.unwrap()["inventory"]["uuid"].clone();
    let path = format!("/instance-offerings/{}", offering.as_str().unwrap());
    let unknown = api.act(&path, "updateInstanceOffering", json!({ "allocatorStrategy": "Dice" })).await.unwrap_err();
    let strategies = api.get("/hosts/allocators/strategies").await["strategies"].clone();
    for strategy in strategies.as_array().unwrap() {
        let strategy = strategy.as_str().unwrap();
        assert!(details(&unknown).contains(strategy), "{unknown}");
        let changed = json!({ "allocatorStrategy": strategy });
        let inventory = api.act(&path, "updateInstanceOffering", changed).await.unwrap()["inventory"].clone();
        assert_eq!(inventory["allocatorStrategy"], strategy);
    }
}

#[tokio::test]
async fn a_storage_keeps_its_directory() {
    let api = Api::start().await;
    let zone = api.post("/zones", json!({ "name": "north" })).await.unwrap()["inventory"]["uuid"].clone();
    let params = json!({ "name": "disks", "zoneUuid": zone, "url": "/data/disks" });
    let storage = api.post("/primary-storage/local-storage", params).await.unwrap()["inventory"]["uuid"].clone();
    let path = format!("/primary-storage/{}", storage.as_str().unwrap());
    let moved = api.act(&path, "updatePrimaryStorage", json!({ "url": "/data/other" })).await.unwrap_err();
    assert!(details(&moved).contains("/data/disks"), "{moved}");
    api.act(&path, "updatePrimaryStorage", json!({ "url": "/data/disks/", "name": "ssd" })).await.unwrap();
    let state = json!({ "stateEvent": "maintain" });
    let inventory = api.act(&path, "changePrimaryStorageState", state).await.unwrap()["inventory"].clone();
    assert_eq!((&inventory["name"], &inventory["state"]), (&json!("ssd"), &json!("Maintenance")));
    let capacity = api.get("/primary-storage/capacities?all=true").await;
    assert_eq!((&capacity["totalCapacity"], &capacity["availablePhysicalCapacity"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn a_typed_client_is_told_the_classes_of_what_it_gets() {
    let api = Api::start().await.typed();
    let zone = api.post("/zones", json!({ "name": "north" })).await.unwrap();
    assert_eq!(zone["schema"], json!({ "inventory": "org.zstack.header.zone.ZoneInventory" }));
    assert_eq!(api.get("/hosts/hypervisor-types").await, json!({ "hypervisorTypes": ["KVM"], "schema": {} }));
}

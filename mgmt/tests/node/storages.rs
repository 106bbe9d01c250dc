use std::time::Duration;

use gantry_common::{agent::StorageCapacity, id::PrimaryStorageUuid};
use gantry_mgmt::{resource::ConnectionStatus, store::Tx};
use serde_json::json;

use super::{api::Api, wire::RunningAgent, world::World};

const GIB: u64 = 1 << 30;

pub async fn storage(api: &Api, world: World) -> PrimaryStorageUuid {
    storage_at(api, world, "/data").await
}

pub async fn storage_at(api: &Api, world: World, url: &str) -> PrimaryStorageUuid {
    let (uuid, url) = (PrimaryStorageUuid::random(), url.to_owned());
    let put = move |tx: &Tx<'_>| world.put_local_storage(tx, uuid, ("local", &url), ConnectionStatus::Disconnected);
    api.node.store.write(put).await.unwrap();
    uuid
}

#[tokio::test]
async fn reserve_and_overcommit_count_at_once_and_a_storage_that_runs_full_is_told_once() {
    let api = Api::start().await;
    let agent = RunningAgent::start(&api.node.authority).await;
    let world = World::with_host(&api, agent.host).await;
    let uuid = storage(&api, world).await;
    let holds = |available_bytes| Some(StorageCapacity { total_bytes: 100 * GIB, available_bytes });
    *agent.double.capacity.lock() = holds(60 * GIB);
    api.node.fleet.watch(agent.endpoint());
    api.node.fleet.wait_connected(agent.host, Duration::from_secs(60)).await.unwrap();
    let path = format!("/primary-storage/{uuid}");
    let total = async || api.inventories(&path).await[0]["totalCapacity"].as_u64().unwrap() / GIB;
    assert_eq!(total().await, 59, "what is free less the reserve of 1 GiB");
    api.set("primaryStorage", "reservedCapacity", "10G").await.unwrap();
    assert_eq!(total().await, 50);
    api.set("mevoco", "overProvisioning.primaryStorage", "1.5").await.unwrap();
    assert_eq!(total().await, 75);

    let told = format!("/notifications?q=resourceUuid={uuid}");
    assert!(api.inventories(&told).await.is_empty());
    *agent.double.capacity.lock() = holds(5 * GIB);
    api.set("primaryStorage", "ping.interval", "1").await.unwrap();
    let found = api.eventually(&told, |found| !found.is_empty()).await;
    assert_eq!((&found[0]["resourceType"], &found[0]["type"]), (&json!("PrimaryStorageVO"), &json!("Warning")));
    let last = found[0]["time"].clone();
    *agent.double.capacity.lock() = holds(4 * GIB);
    api.eventually(&path, |found| found[0]["availablePhysicalCapacity"] == json!(4 * GIB)).await;
    let found = api.inventories(&told).await;
    assert_eq!((found.len(), &found[0]["time"]), (1, &last), "a storage that stays full is no news");
}

//! Image caches: what is there, what goes, and who waits for it.

use std::{sync::atomic::Ordering, time::Duration};

use gantry_common::{
    agent::{CachedImage, EvictImage, StorageCapacity},
    id::{HostUuid, ImageUuid, JobUuid, PrimaryStorageUuid},
};
use gantry_mgmt::{
    cleanup::{Cleanup, owe},
    store::CachePlace,
};
use serde_json::json;

use super::{
    api::{Api, details},
    storages::storage,
    wire::RunningAgent,
    world::World,
};

const MIB: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

fn path_of(image: ImageUuid) -> String {
    format!("/data/imagecache/template/{image}/{image}.qcow2")
}

/// A storage on a host of which the cache holds this image.
async fn with_cached(api: &Api, image: ImageUuid) -> (RunningAgent, PrimaryStorageUuid) {
    let agent = RunningAgent::start(&api.node.authority).await;
    let world = World::with_host(api, agent.host).await;
    let storage = storage(api, world).await;
    *agent.double.capacity.lock() = Some(StorageCapacity { total_bytes: 4096 * MIB, available_bytes: 3000 * MIB });
    agent.double.cached.lock().push(CachedImage { image, path: path_of(image), actual_bytes: 96 * MIB });
    api.node.fleet.watch(agent.endpoint());
    api.node.fleet.wait_connected(agent.host, PATIENCE).await.unwrap();
    (agent, storage)
}

#[tokio::test]
async fn measuring_finds_what_is_the_systems_and_what_is_cached() {
    let api = Api::start().await;
    api.set("primaryStorage", "reservedCapacity", "0").await.unwrap();
    let (agent, storage) = with_cached(&api, ImageUuid::random()).await;
    let path = format!("/primary-storage/{storage}");
    let synced = api.act(&path, "syncPrimaryStorageCapacity", json!({})).await.unwrap()["inventory"].clone();
    assert_eq!(synced["systemUsedCapacity"], json!(1000 * MIB));
    assert_eq!(synced["totalCapacity"], json!(3096 * MIB));
    assert_eq!(synced["availableCapacity"], json!(3000 * MIB));
    // What was found in the cache and is gone is given back.
    agent.double.cached.lock().clear();
    let synced = api.act(&path, "syncPrimaryStorageCapacity", json!({})).await.unwrap()["inventory"].clone();
    assert_eq!((&synced["availableCapacity"], &synced["totalCapacity"]), (&json!(3000 * MIB), &json!(3000 * MIB)));

    *agent.double.capacity.lock() = None;
    let refused = api.act(&path, "reconnectPrimaryStorage", json!({})).await.unwrap_err();
    assert!(details(&refused).contains(&agent.host.to_string()) && details(&refused).contains("/data"), "{refused}");
    assert_eq!(api.inventories(&path).await[0]["status"], json!("Disconnected"));
    *agent.double.capacity.lock() = Some(StorageCapacity { total_bytes: 4096 * MIB, available_bytes: 3000 * MIB });
    let back = api.act(&path, "reconnectPrimaryStorage", json!({})).await.unwrap();
    assert_eq!(back["inventory"]["status"], json!("Connected"));
    agent.stop().await;
    api.eventually(&path, |found| found[0]["status"] == json!("Disconnected")).await;
}

#[tokio::test]
async fn an_image_that_goes_is_in_hand_until_it_is_gone_and_one_in_use_stays() {
    let api = Api::start().await;
    let image = ImageUuid::random();
    let (agent, storage) = with_cached(&api, image).await;
    let place = CachePlace { image, storage, host: agent.host };
    let path = format!("/primary-storage/{storage}");
    api.act(&path, "syncPrimaryStorageCapacity", json!({})).await.unwrap();
    let in_hand = async || api.node.store.read(move |tx| tx.is_being_evicted(place)).await.unwrap();

    agent.double.refuses.store(true, Ordering::SeqCst);
    let kept = api.act(&path, "cleanUpImageCacheOnPrimaryStorage", json!({})).await.unwrap();
    assert_eq!((&kept["removed"], &kept["details"][0]["uuid"]), (&json!([]), &json!(image)));
    assert!(kept["details"][0]["reason"].as_str().unwrap().contains("a volume of the double") && !in_hand().await);
    agent.double.refuses.store(false, Ordering::SeqCst);

    let clean_up = api.act(&path, "cleanUpImageCacheOnPrimaryStorage", json!({}));
    let meanwhile = async {
        agent.double.begun.notified().await;
        assert!(in_hand().await);
        agent.double.gate.notify_one();
    };
    let (cleaned, ()) = tokio::join!(clean_up, meanwhile);
    let removed = json!([{ "imageUuid": image, "hostUuid": agent.host, "size": 96 * MIB }]);
    assert_eq!(cleaned.unwrap()["removed"], removed);
    assert!(!in_hand().await && agent.double.cached.lock().is_empty());
    assert_eq!(api.node.store.read(move |tx| tx.cached_path(place)).await.unwrap(), None);
}

#[tokio::test]
async fn images_that_exist_no_longer_go_by_themselves() {
    let api = Api::start().await;
    let (agent, storage) = with_cached(&api, ImageUuid::random()).await;
    api.act(&format!("/primary-storage/{storage}"), "syncPrimaryStorageCapacity", json!({})).await.unwrap();
    agent.double.gate.notify_one();
    api.set("primaryStorage", "imageCache.cleanup.interval", "1").await.unwrap();
    let told = api.eventually(&format!("/notifications?q=resourceUuid={storage}"), |found| !found.is_empty()).await;
    assert!(told[0]["content"].as_str().unwrap().contains("cleaned up"), "{told:?}");
    assert!(agent.double.cached.lock().is_empty());
}

/// The eviction was owed by a storage that was deleted and has come again since; this is what its GC job is called.
async fn owed_eviction(api: &Api, host: HostUuid, image: ImageUuid) -> String {
    let command = EvictImage { root: "/data".to_owned(), path: path_of(image) };
    owe(&api.node, host, Cleanup::CachedImage(command)).await.unwrap();
    let owed = api.inventories("/gc-jobs?q=status=Idle").await;
    format!("/gc-jobs/{}", owed[0]["uuid"].as_str().unwrap())
}

#[tokio::test]
async fn an_owed_eviction_leaves_alone_what_is_cached_again_or_about_to_be_used() {
    let api = Api::start().await;
    let image = ImageUuid::random();
    let (agent, storage) = with_cached(&api, image).await;
    let place = CachePlace { image, storage, host: agent.host };
    api.act(&format!("/primary-storage/{storage}"), "syncPrimaryStorageCapacity", json!({})).await.unwrap();
    // Asked to evict it, the double would refuse.
    agent.double.refuses.store(true, Ordering::SeqCst);
    let owed = owed_eviction(&api, agent.host, image).await;
    api.act(&owed, "triggerGCJob", json!({})).await.expect("it is cached again");

    // Between the arrival of an image and the record of it, the job that brought it has it in hand.
    let job = JobUuid::random();
    let claim = move |tx: &gantry_mgmt::store::Tx<'_>| {
        tx.forget_cached(place)?;
        tx.claim_use(place, job)
    };
    api.node.store.write(claim).await.unwrap();
    let owed = owed_eviction(&api, agent.host, image).await;
    api.act(&owed, "triggerGCJob", json!({})).await.expect("a job needs it");
    api.node.store.write(move |tx| tx.release_cache_claims(job)).await.unwrap();

    // What nobody needs goes, and whoever comes to need it then waits.
    agent.double.refuses.store(false, Ordering::SeqCst);
    let owed = owed_eviction(&api, agent.host, image).await;
    let in_hand = async || api.node.store.read(move |tx| tx.is_being_evicted(place)).await.unwrap();
    let meanwhile = async {
        agent.double.begun.notified().await;
        assert!(in_hand().await);
        agent.double.gate.notify_one();
    };
    let (done, ()) = tokio::join!(api.act(&owed, "triggerGCJob", json!({})), meanwhile);
    done.unwrap();
    assert!(!in_hand().await && agent.double.cached.lock().is_empty());
}

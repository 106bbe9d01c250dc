//! Volumes on local storage: where they are, where they could go, and that they stay where a move fails.

use std::time::Duration;

use gantry_common::{
    agent::StorageCapacity,
    id::{HostUuid, PrimaryStorageUuid, VmUuid, VolumeUuid},
};
use gantry_mgmt::{
    clock::Timestamp,
    failure::Failure,
    resource::{AdminState, Host, Machine, MediaStatus, VmInstanceState, Volume, VolumeType},
    store::{SqlValue, StorageRules, SurveyedStorage},
};
use serde_json::{Value, json};

use super::{
    api::{Api, details},
    storages::{storage, storage_at},
    wire::RunningAgent,
    world::World,
};

const GIB: u64 = 1 << 30;
const RULES: StorageRules = StorageRules { reserved_bytes: 0, overcommit: 1.0 };

/// A second host beside the world's, Connected by its record alone.
async fn another_host(api: &Api, world: World) -> HostUuid {
    let uuid = HostUuid::random();
    let add = move |tx: &gantry_mgmt::store::Tx<'_>| {
        let (host, machine) = (tx.get::<Host>(world.host)?.unwrap(), tx.get::<Machine>(world.host)?.unwrap());
        tx.insert(&Machine { uuid, address: "127.0.0.2".to_owned(), ..machine })?;
        let (name, management_ip) = ("other".to_owned(), "127.0.0.2".to_owned());
        Ok::<_, Failure>(tx.insert(&Host { uuid, name, management_ip, ..host })?)
    };
    api.node.store.write(add).await.unwrap();
    uuid
}

/// The storage has this much on the host.
async fn has(api: &Api, storage: PrimaryStorageUuid, host: HostUuid, bytes: u64) {
    let found = SurveyedStorage { total_bytes: bytes, available_bytes: bytes, own_bytes: 0 };
    let observe = move |tx: &gantry_mgmt::store::Tx<'_>| tx.survey_local_storage(storage, host, found, RULES);
    api.node.store.write(observe).await.unwrap();
}

async fn volume(api: &Api, storage: PrimaryStorageUuid, host: HostUuid, vm: Option<VmUuid>) -> VolumeUuid {
    let (uuid, now) = (VolumeUuid::random(), Timestamp::now());
    let volume = Volume {
        uuid,
        name: "disk".to_owned(),
        description: None,
        primary_storage_uuid: Some(storage),
        vm_instance_uuid: vm,
        disk_offering_uuid: None,
        root_image_uuid: None,
        install_path: Some(format!("/data/dataVolumes/acct-1/vol-{uuid}/{uuid}.qcow2")),
        kind: VolumeType::Data,
        format: "qcow2".to_owned(),
        size: GIB,
        actual_size: None,
        device_id: vm.map(|_| 1),
        state: AdminState::Enabled,
        status: MediaStatus::Ready,
        create_date: now,
        last_op_date: now,
        is_shareable: false,
        host_uuid: Some(host),
    };
    let insert = move |tx: &gantry_mgmt::store::Tx<'_>| {
        assert!(tx.allocate_storage(storage, host, &uuid.to_string(), GIB)?);
        tx.insert(&volume)
    };
    api.node.store.write(insert).await.unwrap();
    uuid
}

/// The ids that a list offers, and the reasons why it leaves out the others.
async fn candidates(api: &Api, path: &str) -> (Vec<Value>, Vec<(Value, String)>) {
    let reply = api.get(path).await;
    let offered = reply["inventories"].as_array().unwrap().iter().map(|found| found["uuid"].clone()).collect();
    let left_out = reply["details"].as_array().unwrap().iter();
    (offered, left_out.map(|found| (found["uuid"].clone(), found["reason"].as_str().unwrap().to_owned())).collect())
}

#[tokio::test]
async fn a_list_of_hosts_offers_what_the_move_admits_and_gives_its_reasons() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    let (here, other, full) = (world.host, another_host(&api, world).await, storage(&api, world).await);
    for host in [here, other] {
        has(&api, full, host, 10 * GIB).await;
    }
    let volume = volume(&api, full, here, None).await;
    let path = format!("/volumes/{volume}/migration-target-hosts");
    let (offered, left_out) = candidates(&api, &path).await;
    assert_eq!((offered, left_out.len()), (vec![json!(other)], 1));
    assert!(left_out[0].1.contains("already"), "{left_out:?}");

    let moves = format!("/primary-storage/local-storage/volumes/{volume}");
    for (bytes, reason) in [(GIB / 2, "bytes left"), (10 * GIB, "Maintenance")] {
        has(&api, full, other, bytes).await;
        if reason == "Maintenance" {
            let state = json!({ "stateEvent": "maintain" });
            api.act(&format!("/primary-storage/{full}"), "changePrimaryStorageState", state).await.unwrap();
        }
        let (offered, left_out) = candidates(&api, &path).await;
        let refused = api.act(&moves, "localStorageMigrateVolume", json!({ "destHostUuid": other })).await.unwrap_err();
        let told = left_out.iter().find(|(host, _)| *host == json!(other)).unwrap();
        assert!(offered.is_empty() && told.1 == details(&refused) && told.1.contains(reason), "{told:?} {refused}");
    }
}

#[tokio::test]
async fn a_volume_whose_vm_runs_or_has_others_stays_on_its_host() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    let (here, other, local) = (world.host, another_host(&api, world).await, storage(&api, world).await);
    let fast = storage_at(&api, world, "/fast").await;
    for (storage, host) in [(local, here), (local, other), (fast, here)] {
        has(&api, storage, host, 10 * GIB).await;
    }
    let running = world.vm(&api, VmInstanceState::Running, Duration::ZERO).await;
    let stopped = world.vm(&api, VmInstanceState::Stopped, Duration::ZERO).await;
    let of_running = volume(&api, local, here, Some(running)).await;
    let of_stopped = volume(&api, local, here, Some(stopped)).await;
    let (offered, left_out) = candidates(&api, &format!("/volumes/{of_running}/migration-target-hosts")).await;
    assert!(offered.is_empty() && left_out.iter().all(|(_, reason)| reason.contains("Running")), "{left_out:?}");
    let (offered, left_out) = candidates(&api, &format!("/volumes/{of_stopped}/migration-target-hosts")).await;
    assert!(offered.is_empty() && left_out.iter().all(|(_, reason)| reason.contains("detach")), "{left_out:?}");
    let storages = |volume| format!("/primary-storage/volumes/{volume}/migration-candidates");
    let (offered, left_out) = candidates(&api, &storages(of_stopped)).await;
    assert_eq!((offered, left_out[0].0.clone()), (vec![json!(fast)], json!(local)));
    assert_eq!(candidates(&api, &storages(of_running)).await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn a_move_that_fails_leaves_everything_as_it_was() {
    let api = Api::start().await;
    // Its agent knows no volumes.
    let agent = RunningAgent::start(&api.node.authority).await;
    let world = World::with_host(&api, agent.host).await;
    let local = storage(&api, world).await;
    *agent.double.capacity.lock() = Some(StorageCapacity { total_bytes: 10 * GIB, available_bytes: 10 * GIB });
    api.node.fleet.watch(agent.endpoint());
    api.node.fleet.wait_connected(agent.host, Duration::from_secs(60)).await.unwrap();
    let other = another_host(&api, world).await;
    has(&api, local, other, 10 * GIB).await;
    let volume = volume(&api, local, agent.host, None).await;
    let look = async || {
        let [volumes, storages] = [api.inventories("/volumes").await, api.inventories("/primary-storage").await];
        let mut volume = volumes[0].clone();
        volume.as_object_mut().unwrap().remove("lastOpDate");
        (volume, storages[0]["availableCapacity"].clone())
    };
    let before = look().await;
    let moves = format!("/primary-storage/local-storage/volumes/{volume}");
    let refused = api.act(&moves, "localStorageMigrateVolume", json!({ "destHostUuid": other })).await.unwrap_err();
    assert!(details(&refused).contains("offer_file"), "{refused}");
    assert_eq!(look().await, before);
    assert_eq!(api.inventories("/gc-jobs").await.len(), 1, "the host that was to get it is asked to forget it");
}

#[tokio::test]
async fn what_is_on_local_storage_is_queried_across_relations_and_measured_by_host() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    let (here, other, local) = (world.host, another_host(&api, world).await, storage(&api, world).await);
    for (host, bytes) in [(here, 10 * GIB), (other, 20 * GIB)] {
        has(&api, local, host, bytes).await;
    }
    let (one, _two) = (volume(&api, local, here, None).await, volume(&api, local, other, None).await);
    let path = "/primary-storage/local-storage/resource-refs";
    for condition in [format!("hostUuid={here}"), format!("volume.uuid={one}"), "host.name=host".to_owned()] {
        let found = api.inventories(&format!("{path}?q={condition}&q=primaryStorage.name=local")).await;
        assert_eq!(found.len(), 1, "{condition}");
        let found = &found[0];
        assert_eq!((&found["resourceUuid"], &found["size"]), (&json!(one), &json!(GIB)), "{condition}");
        assert_eq!((&found["resourceType"], &found["hostUuid"]), (&json!("VolumeVO"), &json!(here)));
    }
    assert_eq!(api.get(&format!("{path}?count=true")).await["total"], json!(2));

    let capacities = format!("/primary-storage/local-storage/{local}/capacities");
    let of_other = api.inventories(&format!("{capacities}?hostUuid={other}")).await;
    assert_eq!(of_other[0]["totalCapacity"], json!(20 * GIB));
    assert_eq!(of_other[0]["availableCapacity"], json!(19 * GIB));
    assert_eq!(api.inventories(&capacities).await.len(), 2);
    let elsewhere = format!("{capacities}?hostUuid={}", HostUuid::random());
    let refused = api.call(http::Method::GET, &elsewhere, Value::Null).await.unwrap_err();
    assert!(details(&refused).contains("hostUuid"), "{refused}");
}

#[tokio::test]
async fn nothing_starts_on_a_storage_in_maintenance() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    let local = storage(&api, world).await;
    has(&api, local, world.host, 10 * GIB).await;
    let vm = world.vm(&api, VmInstanceState::Stopped, Duration::ZERO).await;
    volume(&api, local, world.host, Some(vm)).await;
    let path = format!("/primary-storage/{local}");
    let state = async |event: &str| api.act(&path, "changePrimaryStorageState", json!({ "stateEvent": event })).await;
    state("maintain").await.unwrap();
    let refused = api.act(&format!("/vm-instances/{vm}"), "startVmInstance", json!({})).await.unwrap_err();
    assert!(details(&refused).contains("Maintenance"), "{refused}");
    state("enable").await.unwrap();
    let set = move |tx: &gantry_mgmt::store::Tx<'_>| {
        let moving = tx.find::<Volume>(&[("primary_storage_uuid", local.to_sql())])?.remove(0);
        tx.save(&Volume { status: MediaStatus::Migrating, ..moving })
    };
    api.node.store.write(set).await.unwrap();
    let refused = state("maintain").await.unwrap_err();
    assert!(details(&refused).contains("1 volumes that are being moved"), "{refused}");
}

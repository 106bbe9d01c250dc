use std::time::Duration;

use gantry_common::{
    agent::{AgentError, StorageCapacity},
    error::ErrorKind,
    id::{PrimaryStorageUuid, VmUuid, VolumeUuid},
};
use gantry_mgmt::{
    clock::Timestamp,
    failure::Failure,
    resource::{AdminState, GuestPlatform, MediaStatus, VmInstance, VmInstanceState, Volume, VolumeType},
};
use http::Method;
use serde_json::{Value, json};

use super::{
    api::{Api, details},
    double::Disks,
    storages::storage,
    wire::RunningAgent,
    world::World,
};

const GIB: u64 = 1 << 30;

/// A host with a local storage of 50 GiB and a disk offering of 1 GiB.
struct Site {
    api: Api,
    agent: RunningAgent,
    world: World,
    storage: PrimaryStorageUuid,
    offering: String,
}

impl Site {
    async fn start() -> Self {
        let api = Api::start().await;
        let agent = RunningAgent::start(&api.node.authority).await;
        let world = World::with_host(&api, agent.host).await;
        let storage = storage(&api, world).await;
        *agent.double.capacity.lock() = Some(StorageCapacity { total_bytes: 51 * GIB, available_bytes: 51 * GIB });
        *agent.double.disks.lock() = Some(Disks::default());
        api.node.fleet.watch(agent.endpoint());
        api.node.fleet.wait_connected(agent.host, Duration::from_secs(60)).await.unwrap();
        let offering = api.post("/disk-offerings", json!({ "name": "small", "diskSize": GIB })).await.unwrap();
        let offering = offering["inventory"]["uuid"].as_str().unwrap().to_owned();
        let site = Self { api, agent, world, storage, offering };
        assert_eq!(site.free_gib().await, 50);
        site
    }

    /// A VM of this state, with a root volume of 1 GiB on the storage.
    async fn vm(&self, state: VmInstanceState) -> VmUuid {
        let vm = self.world.vm(&self.api, state, Duration::ZERO).await;
        let (storage, host) = (self.storage, self.world.host);
        self.api
            .node
            .store
            .write(move |tx| {
                let mut vm = tx.get::<VmInstance>(vm)?.unwrap();
                let now = Timestamp::now();
                let root = Volume {
                    uuid: VolumeUuid::random(),
                    name: "root".to_owned(),
                    description: None,
                    primary_storage_uuid: Some(storage),
                    vm_instance_uuid: Some(vm.uuid),
                    disk_offering_uuid: None,
                    root_image_uuid: None,
                    install_path: Some(format!("/data/{}", vm.uuid)),
                    kind: VolumeType::Root,
                    format: "qcow2".to_owned(),
                    size: GIB,
                    actual_size: None,
                    device_id: Some(0),
                    state: AdminState::Enabled,
                    status: MediaStatus::Ready,
                    create_date: now,
                    last_op_date: now,
                    is_shareable: false,
                    host_uuid: Some(host),
                };
                tx.insert(&root)?;
                assert!(tx.allocate_storage(storage, host, &root.uuid.to_string(), GIB)?);
                vm.root_volume_uuid = Some(root.uuid);
                vm.host_uuid = matches!(state, VmInstanceState::Running).then_some(host);
                tx.save(&vm)?;
                Ok::<_, Failure>(())
            })
            .await
            .unwrap();
        vm
    }

    /// A data volume, with a file where `placed`.
    async fn volume(&self, placed: bool) -> String {
        let mut body = json!({ "params": { "name": "data", "diskOfferingUuid": self.offering } });
        if placed {
            body["params"]["primaryStorageUuid"] = json!(self.storage);
            body["systemTags"] = json!([format!("localStorage::hostUuid::{}", self.world.host)]);
        }
        let made = self.api.call(Method::POST, "/volumes/data", body).await.unwrap();
        made["inventory"]["uuid"].as_str().unwrap().to_owned()
    }

    async fn one(&self, volume: &str) -> Value {
        self.api.inventories(&format!("/volumes/{volume}")).await.remove(0)
    }

    async fn attach(&self, volume: &str, vm: VmUuid) -> Result<Value, Value> {
        self.api.call(Method::POST, &format!("/volumes/{volume}/vm-instances/{vm}"), Value::Null).await
    }

    async fn detach(&self, volume: &str) -> Result<Value, Value> {
        self.api.delete(&format!("/volumes/{volume}/vm-instances")).await
    }

    async fn resize(&self, volume: &str, size: u64) -> Result<Value, Value> {
        self.api.act(&format!("/volumes/data/resize/{volume}"), "resizeDataVolume", json!({ "size": size })).await
    }

    /// What the storage may still promise.
    async fn free_gib(&self) -> u64 {
        let storage = self.api.inventories(&format!("/primary-storage/{}", self.storage)).await.remove(0);
        storage["availableCapacity"].as_u64().unwrap() / GIB
    }

    fn files(&self) -> usize {
        self.agent.double.disks.lock().as_ref().unwrap().files.len()
    }

    fn is_plugged(&self, vm: VmUuid, volume: &str) -> bool {
        self.agent.double.disks.lock().as_ref().unwrap().plugged.contains(&(vm, volume.parse().unwrap()))
    }

    /// The next attachment, detachment or growth fails.
    fn fail(&self, error: AgentError, afterwards: bool) {
        let mut disks = self.agent.double.disks.lock();
        let disks = disks.as_mut().unwrap();
        (disks.fails, disks.fails_afterwards) = (Some(error), afterwards);
    }
}

fn busy() -> AgentError {
    AgentError::InUse { what: "the disk".to_owned(), user: "the guest".to_owned() }
}

#[tokio::test]
async fn a_volume_without_a_storage_gets_its_file_with_its_first_vm() {
    let site = Site::start().await;
    let vm = site.vm(VmInstanceState::Stopped).await;
    let volume = site.volume(false).await;
    let record = site.one(&volume).await;
    assert_eq!((&record["status"], &record["type"]), (&json!("NotInstantiated"), &json!("Data")));
    assert!(record.get("primaryStorageUuid").is_none() && site.files() == 0);
    assert_eq!(site.free_gib().await, 49);

    let attached = site.attach(&volume, vm).await.unwrap()["inventory"].clone();
    assert_eq!((&attached["status"], &attached["deviceId"]), (&json!("Ready"), &json!(1)));
    assert_eq!(attached["vmInstanceUuid"], json!(vm));
    assert_eq!((site.free_gib().await, site.files()), (48, 1));
    // Once more changes nothing.
    assert_eq!(site.attach(&volume, vm).await.unwrap()["inventory"]["deviceId"], json!(1));

    let detached = site.detach(&volume).await.unwrap()["inventory"].clone();
    assert!(detached.get("vmInstanceUuid").is_none() && detached.get("deviceId").is_none(), "{detached}");
    assert_eq!((site.free_gib().await, site.files()), (48, 1));
    site.detach(&volume).await.unwrap();
}

#[tokio::test]
async fn an_attachment_that_fails_leaves_no_file_no_promise_and_no_disk() {
    let site = Site::start().await;
    let vm = site.vm(VmInstanceState::Running).await;
    let volume = site.volume(false).await;
    for afterwards in [false, true] {
        site.fail(AgentError::Timeout { operation: "attach".to_owned(), seconds: 60 }, afterwards);
        let refused = site.attach(&volume, vm).await.unwrap_err();
        assert_eq!(refused["code"], json!(ErrorKind::Timeout.code()));
        let record = site.one(&volume).await;
        assert_eq!(record["status"], json!("NotInstantiated"));
        assert!(record.get("vmInstanceUuid").is_none() && record.get("installPath").is_none(), "{record}");
        assert!(!site.is_plugged(vm, &volume) && site.files() == 0);
        assert_eq!(site.free_gib().await, 49);
    }
    site.attach(&volume, vm).await.unwrap();
    assert!(site.is_plugged(vm, &volume));
}

#[tokio::test]
async fn a_guest_that_keeps_its_disk_keeps_the_volume() {
    let site = Site::start().await;
    let vm = site.vm(VmInstanceState::Running).await;
    let volume = site.volume(true).await;
    site.attach(&volume, vm).await.unwrap();
    for (error, afterwards) in [(busy(), false), (AgentError::Cancelled, true)] {
        site.fail(error.clone(), afterwards);
        site.detach(&volume).await.unwrap_err();
        site.fail(error, afterwards);
        site.api.delete(&format!("/volumes/{volume}")).await.unwrap_err();
        let record = site.one(&volume).await;
        assert_eq!((&record["vmInstanceUuid"], &record["deviceId"]), (&json!(vm), &json!(1)));
        assert_eq!(record["status"], json!("Ready"));
        assert!(site.is_plugged(vm, &volume));
    }
    site.detach(&volume).await.unwrap();
    assert!(!site.is_plugged(vm, &volume));
}

#[tokio::test]
async fn deleting_detaches_recovering_brings_back_and_expunging_removes_the_file() {
    let site = Site::start().await;
    let vm = site.vm(VmInstanceState::Running).await;
    let volume = site.volume(true).await;
    site.attach(&volume, vm).await.unwrap();
    let path = format!("/volumes/{volume}");
    site.api.act(&path, "expungeDataVolume", json!({})).await.unwrap_err();
    site.api.delete(&path).await.unwrap();
    assert_eq!(site.one(&volume).await["status"], json!("Deleted"));
    assert!(!site.is_plugged(vm, &volume));
    for refused in [site.attach(&volume, vm).await, site.resize(&volume, 2 * GIB).await] {
        assert_eq!(refused.unwrap_err()["code"], json!(ErrorKind::StateForbids.code()));
    }
    let back = site.api.act(&path, "recoverDataVolume", json!({})).await.unwrap();
    assert_eq!(back["inventory"]["status"], json!("Ready"));
    site.api.delete(&path).await.unwrap();
    assert_eq!((site.files(), site.free_gib().await), (1, 48));
    site.api.act(&path, "expungeDataVolume", json!({})).await.unwrap();
    assert!(site.api.inventories(&path).await.is_empty());
    assert_eq!((site.files(), site.free_gib().await), (0, 49));
}

#[tokio::test]
async fn a_deleted_volume_is_expunged_by_itself_as_the_policy_says() {
    let site = Site::start().await;
    let kept = site.volume(true).await;
    site.api.delete(&format!("/volumes/{kept}")).await.unwrap();
    gantry_mgmt::background::expunge_volumes(site.api.node.clone()).await.unwrap();
    assert_eq!(site.one(&kept).await["status"], json!("Deleted"));
    site.api.set("volume", "expungePeriod", "0").await.unwrap();
    site.api.set("volume", "expungeInterval", "1").await.unwrap();
    site.api.eventually("/volumes", <[_]>::is_empty).await;
    site.api.set("volume", "expungePeriod", "3600").await.unwrap();
    site.api.set("volume", "deletionPolicy", "Direct").await.unwrap();
    let direct = site.volume(true).await;
    site.api.delete(&format!("/volumes/{direct}")).await.unwrap();
    site.api.eventually("/volumes", <[_]>::is_empty).await;
    assert_eq!(site.files(), 0);
}

#[tokio::test]
async fn a_volume_grows_within_its_storage_and_what_grew_by_a_failure_is_recorded() {
    let site = Site::start().await;
    let volume = site.volume(true).await;
    let record = site.resize(&volume, 3 * GIB - 1).await.unwrap()["inventory"].clone();
    assert_eq!((&record["size"], site.free_gib().await), (&json!(3 * GIB), 47));
    let smaller = site.resize(&volume, GIB).await.unwrap_err();
    assert!(details(&smaller).contains("only grow"), "{smaller}");
    let full = site.resize(&volume, 60 * GIB).await.unwrap_err();
    assert_eq!(full["code"], json!(ErrorKind::NoStorageCapacity.code()));
    let root = site.api.act(&format!("/volumes/resize/{volume}"), "resizeRootVolume", json!({ "size": 4 * GIB })).await;
    assert!(details(&root.unwrap_err()).contains("ResizeDataVolume"));

    let broken = || AgentError::Internal { reason: "broken".to_owned() };
    site.fail(broken(), false);
    site.resize(&volume, 5 * GIB).await.unwrap_err();
    assert_eq!((&site.one(&volume).await["size"], site.free_gib().await), (&json!(3 * GIB), 47));
    site.fail(broken(), true);
    site.resize(&volume, 5 * GIB).await.unwrap_err();
    assert_eq!((&site.one(&volume).await["size"], site.free_gib().await), (&json!(5 * GIB), 45));
}

#[tokio::test]
async fn a_volume_that_grew_behind_the_nodes_back_is_measured() {
    let site = Site::start().await;
    let volume = site.volume(true).await;
    let path = site.one(&volume).await["installPath"].as_str().unwrap().to_owned();
    site.agent.double.disks.lock().as_mut().unwrap().files.insert(path, 7 * GIB);
    let record = site.api.act(&format!("/volumes/{volume}"), "syncVolumeSize", json!({})).await.unwrap();
    assert_eq!((&record["inventory"]["size"], site.free_gib().await), (&json!(7 * GIB), 43));
    assert_eq!(record["inventory"]["actualSize"], json!(1 << 16));
    let unmade = site.volume(false).await;
    let refused = site.api.act(&format!("/volumes/{unmade}"), "syncVolumeSize", json!({})).await.unwrap_err();
    assert_eq!(refused["code"], json!(ErrorKind::StateForbids.code()));
    let can = site.api.get(&format!("/volumes/{volume}/capabilities")).await;
    assert_eq!(can["capabilities"]["MigrationInCurrentPrimaryStorage"], json!(true));
}

#[tokio::test]
async fn what_the_candidates_list_offers_is_what_attaching_admits() {
    let site = Site::start().await;
    let states = [VmInstanceState::Running, VmInstanceState::Stopped, VmInstanceState::Destroyed];
    let mut vms = Vec::new();
    for state in states {
        vms.push(site.vm(state).await);
    }
    let full = site.vm(VmInstanceState::Stopped).await;
    let volume = site.volume(true).await;
    let disabled = site.volume(true).await;
    let event = json!({ "stateEvent": "disable" });
    site.api.act(&format!("/volumes/{disabled}"), "changeVolumeState", event).await.unwrap();
    site.api.set("kvm", "dataVolume.maxNum", "1").await.unwrap();
    let third = site.volume(true).await;
    site.attach(&third, full).await.unwrap();

    for volume in [&volume, &disabled] {
        let found = site.api.get(&format!("/volumes/{volume}/candidate-vm-instances")).await;
        for vm in vms.iter().chain([&full]) {
            let offered = found["inventories"].as_array().unwrap().iter().any(|one| one["uuid"] == json!(vm));
            let excluded = found["details"].as_array().unwrap().iter().find(|one| one["uuid"] == json!(vm));
            assert_ne!(offered, excluded.is_some(), "{found}");
            let from_the_vm = site.api.get(&format!("/vm-instances/{vm}/data-volume-candidates")).await;
            let listed = from_the_vm["inventories"].as_array().unwrap().iter().any(|one| one["uuid"] == json!(volume));
            assert_eq!(listed, offered);
            if let Some(excluded) = excluded {
                let refused = site.attach(volume, *vm).await.unwrap_err();
                assert_eq!(excluded["reason"], refused["details"]);
            }
        }
    }
    site.attach(&volume, vms[0]).await.unwrap();
    assert!(site.api.inventories("/volumes/vm-instances/refs").await.is_empty());
}

#[tokio::test]
async fn a_volume_on_a_storage_in_maintenance_is_attached_when_that_is_over() {
    let site = Site::start().await;
    let vm = site.vm(VmInstanceState::Stopped).await;
    let volume = site.volume(true).await;
    let storage = site.one(&volume).await["primaryStorageUuid"].as_str().unwrap().to_owned();
    let path = format!("/primary-storage/{storage}");
    let change = async |event: &str| {
        site.api.act(&path, "changePrimaryStorageState", json!({ "stateEvent": event })).await.unwrap();
    };
    change("maintain").await;
    let refused = site.attach(&volume, vm).await.unwrap_err();
    assert!(details(&refused).contains("which is in Maintenance: enable it"), "{refused}");
    // What is merely to be filled no further still serves what is on it.
    change("disable").await;
    site.attach(&volume, vm).await.unwrap();
}

#[tokio::test]
async fn disks_that_cannot_be_plugged_come_and_go_while_the_vm_is_off() {
    let site = Site::start().await;
    let set = async |vm: VmUuid, platform, state| {
        let change = move |tx: &gantry_mgmt::store::Tx<'_>| {
            let mut vm = tx.get::<VmInstance>(vm)?.unwrap();
            (vm.platform, vm.state) = (platform, state);
            Ok::<_, Failure>(tx.save(&vm)?)
        };
        site.api.node.store.write(change).await.unwrap();
    };
    let vm = site.vm(VmInstanceState::Running).await;
    set(vm, GuestPlatform::Other, VmInstanceState::Running).await;
    let volumes = [site.volume(true).await, site.volume(true).await, site.volume(true).await];
    let refused = site.attach(&volumes[0], vm).await.unwrap_err();
    assert!(details(&refused).contains("stop it first"), "{refused}");
    set(vm, GuestPlatform::Other, VmInstanceState::Stopped).await;
    site.attach(&volumes[0], vm).await.unwrap();
    site.attach(&volumes[1], vm).await.unwrap();
    let refused = site.attach(&volumes[2], vm).await.unwrap_err();
    assert!(details(&refused).contains("platform Other has room for 2"), "{refused}");
    // A number that was given back is given again.
    site.detach(&volumes[0]).await.unwrap();
    assert_eq!(site.attach(&volumes[2], vm).await.unwrap()["inventory"]["deviceId"], json!(1));
    set(vm, GuestPlatform::Windows, VmInstanceState::Running).await;
    let refused = site.detach(&volumes[2]).await.unwrap_err();
    assert!(details(&refused).contains("stop it first"), "{refused}");
}

#[tokio::test]
async fn an_expunged_vm_leaves_its_data_volumes_and_takes_its_root_volume() {
    let site = Site::start().await;
    let vm = site.vm(VmInstanceState::Stopped).await;
    let volume = site.volume(true).await;
    site.attach(&volume, vm).await.unwrap();
    site.api.delete(&format!("/vm-instances/{vm}")).await.unwrap();
    assert_eq!(site.one(&volume).await["vmInstanceUuid"], json!(vm));
    site.api.act(&format!("/vm-instances/{vm}"), "expungeVmInstance", json!({})).await.unwrap();
    let left = site.api.inventories("/volumes").await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["uuid"], json!(volume));
    assert!(left[0].get("vmInstanceUuid").is_none(), "{left:?}");
    assert_eq!(*site.agent.double.deleted.lock(), [format!("/data/{vm}")]);
    assert_eq!((site.files(), site.free_gib().await), (1, 49));
}

#[tokio::test]
async fn a_call_that_cannot_be_is_told_what_is_wrong() {
    let site = Site::start().await;
    let create = async |params: Value, tags: Value| {
        let body = json!({ "params": params, "systemTags": tags });
        site.api.call(Method::POST, "/volumes/data", body).await.unwrap_err()
    };
    let host = json!([format!("localStorage::hostUuid::{}", site.world.host)]);
    let usual = json!({ "name": "data", "diskOfferingUuid": site.offering, "primaryStorageUuid": site.storage });
    let without_host = create(usual.clone(), json!([])).await;
    assert!(details(&without_host).contains("localStorage::hostUuid::"), "{without_host}");
    let shareable = create(usual.clone(), json!([host[0], "ephemeral::shareable"])).await;
    assert!(details(&shareable).contains("shares no volume"), "{shareable}");
    let mut huge = usual;
    let offering = site.api.post("/disk-offerings", json!({ "name": "huge", "diskSize": 100 * GIB })).await.unwrap();
    huge["diskOfferingUuid"] = offering["inventory"]["uuid"].clone();
    let full = create(huge, host).await;
    assert_eq!(full["code"], json!(ErrorKind::NoStorageCapacity.code()), "{full}");
    assert!(site.api.inventories("/volumes").await.is_empty() && site.files() == 0);

    let vm = site.vm(VmInstanceState::Stopped).await;
    let root = site.api.inventories("/volumes").await.remove(0)["uuid"].as_str().unwrap().to_owned();
    for refused in [
        site.detach(&root).await,
        site.attach(&root, vm).await,
        site.api.delete(&format!("/volumes/{root}")).await,
        site.api.act(&format!("/volumes/{root}"), "expungeDataVolume", json!({})).await,
    ] {
        assert!(details(&refused.unwrap_err()).contains("root volume"));
    }
}

//! What the lists of candidates offer, and why they leave others out.

use std::collections::BTreeMap;

use gantry_common::id::{BackupStorageUuid, HostUuid, ImageUuid, PrimaryStorageUuid};
use gantry_mgmt::{
    clock::Timestamp,
    failure::Failure,
    resource::{
        AdminState, BackupStorage, BackupStorageZoneRef, ConnectionStatus, GuestPlatform, Image, ImageBackupStorageRef,
        MediaStatus, MediaType, VmInstanceState,
    },
    store::{StorageRules, Tx},
};
use serde_json::{Value, json};

use super::{
    api::{Api, details},
    world::World,
};

const GIB: u64 = 1 << 30;

/// Two hosts of one cluster, `large` with 64 GiB of disk and `small` with 4, an image, and sizes.
pub struct Shop {
    pub world: World,
    pub small: HostUuid,
    storage: PrimaryStorageUuid,
    pub image: ImageUuid,
    pub offering: String,
    disk: String,
}

impl Shop {
    pub async fn open(api: &Api) -> Self {
        let world = World::with_host(api, HostUuid::random()).await;
        let small = HostUuid::random();
        world.another_host(api, small).await;
        world.attach_network(api).await;
        let (storage, image, backup) = (PrimaryStorageUuid::random(), ImageUuid::random(), BackupStorageUuid::random());
        let stock = move |tx: &Tx<'_>| {
            put_storage(tx, world, storage, "disks")?;
            put_image(tx, world, image, backup)?;
            for (host, left) in [(world.host, 64 * GIB), (small, 4 * GIB)] {
                tx.set_host_totals(host, 8, 8 * GIB)?;
                let rules = StorageRules { reserved_bytes: 0, overcommit: 1.0 };
                tx.observe_local_storage(storage, host, 100 * GIB, left, rules)?;
            }
            Ok::<_, Failure>(())
        };
        api.node.store.write(stock).await.unwrap();
        // The hosts' disks are full of what was there before: that is not what is tried here.
        api.set("mevoco", "threshold.primaryStorage.physicalCapacity", "1").await.unwrap();
        let offering = json!({ "name": "small", "cpuNum": 2, "memorySize": GIB });
        let offering = uuid(&api.post("/instance-offerings", offering).await.unwrap());
        let disk = uuid(&api.post("/disk-offerings", json!({ "name": "disk", "diskSize": 10 * GIB })).await.unwrap());
        Self { world, small, storage, image, offering, disk }
    }

    fn asking(&self, more: &str) -> String {
        format!("imageUuid={}&l3NetworkUuids={}{more}", self.image, self.world.l3)
    }

    pub async fn destinations(&self, api: &Api, more: &str) -> Value {
        let asking = self.asking(&format!("&instanceOfferingUuid={}{more}", self.offering));
        api.get(&format!("/vm-instances/candidate-destinations?{asking}")).await
    }

    async fn storages(&self, api: &Api, more: &str) -> Value {
        api.get(&format!("/vm-instances/candidate-storages?{}", self.asking(more))).await
    }
}

fn uuid(made: &Value) -> String {
    made["inventory"]["uuid"].as_str().unwrap().to_owned()
}

pub fn uuids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["uuid"].as_str().unwrap()).collect()
}

pub fn reasons(answer: &Value) -> BTreeMap<&str, &str> {
    let text = |one: &'_ Value, field: &str| one[field].as_str().unwrap().len();
    let list = answer["details"].as_array().unwrap();
    assert!(list.iter().all(|one| text(one, "name") > 0));
    list.iter().map(|one| (one["uuid"].as_str().unwrap(), one["reason"].as_str().unwrap())).collect()
}

fn put_storage(tx: &Tx<'_>, world: World, uuid: PrimaryStorageUuid, name: &str) -> Result<(), Failure> {
    world.put_local_storage(tx, uuid, (name, &format!("/{name}")), ConnectionStatus::Connected)
}

fn put_image(tx: &Tx<'_>, world: World, uuid: ImageUuid, backup: BackupStorageUuid) -> Result<(), Failure> {
    let now = Timestamp::now();
    let text = || "x".to_owned();
    tx.insert(&Image {
        uuid,
        name: "guest".to_owned(),
        description: None,
        state: AdminState::Enabled,
        status: MediaStatus::Ready,
        size: 2 * GIB,
        actual_size: GIB,
        md5_sum: None,
        url: text(),
        media_type: MediaType::RootVolumeTemplate,
        guest_os_type: None,
        kind: text(),
        platform: GuestPlatform::Linux,
        format: "qcow2".to_owned(),
        system: false,
        create_date: now,
        export_url: None,
        export_md5_sum: None,
        last_op_date: now,
    })?;
    tx.insert(&BackupStorage {
        uuid: backup,
        name: "images".to_owned(),
        url: "/images".to_owned(),
        description: None,
        total_capacity: 0,
        available_capacity: 0,
        kind: "ImageStoreBackupStorage".to_owned(),
        state: AdminState::Enabled,
        status: ConnectionStatus::Connected,
        hostname: text(),
        username: text(),
        ssh_port: 22,
        create_date: now,
        last_op_date: now,
        machine_uuid: world.host,
    })?;
    tx.insert(&BackupStorageZoneRef { backup_storage_uuid: backup, zone_uuid: world.zone })?;
    Ok(tx.insert(&ImageBackupStorageRef {
        image_uuid: uuid,
        backup_storage_uuid: backup,
        install_path: text(),
        status: MediaStatus::Ready,
        create_date: now,
        export_url: None,
        last_op_date: now,
    })?)
}

#[tokio::test]
async fn a_new_vm_goes_where_its_volumes_fit() {
    let api = Api::start().await;
    let shop = Shop::open(&api).await;
    let (large, small) = (shop.world.host.to_string(), shop.small.to_string());
    let both = shop.destinations(&api, "").await;
    assert_eq!(uuids(&both["hosts"]).len(), 2, "{both}");
    assert_eq!((&both["details"], &both["success"]), (&json!([]), &json!(true)));
    assert_eq!(uuids(&both["clusters"]), [shop.world.cluster.to_string()]);
    assert_eq!(uuids(&both["zones"]), [shop.world.zone.to_string()]);

    let one = shop.destinations(&api, &format!("&dataDiskOfferingUuids={}", shop.disk)).await;
    assert_eq!(uuids(&one["hosts"]), [&large], "{one}");
    // 4 GiB, of which the root volume takes 2 and the image 1.
    let expected = format!("primary storage 'disks' has {GIB} bytes left there and {} are needed", 10 * GIB);
    assert_eq!(reasons(&one)[small.as_str()], expected);

    let empty = World::with_zone(&api).await;
    let nowhere = shop.destinations(&api, &format!("&zoneUuid={empty}")).await;
    assert_eq!((&nowhere["hosts"], &nowhere["zones"]), (&json!([]), &json!([])));
    assert_eq!(reasons(&nowhere)[empty.to_string().as_str()], "it has no host");
}

#[tokio::test]
async fn the_storages_of_each_volume_are_told_apart() {
    let api = Api::start().await;
    let shop = Shop::open(&api).await;
    let (fast, world) = (PrimaryStorageUuid::random(), shop.world);
    let stock = move |tx: &Tx<'_>| {
        put_storage(tx, world, fast, "fast")?;
        let rules = StorageRules { reserved_bytes: 0, overcommit: 1.0 };
        Ok::<_, Failure>(tx.observe_local_storage(fast, world.host, 5 * GIB, 5 * GIB, rules)?)
    };
    api.node.store.write(stock).await.unwrap();
    let (disks, fast) = (shop.storage.to_string(), fast.to_string());
    let data = format!("&dataDiskOfferingUuids={}", shop.disk);
    let answer = shop.storages(&api, &data).await;
    let mut root = uuids(&answer["rootVolumePrimaryStorages"]);
    root.sort_unstable();
    let mut all = [disks.as_str(), &fast];
    all.sort_unstable();
    assert_eq!(root, all);
    assert_eq!(uuids(&answer["dataVolumePrimaryStorages"][&shop.disk]), [&disks]);
    let reason = reasons(&answer)[fast.as_str()];
    assert!(reason.starts_with("for a data volume of disk offering 'disk': "), "{reason}");
    assert!(reason.contains("bytes left there"), "{reason}");

    // What offerings ask for by their tags.
    let tag = |kind: &str, of: &str, tag: String| json!({ "resourceType": kind, "resourceUuid": of, "tag": tag });
    let only = tag("DiskOfferingVO", &shop.disk, "primaryStorage::allocator::userTag::ssd::required".to_owned());
    api.post("/system-tags", only).await.unwrap();
    let answer = shop.storages(&api, &data).await;
    assert_eq!(answer["dataVolumePrimaryStorages"][&shop.disk], json!([]));
    assert!(reasons(&answer)[disks.as_str()].contains("has no user tag 'ssd'"), "{answer}");
    api.post("/user-tags", tag("PrimaryStorageVO", &disks, "ssd".to_owned())).await.unwrap();
    let answer = shop.storages(&api, &data).await;
    assert_eq!(uuids(&answer["dataVolumePrimaryStorages"][&shop.disk]), [&disks]);
    let only = tag("InstanceOfferingVO", &shop.offering, format!("primaryStorage::allocator::uuid::{fast}"));
    api.post("/system-tags", only).await.unwrap();
    let answer = shop.destinations(&api, "").await;
    assert_eq!(uuids(&answer["hosts"]), [world.host.to_string()], "the other host has no such storage: {answer}");

    let state = json!({ "stateEvent": "disable" });
    api.act(&format!("/primary-storage/{disks}"), "changePrimaryStorageState", state).await.unwrap();
    let answer = shop.storages(&api, "").await;
    assert_eq!(uuids(&answer["rootVolumePrimaryStorages"]), [&fast]);
    assert!(reasons(&answer)[disks.as_str()].contains("primary storage 'disks' is Disabled"), "{answer}");
}

#[tokio::test]
async fn what_would_refuse_the_call_refuses_the_list() {
    let api = Api::start().await;
    let shop = Shop::open(&api).await;
    let ask = async |path: &str| api.call(http::Method::GET, path, Value::Null).await.unwrap_err();
    let asking =
        format!("/vm-instances/candidate-destinations?instanceOfferingUuid={}&{}", shop.offering, shop.asking(""));
    for (more, word) in [
        (format!("&l3NetworkUuids={}", shop.world.l3), "each L3 network can be named once"),
        ("&defaultL3NetworkUuid=0123456789abcdef0123456789abcdef".to_owned(), "one of l3NetworkUuids"),
        ("&clusterUuid=0123456789abcdef0123456789abcdef".to_owned(), "clusterUuid"),
        ("&systemTags=affinityGroupUuid::0123456789abcdef0123456789abcdef".to_owned(), "affinityGroupUuid"),
        (format!("&systemTags=staticIp::{}::10.9.9.9", shop.world.l3), "10.9.9.9"),
    ] {
        let refused = ask(&format!("{asking}{more}")).await;
        assert!(details(&refused).contains(word), "{refused}");
    }
    let state = json!({ "stateEvent": "disable" });
    api.act(&format!("/l3-networks/{}", shop.world.l3), "changeL3NetworkState", state).await.unwrap();
    assert!(details(&ask(&asking).await).contains("'l3' is Disabled"));
}

#[tokio::test]
async fn a_vm_that_is_off_is_offered_the_hosts_that_could_start_it() {
    let api = Api::start().await;
    let shop = Shop::open(&api).await;
    let vm = shop.world.vm(&api, VmInstanceState::Stopped, std::time::Duration::ZERO).await;
    let path = format!("/vm-instances/{vm}/starting-target-hosts");
    assert_eq!(uuids(&api.get(&path).await["hosts"]).len(), 2);
    let state = json!({ "stateEvent": "disable" });
    api.act(&format!("/hosts/{}", shop.small), "changeHostState", state).await.unwrap();
    let answer = api.get(&path).await;
    assert_eq!(uuids(&answer["hosts"]), [shop.world.host.to_string()]);
    assert_eq!(uuids(&answer["clusters"]), [shop.world.cluster.to_string()]);
    assert_eq!(reasons(&answer), BTreeMap::from([(shop.small.to_string().as_str(), "it is Disabled")]));
    let capabilities = api.get(&format!("/vm-instances/{vm}/capabilities")).await["capabilities"].clone();
    assert_eq!(
        capabilities,
        json!({ "LiveMigration": false, "VolumeMigration": false, "Reimage": false }),
        "it has no volume"
    );
    let running = shop.world.vm(&api, VmInstanceState::Running, std::time::Duration::ZERO).await;
    let path = format!("/vm-instances/{running}/starting-target-hosts");
    let refused = api.call(http::Method::GET, &path, Value::Null).await.unwrap_err();
    assert!(details(&refused).contains("runs already"), "{refused}");
}

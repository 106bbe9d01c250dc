//! Primary storages, image stores with their images, and volumes.

use gantry_common::id::*;
use gantry_mgmt::{clock::Timestamp, failure::Failure, resource::*, store::Tx};

use super::{
    super::{
        double::Thing,
        hosts::{MACHINES, address},
    },
    Built, GIB, Ground, Place, RULES, Shape, chosen, text,
};

/// A primary storage, and the clusters it is attached to.
pub type PlacedStorage = (PrimaryStorageUuid, Vec<ClusterUuid>);

pub fn put(tx: &Tx<'_>, built: &mut Built, shape: &Shape, ground: &Ground) -> Result<Vec<PlacedStorage>, Failure> {
    let mut storages = Vec::new();
    for (index, (zone, bits)) in shape.storages.iter().enumerate() {
        let (uuid, zone_uuid) = (built.id(), ground.zone(*zone));
        tx.insert(&PrimaryStorage {
            uuid,
            zone_uuid,
            name: text("storage"),
            url: format!("/storage{index}"),
            description: None,
            total_capacity: 0,
            available_capacity: 0,
            total_physical_capacity: 0,
            available_physical_capacity: 0,
            system_used_capacity: 0,
            kind: text("LocalStorage"),
            state: AdminState::Enabled,
            status: ConnectionStatus::Connected,
            mount_path: format!("/storage{index}"),
            create_date: ground.now,
            last_op_date: ground.now,
        })?;
        built.target("DeletePrimaryStorage", "PrimaryStorage", uuid);
        let on = ground.clusters_in(zone_uuid, *bits);
        for cluster in &on {
            tx.insert(&PrimaryStorageClusterRef { primary_storage_uuid: uuid, cluster_uuid: *cluster })?;
            let ends = [("primaryStorageUuid", uuid.to_string()), ("clusterUuid", cluster.to_string())];
            built.attachment("DetachPrimaryStorageFromCluster", "PrimaryStorageClusterRef", ends);
        }
        for place in ground.hosts_on(&on) {
            tx.observe_local_storage(uuid, place.host, 1000 * GIB, 1000 * GIB, RULES)?;
        }
        storages.push((uuid, on));
    }
    Ok(storages)
}

/// An image store, its machine, and where its images are.
struct Store {
    uuid: BackupStorageUuid,
    machine: usize,
    url: String,
}

fn put_stores(
    tx: &Tx<'_>,
    built: &mut Built,
    shape: &Shape,
    ground: &Ground,
    machines: &[HostUuid],
) -> Result<Vec<Store>, Failure> {
    let mut stores = Vec::new();
    for (index, (machine, bits)) in shape.stores.iter().enumerate() {
        let store = Store { uuid: built.id(), machine: machine % MACHINES, url: format!("/images{index}") };
        let uuid = store.uuid;
        tx.insert(&BackupStorage {
            uuid,
            name: text("images"),
            url: store.url.clone(),
            description: None,
            total_capacity: 0,
            available_capacity: 0,
            kind: text("ImageStoreBackupStorage"),
            state: AdminState::Enabled,
            status: ConnectionStatus::Connected,
            hostname: address(store.machine),
            username: text("root"),
            ssh_port: 22,
            create_date: ground.now,
            last_op_date: ground.now,
            machine_uuid: machines[store.machine],
        })?;
        built.target("DeleteBackupStorage", "BackupStorage", uuid);
        for zone in chosen(&ground.zones, *bits) {
            tx.insert(&BackupStorageZoneRef { backup_storage_uuid: uuid, zone_uuid: *zone })?;
            let ends = [("backupStorageUuid", uuid.to_string()), ("zoneUuid", zone.to_string())];
            built.attachment("DetachBackupStorageFromZone", "BackupStorageZoneRef", ends);
        }
        stores.push(store);
    }
    Ok(stores)
}

/// Image stores with their images.
pub fn put_images(
    tx: &Tx<'_>,
    built: &mut Built,
    shape: &Shape,
    ground: &Ground,
    machines: &[HostUuid],
) -> Result<Vec<ImageUuid>, Failure> {
    let stores = put_stores(tx, built, shape, ground, machines)?;
    let mut images = Vec::new();
    for bits in &shape.images {
        let uuid: ImageUuid = built.id();
        let copies: Vec<&Store> = chosen(&stores, *bits).collect();
        if copies.is_empty() {
            continue;
        }
        tx.insert(&Image {
            uuid,
            name: text("image"),
            description: None,
            state: AdminState::Enabled,
            status: MediaStatus::Ready,
            size: GIB,
            actual_size: GIB,
            md5_sum: None,
            url: text("http://somewhere"),
            media_type: MediaType::RootVolumeTemplate,
            guest_os_type: None,
            kind: text("zstack"),
            platform: GuestPlatform::Linux,
            format: text("qcow2"),
            system: false,
            create_date: ground.now,
            last_op_date: ground.now,
            export_url: None,
            export_md5_sum: None,
        })?;
        for store in copies {
            let path = format!("{}/{uuid}", store.url);
            tx.insert(&ImageBackupStorageRef {
                image_uuid: uuid,
                backup_storage_uuid: store.uuid,
                install_path: path.clone(),
                status: MediaStatus::Ready,
                create_date: ground.now,
                last_op_date: ground.now,
                export_url: None,
            })?;
            built.things[store.machine].insert(Thing::File(path));
        }
        images.push(uuid);
    }
    Ok(images)
}
pub struct NewVolume {
    pub uuid: VolumeUuid,
    pub storage: PrimaryStorageUuid,
    pub at: Place,
    /// The VM it is attached to, and as which device: the first one is the root volume.
    pub vm: Option<(VmUuid, u32)>,
    pub now: Timestamp,
}

pub fn put_volume(tx: &Tx<'_>, built: &mut Built, new: NewVolume) -> Result<(), Failure> {
    let NewVolume { uuid, storage, at, vm, now } = new;
    let path = format!("/volumes/{uuid}");
    assert!(tx.allocate_storage(storage, at.host, &uuid.to_string(), GIB)?);
    tx.insert(&Volume {
        uuid,
        name: text("volume"),
        description: None,
        primary_storage_uuid: Some(storage),
        vm_instance_uuid: vm.map(|(vm, _)| vm),
        disk_offering_uuid: None,
        root_image_uuid: None,
        install_path: Some(path.clone()),
        kind: if vm.is_some_and(|(_, device_id)| device_id == 0) { VolumeType::Root } else { VolumeType::Data },
        format: text("qcow2"),
        size: GIB,
        actual_size: Some(GIB),
        device_id: vm.map(|(_, device_id)| device_id),
        state: AdminState::Enabled,
        status: MediaStatus::Ready,
        create_date: now,
        last_op_date: now,
        is_shareable: false,
        host_uuid: Some(at.host),
    })?;
    built.things[at.machine].insert(Thing::File(path));
    Ok(())
}

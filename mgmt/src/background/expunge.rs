//! Expunging what was deleted and has not been recovered in time, by the operations that callers use for it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use gantry_common::id::{BackupStorageUuid, ImageUuid, VmUuid, VolumeUuid};
use serde_json::{Map, Value, json};

use crate::{
    clock::Timestamp,
    failure::Failure,
    job,
    node::Node,
    notification::Notice,
    operations::{ExpungeDataVolume, ExpungeImage, ExpungeVmInstance},
    resource::{Image, ImageBackupStorageRef, MediaStatus, NotificationType, VmInstance, VmInstanceState, Volume},
    settings::DeletionPolicy,
    store::SqlValue,
};

/// What was deleted before this moment is to go; nothing where only a caller may expunge.
fn due_before(policy: DeletionPolicy, period: Duration) -> Option<Timestamp> {
    match policy {
        DeletionPolicy::Direct => Some(Timestamp::now()),
        DeletionPolicy::Delay => Some(Timestamp::now().minus(period)),
        DeletionPolicy::Never => None,
    }
}

/// Expunges the VMs that were destroyed long enough ago.
pub async fn expunge_vms(node: Arc<Node>) -> Result<(), Failure> {
    let settings = node.settings.now();
    let Some(before) = due_before(settings.vm_deletion_policy, settings.vm_expunge_period) else { return Ok(()) };
    let destroyed = [("state", VmInstanceState::Destroyed.to_sql())];
    let vms = node.store.read(move |tx| Ok::<_, Failure>(tx.find::<VmInstance>(&destroyed)?)).await?;
    for vm in vms.into_iter().filter(|vm| vm.last_op_date <= before) {
        expunge_vm(&node, vm.uuid).await;
    }
    Ok(())
}

/// Expunges the images that were deleted long enough ago.
pub async fn expunge_images(node: Arc<Node>) -> Result<(), Failure> {
    let settings = node.settings.now();
    let policy = settings.image_deletion_policy;
    let Some(before) = due_before(policy, settings.image_expunge_period) else { return Ok(()) };
    let deleted = [("status", MediaStatus::Deleted.to_sql())];
    let copies = node.store.read(move |tx| Ok::<_, Failure>(tx.find::<ImageBackupStorageRef>(&deleted)?)).await?;
    let mut due: BTreeMap<ImageUuid, Vec<BackupStorageUuid>> = BTreeMap::new();
    for copy in copies.into_iter().filter(|copy| copy.last_op_date <= before) {
        due.entry(copy.image_uuid).or_default().push(copy.backup_storage_uuid);
    }
    for (image, storages) in due {
        expunge_image(&node, image, &storages).await;
    }
    Ok(())
}

/// Expunges the data volumes that were deleted long enough ago.
pub async fn expunge_volumes(node: Arc<Node>) -> Result<(), Failure> {
    let settings = node.settings.now();
    let policy = settings.volume_deletion_policy;
    let Some(before) = due_before(policy, settings.volume_expunge_period) else { return Ok(()) };
    let deleted = [("status", MediaStatus::Deleted.to_sql())];
    let volumes = node.store.read(move |tx| Ok::<_, Failure>(tx.find::<Volume>(&deleted)?)).await?;
    for volume in volumes.into_iter().filter(|volume| volume.last_op_date <= before) {
        expunge_volume(&node, volume.uuid).await;
    }
    Ok(())
}

/// Expunges a destroyed VM. What fails is told, and tried again when the VM is due the next time.
pub async fn expunge_vm(node: &Arc<Node>, vm: VmUuid) {
    if let Err(failure) = job::run::<ExpungeVmInstance>(node, named("uuid", vm)).await {
        failed(vm, &failure).about::<VmInstance>(vm).tell(node).await;
    }
}

/// Expunges a deleted data volume.
pub async fn expunge_volume(node: &Arc<Node>, volume: VolumeUuid) {
    if let Err(failure) = job::run::<ExpungeDataVolume>(node, named("uuid", volume)).await {
        failed(volume, &failure).about::<Volume>(volume).tell(node).await;
    }
}

/// Expunges a deleted image from backup storages.
pub async fn expunge_image(node: &Arc<Node>, image: ImageUuid, storages: &[BackupStorageUuid]) {
    let mut parameters = named("imageUuid", image);
    parameters.insert("backupStorageUuids".to_owned(), json!(storages));
    if let Err(failure) = job::run::<ExpungeImage>(node, parameters).await {
        failed(image, &failure).about::<Image>(image).tell(node).await;
    }
}

/// The parameters of an operation that takes a resource's id.
fn named(parameter: &str, uuid: impl std::fmt::Display) -> Map<String, Value> {
    Map::from_iter([(parameter.to_owned(), Value::String(uuid.to_string()))])
}

fn failed(resource: impl std::fmt::Display, failure: &Failure) -> Notice {
    tracing::warn!(%resource, error = %failure, "what is due could not be expunged");
    Notice::new(
        NotificationType::Warning,
        "%s was deleted long enough ago and could not be expunged: %s",
        [resource.to_string(), failure.to_string()],
    )
}

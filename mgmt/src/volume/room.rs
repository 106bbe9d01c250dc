//! Whether a storage can take a volume on a host.

use gantry_common::{
    error::ErrorKind,
    id::{DiskOfferingUuid, PrimaryStorageUuid},
};

use crate::{
    failure::Failure,
    hosts::host_name,
    operations::require,
    resource::{
        AdminState, ConnectionStatus, DiskOffering, Host, PrimaryStorage, PrimaryStorageClusterRef, UserTag, Volume,
    },
    settings::Values,
    store::{SqlValue, Tx},
    vm::StorageRule,
};

/// Refuses, with the reason, a storage on which volumes of that disk offering must not be.
pub fn require_allowed(
    tx: &Tx<'_>,
    offering: Option<DiskOfferingUuid>,
    storage: &PrimaryStorage,
) -> Result<(), Failure> {
    let Some(offering) = offering.map(|uuid| tx.get::<DiskOffering>(uuid)).transpose()?.flatten() else {
        return Ok(());
    };
    let tags = tx.find::<UserTag>(&[("resource_uuid", storage.uuid.to_string().to_sql())])?;
    let tags: Vec<String> = tags.into_iter().map(|tag| tag.tag).collect();
    match StorageRule::of_disk_offering(tx, &offering)?.refuse(storage, &tags) {
        Some(reason) => Err(Failure::new(ErrorKind::StateForbids, reason)),
        None => Ok(()),
    }
}

/// A storage of the host for a volume that has no file yet: the wished one, else another that its offering allows.
pub fn choose_storage(
    tx: &Tx<'_>,
    settings: &Values,
    volume: &Volume,
    wished: PrimaryStorageUuid,
    host: &Host,
) -> Result<PrimaryStorageUuid, Failure> {
    let links = tx.find::<PrimaryStorageClusterRef>(&[("cluster_uuid", host.cluster_uuid.to_sql())])?;
    let others = links.into_iter().map(|link| link.primary_storage_uuid).filter(|other| *other != wished);
    let mut refusals = Vec::new();
    for uuid in std::iter::once(wished).chain(others) {
        let storage = require::<PrimaryStorage>(tx, "primaryStorageUuid", uuid)?;
        let fit = require_allowed(tx, volume.disk_offering_uuid, &storage)
            .and_then(|()| require_room(tx, settings, &storage, host, volume.size));
        match fit {
            Ok(()) => return Ok(uuid),
            Err(refusal) => refusals.push(refusal),
        }
    }
    let kind = refusals.first().map_or(ErrorKind::NoStorageCapacity, |first| first.kind);
    let details: Vec<String> = refusals.into_iter().map(|refusal| refusal.details).collect();
    Err(Failure::new(kind, details.join("; ")))
}

/// Refuses, with the reason, a storage that cannot take so many more bytes on that host.
pub fn require_room(
    tx: &Tx<'_>,
    settings: &Values,
    storage: &PrimaryStorage,
    host: &Host,
    bytes: u64,
) -> Result<(), Failure> {
    let forbids = |details: String| Err(Failure::new(ErrorKind::StateForbids, details));
    if storage.state != AdminState::Enabled {
        return forbids(format!("primary storage '{}' is {}: enable it", storage.name, storage.state));
    }
    if host.status != ConnectionStatus::Connected || host.state == AdminState::Maintenance {
        return forbids(format!(
            "{} is {} and {}: it must be Connected and in service",
            host_name(tx, host.uuid)?,
            host.state,
            host.status
        ));
    }
    let on_cluster = [("primary_storage_uuid", storage.uuid.to_sql()), ("cluster_uuid", host.cluster_uuid.to_sql())];
    let local = match tx.count::<PrimaryStorageClusterRef>(&on_cluster)? {
        0 => None,
        _ => tx.local_storage(storage.uuid, host.uuid)?,
    };
    let Some(local) = local else {
        return forbids(format!(
            "primary storage '{}' is not on {}: attach it to the host's cluster, or use ReconnectPrimaryStorage",
            storage.name,
            host_name(tx, host.uuid)?
        ));
    };
    let lacks = |details: String| Err(Failure::new(ErrorKind::NoStorageCapacity, details));
    let threshold = settings.storage_physical_threshold;
    if local.is_fuller_than(threshold) {
        return lacks(format!(
            "the file system of primary storage '{}' on {} is fuller than the setting mevoco threshold.primaryStorage.physicalCapacity allows ({threshold}): free space",
            storage.name,
            host_name(tx, host.uuid)?
        ));
    }
    if local.available_bytes < bytes {
        return lacks(format!(
            "primary storage '{}' has {} bytes left on {} and {bytes} are needed: free space",
            storage.name,
            local.available_bytes,
            host_name(tx, host.uuid)?
        ));
    }
    Ok(())
}

//! Whether a storage can take a volume on a host.

use gantry_common::error::ErrorKind;

use crate::{
    failure::Failure,
    resource::{AdminState, ConnectionStatus, Host, PrimaryStorage, PrimaryStorageClusterRef},
    settings::Values,
    store::{SqlValue, Tx},
};

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
            "host '{}' is {} and {}: it must be Connected and in service",
            host.name, host.state, host.status
        ));
    }
    let on_cluster = [("primary_storage_uuid", storage.uuid.to_sql()), ("cluster_uuid", host.cluster_uuid.to_sql())];
    let local = match tx.count::<PrimaryStorageClusterRef>(&on_cluster)? {
        0 => None,
        _ => tx.local_storage(storage.uuid, host.uuid)?,
    };
    let Some(local) = local else {
        return forbids(format!(
            "primary storage '{}' is not on host '{}': attach it to the host's cluster",
            storage.name, host.name
        ));
    };
    let lacks = |details: String| Err(Failure::new(ErrorKind::NoStorageCapacity, details));
    let threshold = settings.storage_physical_threshold;
    if local.is_fuller_than(threshold) {
        return lacks(format!(
            "the file system of primary storage '{}' on host '{}' is fuller than the setting mevoco threshold.primaryStorage.physicalCapacity allows ({threshold}): free space",
            storage.name, host.name
        ));
    }
    if local.available_bytes < bytes {
        return lacks(format!(
            "primary storage '{}' has {} bytes left on host '{}' and {bytes} are needed: free space",
            storage.name, local.available_bytes, host.name
        ));
    }
    Ok(())
}

//! From where a host gets an image.

use gantry_common::id::ZoneUuid;

use crate::{
    failure::Failure,
    operations::require,
    resource::{BackupStorage, BackupStorageZoneRef, ConnectionStatus, Image, ImageBackupStorageRef, MediaStatus},
    store::{SqlValue, Tx},
};

/// The copy of an image that hosts of a zone take it from, or why there is none. A host that has it in its cache needs no
/// connection to it.
pub fn image_copy(
    tx: &Tx<'_>,
    image: &Image,
    zone: ZoneUuid,
    is_cached: bool,
) -> Result<Result<(BackupStorage, ImageBackupStorageRef), String>, Failure> {
    let mut reason = format!("image '{}' is in no backup storage", image.name);
    for copy in tx.find::<ImageBackupStorageRef>(&[("image_uuid", image.uuid.to_sql())])? {
        let backup = require::<BackupStorage>(tx, "backupStorageUuid", copy.backup_storage_uuid)?;
        if copy.status != MediaStatus::Ready {
            reason = format!("image '{}' is {} in backup storage '{}'", image.name, copy.status, backup.name);
            continue;
        }
        let link = [("backup_storage_uuid", backup.uuid.to_sql()), ("zone_uuid", zone.to_sql())];
        if tx.count::<BackupStorageZoneRef>(&link)? == 0 {
            reason = format!(
                "image '{}' is in backup storage '{}', which is not attached to its zone: use AttachBackupStorageToZone",
                image.name, backup.name
            );
        } else if backup.status != ConnectionStatus::Connected && !is_cached {
            reason =
                format!("image '{}' is in backup storage '{}', which is {}", image.name, backup.name, backup.status);
        } else {
            return Ok(Ok((backup, copy)));
        }
    }
    Ok(Err(reason))
}

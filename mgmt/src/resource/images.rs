//! Images and where they are.

use gantry_common::id::{BackupStorageUuid, ImageUuid};

use super::{AdminState, Declaration, GuestPlatform, MediaStatus, MediaType, Shown};
use crate::{clock::Timestamp, resource};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] = &[Image::declaration, ImageBackupStorageRef::declaration];

resource! {
    /// What volumes are made from, or a disc.
    Image, table "image", class "org.zstack.header.image.ImageInventory", shareable {
        /// Its id.
        uuid: ImageUuid,
        /// Its name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// Whether new VMs may use it.
        state: AdminState,
        /// Where it is in its life.
        status: MediaStatus,
        /// Bytes a guest sees.
        size: u64,
        /// Bytes of the file.
        actual_size: u64,
        /// The file's MD5 digest.
        md5_sum: Option<String>,
        /// Where it came from, without credentials.
        url: String,
        /// What it holds.
        media_type: MediaType,
        /// The guest system, free text.
        guest_os_type: Option<String>,
        /// `zstack`.
        kind as "type": String,
        /// The family of guest systems.
        platform: GuestPlatform,
        /// `qcow2`, `raw` or `iso`.
        format: String,
        /// Whether it belongs to the system.
        system: bool,
        /// When it was added.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
        /// Where it can be downloaded from, where it is exported.
        export_url: Option<String>,
        /// The digest of what is downloaded.
        export_md5_sum: Option<String>,
    }
    relations {
        "backupStorage" => BackupStorage(uuid via image_backup_storage_ref(image_uuid, backup_storage_uuid) = uuid);
        "vmInstance" => VmInstance(uuid = image_uuid);
        "volume" => Volume(uuid = root_image_uuid);
        "backupStorageRefs" => ImageBackupStorageRef(uuid = image_uuid) shown Shown::Inventories { order: "create_date" };
        "backupStorageRef" => ImageBackupStorageRef(uuid = image_uuid);
    }
}

resource! {
    /// An image's copy in a backup storage.
    ImageBackupStorageRef, table "image_backup_storage_ref", class "org.zstack.header.image.ImageBackupStorageRefInventory", with "image" {
        /// The image.
        image_uuid: ImageUuid,
        /// The backup storage.
        backup_storage_uuid: BackupStorageUuid,
        /// The file on the backup storage's machine.
        install_path: String,
        /// Where the copy is in its life.
        status: MediaStatus,
        /// When it was added.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    hidden {
        /// Where it can be downloaded from, where it is exported.
        export_url: Option<String>,
    }
    relations {
        "image" => Image(image_uuid = uuid);
        "backupStorage" => BackupStorage(backup_storage_uuid = uuid);
    }
}

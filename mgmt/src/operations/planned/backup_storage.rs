//! 4.5: backup storages.

use uuid::Uuid;

use crate::planned;

planned! {
    /// Connects to a backup storage anew.
    ReconnectBackupStorage, "4.5.3", Put "/backup-storage/{uuid}/actions", Job -> BackupStorage; {
        /// The backup storage.
        uuid: Uuid;
    }

    /// Makes an image on a backup storage available for download.
    ExportImageFromBackupStorage, "4.5.8",
        Put "/backup-storage/{backupStorageUuid}/actions", Job -> { imageUrl: String, success: bool }; {
        /// The backup storage.
        backup_storage_uuid: Uuid;
        /// The image.
        image_uuid: Uuid;
    }

    /// Deletes the exported copy of an image from a backup storage.
    DeleteExportedImageFromBackupStorage, "4.5.9",
        Delete "/backup-storage/{backupStorageUuid}/exported-images/{imageUuid}", Job; {
        /// The backup storage.
        backup_storage_uuid: Uuid;
        /// The image.
        image_uuid: Uuid;
    }

    /// Moves an image to another backup storage.
    BackupStorageMigrateImage, "4.5.12", Put "/backup-storage/images/{imageUuid}/actions", Job -> Image; {
        /// The image.
        image_uuid: Uuid;
        /// The backup storage it is on.
        src_backup_storage_uuid: Uuid;
        /// The backup storage it goes to.
        dst_backup_storage_uuid: Uuid;
    }

    /// Lists the backup storages that an image can be moved to.
    GetBackupStorageCandidatesForImageMigration, "4.5.13",
        Get "/backup-storage/{srcBackupStorageUuid}/migration-candidates", Sync -> [BackupStorage]; {
        /// The backup storage it is on.
        src_backup_storage_uuid: Uuid;
    }
}

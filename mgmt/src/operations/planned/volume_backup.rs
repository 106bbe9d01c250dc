//! 12: backups of volumes and VM instances.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Backs up a volume.
    CreateVolumeBackup, "12.1", Post "/volumes/{volumeUuid}/volume-backups", Job -> VolumeBackup; {
        /// The volume.
        volume_uuid: Uuid;
        /// The backup storage.
        backup_storage_uuid: Uuid;
        /// Its name.
        name: String;
        /// Free text.
        description: Option<String>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a volume backup.
    DeleteVolumeBackup, "12.2", Delete "/volume-backups/{uuid}", Job; {
        /// The volume backup.
        uuid: Uuid;
        /// The backup storages.
        backup_storage_uuids: Option<Vec<Uuid>>;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries volume backups.
    QueryVolumeBackup, "12.3", Get "/volume-backups" | "/volume-backups/{uuid}", Sync -> [VolumeBackup]; {}

    /// Creates a data volume image from a volume backup.
    CreateDataVolumeTemplateFromVolumeBackup, "12.4",
        Post "/images/data-volume-templates/from/volume-template/{backupUuid}", Job -> Image; {
        /// The volume backup.
        backup_uuid: Uuid;
        /// The backup storage.
        backup_storage_uuid: Uuid;
        /// Its name.
        name: String;
        /// Free text.
        description: Option<String>;
        /// The guest system, free text.
        guest_os_type: Option<String>;
        /// The family of guest systems.
        platform: Option<String>;
        /// Whether it belongs to the system.
        system: Option<bool>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Creates a root volume image from a volume backup.
    CreateRootVolumeTemplateFromVolumeBackup, "12.5",
        Post "/images/root-volume-templates/from/volume-template/{backupUuid}", Job -> Image; {
        /// The volume backup.
        backup_uuid: Uuid;
        /// The backup storage.
        backup_storage_uuid: Uuid;
        /// Its name.
        name: String;
        /// Free text.
        description: Option<String>;
        /// The guest system, free text.
        guest_os_type: Option<String>;
        /// The family of guest systems.
        platform: Option<String>;
        /// Whether it belongs to the system.
        system: Option<bool>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Takes a volume back to a backup.
    RevertVolumeFromVolumeBackup, "12.6", Put "/volume-backups/{uuid}/actions", Job; {
        /// The volume backup.
        uuid: Uuid;
        /// The backup storage, under the name that clients know.
        backup_stroge_uuid: Option<Uuid>;
    }

    /// Copies a volume backup from a remote backup storage back to a local one.
    RecoverBackupFromImageStoreBackupStorage, "12.7", Put "/volume-backups/{uuid}/actions", Job -> VolumeBackup; {
        /// The volume backup.
        uuid: Uuid;
        /// The backup storage it is on.
        src_backup_storage_uuid: Uuid;
        /// The backup storage it goes to.
        dst_backup_storage_uuid: Uuid;
    }

    /// Copies a volume backup to a remote backup storage.
    SyncBackupFromImageStoreBackupStorage, "12.8", Put "/volume-backups/{uuid}/actions", Job -> VolumeBackup; {
        /// The volume backup.
        uuid: Uuid;
        /// The backup storage it is on.
        src_backup_storage_uuid: Uuid;
        /// The backup storage it goes to.
        dst_backup_storage_uuid: Uuid;
    }

    /// Backs up all volumes of a VM instance.
    CreateVmBackup, "12.9", Post "/volumes/{rootVolumeUuid}/vm-backups", Job -> [VolumeBackup]; {
        /// The root volume.
        root_volume_uuid: Uuid;
        /// The backup storage.
        backup_storage_uuid: Uuid;
        /// Its name.
        name: String;
        /// Free text.
        description: Option<String>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes the backup of a VM instance.
    DeleteVmBackup, "12.10", Delete "/vm-backups/{groupUuid}", Job; {
        /// The group.
        group_uuid: Uuid;
        /// The backup storages.
        backup_storage_uuids: Option<Vec<Uuid>>;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Takes all volumes of a VM instance back to a backup.
    RevertVmFromVmBackup, "12.11", Put "/vm-backups/{groupUuid}/actions", Job; {
        /// The group.
        group_uuid: Uuid;
        /// The backup storage.
        backup_storage_uuid: Option<Uuid>;
    }

    /// Copies the backup of a VM instance from a remote backup storage back to a local one.
    RecoverVmBackupFromImageStoreBackupStorage, "12.12", Put "/vm-backups/{groupUuid}/actions", Job -> [VolumeBackup]; {
        /// The group.
        group_uuid: Uuid;
        /// The backup storage it is on.
        src_backup_storage_uuid: Uuid;
        /// The backup storage it goes to.
        dst_backup_storage_uuid: Uuid;
    }

    /// Copies the backup of a VM instance to a remote backup storage.
    SyncVmBackupFromImageStoreBackupStorage, "12.13", Put "/vm-backups/{groupUuid}/actions", Job -> [VolumeBackup]; {
        /// The group.
        group_uuid: Uuid;
        /// The backup storage it is on.
        src_backup_storage_uuid: Uuid;
        /// The backup storage it goes to.
        dst_backup_storage_uuid: Uuid;
    }
}

inventories! {
    /// A volume backup.
    VolumeBackup {
        uuid: Uuid, volumeUuid: Uuid, name: String, description: String, type: String, state: String, status: String,
        size: i64, metadata: String, createDate: Timestamp, lastOpDate: Timestamp,
        backupStorageRefs: [VolumeBackupStorageRef],
    }

    /// The copy of a volume backup on a backup storage.
    VolumeBackupStorageRef {
        volumeBackupUuid: Uuid, backupStorageUuid: Uuid, installPath: String, status: String, createDate: Timestamp,
        lastOpDate: Timestamp,
    }
}

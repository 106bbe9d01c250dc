//! 3.3: images.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Measures the size of an image anew.
    SyncImageSize, "3.3.8", Put "/images/{uuid}/actions", Job -> Image; {
        /// The image.
        uuid: Uuid;
    }

    /// Lists the backup storages that an image made from a volume or a snapshot can go to.
    GetCandidateBackupStorageForCreatingImage, "3.3.9",
        Get "/images/volumes/{volumeUuid}/candidate-backup-storage" |
            "/images/volume-snapshots/{volumeSnapshotUuid}/candidate-backup-storage",
        Sync -> [BackupStorage]; {
        /// The volume.
        volume_uuid: Option<Uuid>;
        /// The snapshot.
        volume_snapshot_uuid: Option<Uuid>;
    }

    /// Creates an image from a root volume.
    CreateRootVolumeTemplateFromRootVolume, "3.3.10",
        Post "/images/root-volume-templates/from/volumes/{rootVolumeUuid}", Job -> Image; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The guest system, free text.
        guest_os_type: Option<String>;
        /// The backup storages.
        backup_storage_uuids: Option<Vec<Uuid>>, nonempty true;
        /// The root volume.
        root_volume_uuid: Uuid;
        /// The family of guest systems.
        platform: Option<String>, values &["Linux", "Windows", "Other", "Paravirtualization", "WindowsVirtio"];
        /// Whether it belongs to the system.
        system: Option<bool>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Creates an image from a root volume's snapshot.
    CreateRootVolumeTemplateFromVolumeSnapshot, "3.3.11",
        Post "/images/root-volume-templates/from/volume-snapshots/{snapshotUuid}",
        Job -> { inventory: Image, failures: [BackupStorageFailure] }; {
        /// The snapshot.
        snapshot_uuid: Uuid;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The guest system, free text.
        guest_os_type: Option<String>;
        /// The backup storages.
        backup_storage_uuids: Vec<Uuid>, nonempty true;
        /// The family of guest systems.
        platform: Option<String>, values &["Linux", "Windows", "Other", "Paravirtualization", "WindowsVirtio"];
        /// Whether it belongs to the system.
        system: Option<bool>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Creates a data volume image from a volume.
    CreateDataVolumeTemplateFromVolume, "3.3.12",
        Post "/images/data-volume-templates/from/volumes/{volumeUuid}", Job -> Image; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The volume.
        volume_uuid: Uuid;
        /// The backup storages.
        backup_storage_uuids: Option<Vec<Uuid>>, nonempty true;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Reads whether an image has the QEMU guest agent.
    GetImageQga, "3.3.13", Get "/images/{uuid}/qga", Sync -> { uuid: Uuid, enable: bool }; {
        /// The image.
        uuid: Uuid;
    }

    /// Sets whether an image has the QEMU guest agent.
    SetImageQga, "3.3.14", Put "/images/{uuid}/actions", Job; {
        /// The image.
        uuid: Uuid;
        /// Whether it is enabled.
        enable: bool;
    }
}

inventories! {
    /// Why an image could not be put on a backup storage.
    BackupStorageFailure {
        backupStorageUuid: Uuid, error: Json,
    }
}

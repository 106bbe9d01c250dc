//! 3.3: images.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
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
}

inventories! {
    /// Why an image could not be put on a backup storage.
    BackupStorageFailure {
        backupStorageUuid: Uuid, error: Json,
    }
}

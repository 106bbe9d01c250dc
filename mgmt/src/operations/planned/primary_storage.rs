//! 4.4, 4.4.16 and 4.4.17: primary storages, NFS and shared mount points.

use uuid::Uuid;

use crate::planned;

planned! {
    /// Connects to a primary storage anew.
    ReconnectPrimaryStorage, "4.4.5", Put "/primary-storage/{uuid}/actions", Job -> PrimaryStorage; {
        /// The primary storage.
        uuid: Uuid;
    }

    /// Measures the capacity of a primary storage anew.
    SyncPrimaryStorageCapacity, "4.4.7", Put "/primary-storage/{primaryStorageUuid}/actions", Job -> PrimaryStorage; {
        /// The primary storage.
        primary_storage_uuid: Uuid;
    }

    /// Removes cached images that nothing uses from a primary storage.
    CleanUpImageCacheOnPrimaryStorage, "4.4.10", Put "/primary-storage/{uuid}/actions", Job; {
        /// The primary storage.
        uuid: Uuid;
    }

    /// Lists the primary storages that a volume can be moved to.
    GetPrimaryStorageCandidatesForVolumeMigration, "4.4.13",
        Get "/primary-storage/volumes/{volumeUuid}/migration-candidates", Sync -> [PrimaryStorage]; {
        /// The volume.
        volume_uuid: Uuid;
    }

    /// Moves a volume to another primary storage.
    PrimaryStorageMigrateVolume, "4.4.14", Put "/primary-storage/volumes/{volumeUuid}/actions", Job -> Volume; {
        /// The volume.
        volume_uuid: Uuid;
        /// The primary storage it goes to.
        dst_primary_storage_uuid: Uuid;
    }

    /// Adds an NFS primary storage.
    AddNfsPrimaryStorage, "4.4.16.1", Post "/primary-storage/nfs", Job -> PrimaryStorage; {
        /// Its address.
        url: String, max_length 2048;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its type.
        kind as "type": Option<String>;
        /// The zone.
        zone_uuid: Uuid;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Adds a primary storage on a file system that all hosts have mounted.
    AddSharedMountPointPrimaryStorage, "4.4.17.1", Post "/primary-storage/smp", Job -> PrimaryStorage; {
        /// Its address.
        url: String, max_length 2048;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its type.
        kind as "type": Option<String>;
        /// The zone.
        zone_uuid: Uuid;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }
}

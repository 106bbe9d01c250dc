//! 4.4.15: local storage.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Queries which resources are on which local storage.
    QueryLocalStorageResourceRef, "4.4.15.2",
        Get "/primary-storage/local-storage/resource-refs", Sync -> [LocalStorageResourceRef]; {}

    /// Moves a volume on local storage to another host.
    LocalStorageMigrateVolume, "4.4.15.3",
        Put "/primary-storage/local-storage/volumes/{volumeUuid}/actions", Job -> LocalStorageResourceRef; {
        /// The volume.
        volume_uuid: Uuid;
        /// The host it goes to.
        dest_host_uuid: Uuid;
    }

    /// Reads the capacity of a local storage on its hosts.
    GetLocalStorageHostDiskCapacity, "4.4.15.4",
        Get "/primary-storage/local-storage/{primaryStorageUuid}/capacities", Sync -> [LocalStorageHostDiskCapacity]; {
        /// The host.
        host_uuid: Option<Uuid>;
        /// The primary storage.
        primary_storage_uuid: Uuid;
    }

    /// Lists the hosts that a volume on local storage can be moved to.
    LocalStorageGetVolumeMigratableHosts, "4.4.15.5",
        Get "/volumes/{volumeUuid}/migration-target-hosts", Sync -> [Host]; {
        /// The volume.
        volume_uuid: Uuid;
    }
}

inventories! {
    /// A resource is on the local storage of a host.
    LocalStorageResourceRef {
        resourceUuid: Uuid, primaryStorageUuid: Uuid, hostUuid: Uuid, size: i64, resourceType: String,
        createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// The capacity of a local storage on one host.
    LocalStorageHostDiskCapacity {
        hostUuid: Uuid, totalCapacity: i64, availableCapacity: i64, totalPhysicalCapacity: i64,
        availablePhysicalCapacity: i64,
    }
}

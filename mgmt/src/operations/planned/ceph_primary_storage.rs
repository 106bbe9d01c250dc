//! 4.4.18: Ceph primary storage.

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
    /// Adds a Ceph primary storage.
    AddCephPrimaryStorage, "4.4.18.1", Post "/primary-storage/ceph", Job -> PrimaryStorage; {
        /// The addresses of the monitors, each as `user:password@host:port`.
        mon_urls: Vec<String>, nonempty true;
        /// The pool of root volumes.
        root_volume_pool_name: Option<String>, max_length 255;
        /// The pool of data volumes.
        data_volume_pool_name: Option<String>, max_length 255;
        /// The pool of cached images.
        image_cache_pool_name: Option<String>, max_length 255;
        /// Not used, kept for clients.
        url: Option<String>, max_length 2048;
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

    /// Queries Ceph primary storages.
    QueryCephPrimaryStorage, "4.4.18.2",
        Get "/primary-storage/ceph" | "/primary-storage/ceph/{uuid}", Sync -> [CephPrimaryStorage]; {}

    /// Adds monitors to a Ceph primary storage.
    AddMonToCephPrimaryStorage, "4.4.18.3", Post "/primary-storage/ceph/{uuid}/mons", Job -> CephPrimaryStorage; {
        /// The storage.
        uuid: Uuid;
        /// The addresses of the monitors, each as `user:password@host:port`.
        mon_urls: Vec<String>, nonempty true;
    }

    /// Removes monitors from a Ceph primary storage.
    RemoveMonFromCephPrimaryStorage, "4.4.18.4",
        Delete "/primary-storage/ceph/{uuid}/mons", Job -> CephPrimaryStorage; {
        /// The storage.
        uuid: Uuid;
        /// The host names of the monitors.
        mon_hostnames: Vec<String>, nonempty true;
    }

    /// Updates a monitor of a Ceph primary storage.
    UpdateCephPrimaryStorageMon, "4.4.18.5",
        Put "/primary-storage/ceph/mons/{monUuid}/actions", Job -> CephPrimaryStorage; {
        /// The monitor.
        mon_uuid: Uuid, nonempty true;
        /// The host name or address.
        hostname: Option<String>, max_length 255;
        /// The SSH user.
        ssh_username: Option<String>, max_length 255;
        /// The SSH user's password.
        ssh_password: Option<Secret>, max_length 255;
        /// The SSH port.
        ssh_port: Option<i32>, range 1..=65_535;
        /// The monitor's port.
        mon_port: Option<i32>, range 1..=65_535;
    }

    /// Adds a pool to a Ceph primary storage.
    AddCephPrimaryStoragePool, "4.4.18.6",
        Post "/primary-storage/ceph/{primaryStorageUuid}/pools",
        Job -> { success: bool, inventory: CephPrimaryStoragePool }; {
        /// The primary storage.
        primary_storage_uuid: Uuid;
        /// The name of the pool.
        pool_name: String, max_length 255;
        /// Another name for it.
        alias_name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Whether the pool is made.
        is_create: Option<bool>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a pool of a Ceph primary storage.
    DeleteCephPrimaryStoragePool, "4.4.18.7", Delete "/primary-storage/ceph/pools/{uuid}", Job; {
        /// The pool.
        uuid: Uuid;
    }

    /// Queries pools of Ceph primary storages.
    QueryCephPrimaryStoragePool, "4.4.18.8",
        Get "/primary-storage/ceph/pools" | "/primary-storage/ceph/pools/{uuid}", Sync -> [CephPrimaryStoragePool]; {}

    /// Updates a pool of a Ceph primary storage.
    UpdateCephPrimaryStoragePool, "4.4.18.9",
        Put "/primary-storage/ceph/pools/{uuid}/actions", Job -> CephPrimaryStoragePool; {
        /// The pool.
        uuid: Uuid;
        /// Another name for it.
        alias_name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }
}

inventories! {
    /// A Ceph primary storage.
    CephPrimaryStorage {
        fsid: String, rootVolumePoolName: String, dataVolumePoolName: String, imageCachePoolName: String, uuid: Uuid,
        zoneUuid: Uuid, name: String, url: String, description: String, totalCapacity: i64, availableCapacity: i64,
        totalPhysicalCapacity: i64, availablePhysicalCapacity: i64, systemUsedCapacity: i64, type: String,
        state: String, status: String, mountPath: String, createDate: Timestamp, lastOpDate: Timestamp,
        attachedClusterUuids: [Uuid], mons: [CephPrimaryStorageMon],
    }

    /// A monitor of a Ceph primary storage.
    CephPrimaryStorageMon {
        hostname: String, monPort: i64, createDate: Timestamp, lastOpDate: Timestamp, primaryStorageUuid: Uuid,
        monAddr: String, sshUsername: String, sshPort: i64, status: String, monUuid: Uuid,
    }

    /// A pool of a Ceph primary storage.
    CephPrimaryStoragePool {
        uuid: Uuid, primaryStorageUuid: Uuid, poolName: String, aliasName: String, description: String,
        createDate: Timestamp, lastOpDate: Timestamp, type: String, availableCapacity: i64, usedCapacity: i64,
        replicatedSize: i64,
    }
}

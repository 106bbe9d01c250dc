//! 4.5.15: Ceph backup storage.

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
    /// Adds a Ceph backup storage.
    AddCephBackupStorage, "4.5.15.1", Post "/backup-storage/ceph", Job -> BackupStorage; {
        /// The addresses of the monitors, each as `user:password@host:port`.
        mon_urls: Vec<String>, nonempty true;
        /// The name of the pool.
        pool_name: Option<String>, max_length 255;
        /// Not used, kept for clients.
        url: Option<String>, max_length 2048;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its type.
        kind as "type": Option<String>;
        /// Whether images that are on it are taken over.
        import_images: Option<bool>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Queries Ceph backup storages.
    QueryCephBackupStorage, "4.5.15.2",
        Get "/backup-storage/ceph" | "/backup-storage/ceph/{uuid}", Sync -> [CephBackupStorage]; {}

    /// Updates a monitor of a Ceph backup storage.
    UpdateCephBackupStorageMon, "4.5.15.3",
        Put "/backup-storage/ceph/mons/{monUuid}/actions", Job -> CephBackupStorage; {
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

    /// Adds monitors to a Ceph backup storage.
    AddMonToCephBackupStorage, "4.5.15.4", Post "/backup-storage/ceph/{uuid}/mons", Job -> CephBackupStorage; {
        /// The storage.
        uuid: Uuid;
        /// The addresses of the monitors, each as `user:password@host:port`.
        mon_urls: Vec<String>, nonempty true;
    }

    /// Removes monitors from a Ceph backup storage.
    RemoveMonFromCephBackupStorage, "4.5.15.5", Delete "/backup-storage/ceph/{uuid}/mons", Job -> CephBackupStorage; {
        /// The storage.
        uuid: Uuid;
        /// The host names of the monitors.
        mon_hostnames: Vec<String>, nonempty true;
    }
}

inventories! {
    /// A Ceph backup storage.
    CephBackupStorage {
        fsid: String, poolName: String, uuid: Uuid, name: String, url: String, description: String,
        totalCapacity: i64, availableCapacity: i64, type: String, state: String, status: String,
        createDate: Timestamp, lastOpDate: Timestamp, attachedZoneUuids: [Uuid], poolUsedCapacity: i64,
        poolReplicatedSize: i64, poolAvailableCapacity: i64, mons: [CephBackupStorageMon],
    }

    /// A monitor of a Ceph backup storage.
    CephBackupStorageMon {
        hostname: String, monPort: i64, createDate: Timestamp, lastOpDate: Timestamp, backupStorageUuid: Uuid,
        monAddr: String, sshPort: i64, status: String, sshUsername: String, monUuid: Uuid,
    }
}

//! Primary and backup storage.

use gantry_common::id::{BackupStorageUuid, HostUuid, PrimaryStorageUuid, VolumeUuid, ZoneUuid};

use super::{AdminState, ConnectionStatus, Declaration, Shown};
use crate::{clock::Timestamp, resource};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] = &[
    PrimaryStorage::declaration,
    BackupStorage::declaration,
    BackupStorageZoneRef::declaration,
    PrimaryStorageClusterRef::declaration,
    LocalStorageResourceRef::declaration,
];

resource! {
    /// Where volumes are kept.
    PrimaryStorage, table "primary_storage", class "org.zstack.header.storage.primary.PrimaryStorageInventory", everyone {
        /// Its id.
        uuid: PrimaryStorageUuid,
        /// Its zone.
        zone_uuid: ZoneUuid,
        /// Its name.
        name: String,
        /// The directory on each host.
        url: String,
        /// Free text.
        description: Option<String>,
        /// Bytes that may be promised, over all hosts.
        total_capacity: u64,
        /// Of these, how many are not promised yet.
        available_capacity: u64,
        /// Bytes of the file systems, over all hosts.
        total_physical_capacity: u64,
        /// Of these, how many are free.
        available_physical_capacity: u64,
        /// Bytes that were taken before the storage was added.
        system_used_capacity: u64,
        /// `LocalStorage`.
        kind as "type": String,
        /// Whether it takes new volumes.
        state: AdminState,
        /// Whether any host can use it.
        status: ConnectionStatus,
        /// The directory on each host.
        mount_path: String,
        /// When it was added.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "zone" => Zone(zone_uuid = uuid);
        "cluster" => Cluster(uuid via primary_storage_cluster_ref(primary_storage_uuid, cluster_uuid) = uuid);
        "volume" => Volume(uuid = primary_storage_uuid);
        "clusterRef" => PrimaryStorageClusterRef(uuid = primary_storage_uuid)
            shown Shown::Values { field: "attachedClusterUuids", column: "cluster_uuid" };
    }
}

resource! {
    /// Where images are kept: an image store on one machine.
    BackupStorage, table "backup_storage", class "org.zstack.storage.backup.imagestore.ImageStoreBackupStorageInventory", everyone {
        /// Its id.
        uuid: BackupStorageUuid,
        /// Its name.
        name: String,
        /// The directory on its machine.
        url: String,
        /// Free text.
        description: Option<String>,
        /// Bytes of the file system.
        total_capacity: u64,
        /// Of these, how many are free.
        available_capacity: u64,
        /// `ImageStoreBackupStorage`.
        kind as "type": String,
        /// Whether it takes new images.
        state: AdminState,
        /// Whether its machine answers.
        status: ConnectionStatus,
        /// Its machine's address.
        hostname: String,
        /// The SSH user it was added with.
        username: String,
        /// Its SSH port.
        ssh_port: u16,
        /// When it was added.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    hidden {
        /// The machine whose agent keeps it.
        machine_uuid: HostUuid,
    }
    relations {
        "zone" => Zone(uuid via backup_storage_zone_ref(backup_storage_uuid, zone_uuid) = uuid);
        "image" => Image(uuid via image_backup_storage_ref(backup_storage_uuid, image_uuid) = uuid);
        "imageRef" => ImageBackupStorageRef(uuid = backup_storage_uuid);
        "zoneRef" => BackupStorageZoneRef(uuid = backup_storage_uuid)
            shown Shown::Values { field: "attachedZoneUuids", column: "zone_uuid" };
    }
}

resource! {
    /// A backup storage that a zone's hosts may use.
    BackupStorageZoneRef, table "backup_storage_zone_ref", class "", everyone {
        /// The backup storage.
        backup_storage_uuid: BackupStorageUuid,
        /// The zone.
        zone_uuid: ZoneUuid,
    }
    relations {
        "backupStorage" => BackupStorage(backup_storage_uuid = uuid);
        "zone" => Zone(zone_uuid = uuid);
    }
}

resource! {
    /// A primary storage that a cluster's hosts use.
    PrimaryStorageClusterRef, table "primary_storage_cluster_ref", class "", everyone {
        /// The primary storage.
        primary_storage_uuid: PrimaryStorageUuid,
        /// The cluster.
        cluster_uuid: gantry_common::id::ClusterUuid,
    }
    relations {
        "primaryStorage" => PrimaryStorage(primary_storage_uuid = uuid);
        "cluster" => Cluster(cluster_uuid = uuid);
    }
}

resource! {
    /// A resource is on the local storage of a host.
    LocalStorageResourceRef, table "local_storage_resource_ref",
        class "org.zstack.storage.primary.local.LocalStorageResourceRefInventory" {
        /// The resource.
        resource_uuid: VolumeUuid,
        /// The primary storage.
        primary_storage_uuid: PrimaryStorageUuid,
        /// The host.
        host_uuid: HostUuid,
        /// Bytes that it is promised.
        size: u64,
        /// What it is: always `VolumeVO`.
        resource_type: String,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "volume" => Volume(resource_uuid = uuid);
        "primaryStorage" => PrimaryStorage(primary_storage_uuid = uuid);
        "host" => Host(host_uuid = uuid);
    }
}

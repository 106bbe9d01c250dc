//! 3.2: volume snapshots.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Creates a data volume from a volume snapshot.
    CreateDataVolumeFromVolumeSnapshot, "3.2.7",
        Post "/volumes/data/from/volume-snapshots/{volumeSnapshotUuid}", Job -> Volume; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The snapshot.
        volume_snapshot_uuid: Uuid;
        /// The primary storage.
        primary_storage_uuid: Option<Uuid>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Takes a snapshot of a volume.
    CreateVolumeSnapshot, "3.2.21", Post "/volumes/{volumeUuid}/volume-snapshots", Job -> VolumeSnapshot; {
        /// The volume.
        volume_uuid: Uuid;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Queries volume snapshots.
    QueryVolumeSnapshot, "3.2.22", Get "/volume-snapshots" | "/volume-snapshots/{uuid}", Sync -> [VolumeSnapshot]; {}

    /// Queries volume snapshot trees.
    QueryVolumeSnapshotTree, "3.2.23",
        Get "/volume-snapshots/trees" | "/volume-snapshots/trees/{uuid}", Sync -> [VolumeSnapshotTree]; {}

    /// Changes the name and description of a volume snapshot.
    UpdateVolumeSnapshot, "3.2.24", Put "/volume-snapshots/{uuid}/actions", Job -> VolumeSnapshot; {
        /// The snapshot.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Deletes a volume snapshot.
    DeleteVolumeSnapshot, "3.2.25", Delete "/volume-snapshots/{uuid}", Job; {
        /// The snapshot.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Creates a scheduler that takes snapshots of a volume.
    CreateVolumeSnapshotScheduler, "3.2.26",
        Post "/volumes/{volumeUuid}/schedulers/creating-volume-snapshots", Job -> Scheduler; {
        /// The volume.
        volume_uuid: Uuid;
        /// The snapshots' name.
        snap_shot_name: String;
        /// The snapshots' description.
        volume_snapshot_description: Option<String>;
        /// Its name.
        scheduler_name: String;
        /// Free text.
        scheduler_description: Option<String>;
        /// Its type.
        kind as "type": String;
        /// Seconds between two runs.
        interval: Option<i32>;
        /// How often it is repeated.
        repeat_count: Option<i32>;
        /// When it begins.
        start_time: Option<i64>;
        /// The schedule, as a cron expression.
        cron: Option<String>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Takes a volume back to a snapshot.
    RevertVolumeFromSnapshot, "3.2.27", Put "/volume-snapshots/{uuid}/actions", Job; {
        /// The snapshot.
        uuid: Uuid;
    }
}

inventories! {
    /// A volume snapshot.
    VolumeSnapshot {
        uuid: Uuid, name: String, description: String, type: String, volumeUuid: Uuid, treeUuid: Uuid,
        parentUuid: Uuid, primaryStorageUuid: Uuid, primaryStorageInstallPath: String, volumeType: String,
        format: String, latest: bool, size: i64, state: String, status: String, createDate: Timestamp,
        lastOpDate: Timestamp, backupStorageRefs: [VolumeSnapshotBackupStorageRef],
    }

    /// The copy of a volume snapshot on a backup storage.
    VolumeSnapshotBackupStorageRef {
        volumeSnapshotUuid: Uuid, backupStorageUuid: Uuid, installPath: String,
    }

    /// A volume snapshot tree.
    VolumeSnapshotTree {
        uuid: Uuid, volumeUuid: Uuid, current: bool, tree: Json, createDate: Timestamp, lastOpDate: Timestamp,
    }
}

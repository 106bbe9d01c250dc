//! Zones and clusters.

use gantry_common::id::{ClusterUuid, ZoneUuid};

use super::{AdminState, Declaration};
use crate::{clock::Timestamp, resource};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] = &[Zone::declaration, Cluster::declaration];

resource! {
    /// A place whose resources belong together.
    Zone, table "zone", class "org.zstack.header.zone.ZoneInventory", everyone {
        /// Its id.
        uuid: ZoneUuid,
        /// Its name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// Whether it takes new work.
        state: AdminState,
        /// Always `zstack`.
        kind as "type": String,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "cluster" => Cluster(uuid = zone_uuid);
        "host" => Host(uuid = zone_uuid);
        "vmInstance" => VmInstance(uuid = zone_uuid);
        "primaryStorage" => PrimaryStorage(uuid = zone_uuid);
        "l2Network" => L2Network(uuid = zone_uuid);
        "l3Network" => L3Network(uuid = zone_uuid);
        "backupStorage" => BackupStorage(uuid via backup_storage_zone_ref(zone_uuid, backup_storage_uuid) = uuid);
    }
}

resource! {
    /// Hosts that are alike and share networks and storage.
    Cluster, table "cluster", class "org.zstack.header.cluster.ClusterInventory", everyone {
        /// Its id.
        uuid: ClusterUuid,
        /// Its name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// Whether it takes new work.
        state: AdminState,
        /// Always `KVM` here.
        hypervisor_type: String,
        /// Its zone.
        zone_uuid: ZoneUuid,
        /// Always `zstack`.
        kind as "type": String,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "zone" => Zone(zone_uuid = uuid);
        "host" => Host(uuid = cluster_uuid);
        "vmInstance" => VmInstance(uuid = cluster_uuid);
        "l2Network" => L2Network(uuid via l2_network_cluster_ref(cluster_uuid, l2_network_uuid) = uuid);
        "primaryStorage" => PrimaryStorage(uuid via primary_storage_cluster_ref(cluster_uuid, primary_storage_uuid) = uuid);
    }
}

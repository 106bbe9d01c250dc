//! 4.4.6, 4.5.5: how much space storages have.

use gantry_common::id::{BackupStorageUuid, ClusterUuid, PrimaryStorageUuid, ZoneUuid};
use serde_json::{Value, json};

use crate::{
    api::{Caller, Operation, SyncOperation, sync},
    failure::Failure,
    operation,
    resource::{BackupStorage, BackupStorageZoneRef, PrimaryStorage, PrimaryStorageClusterRef},
    store::SqlValue,
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![sync::<GetPrimaryStorageCapacity>(), sync::<GetBackupStorageCapacity>()]
}

/// A sum over nothing says nothing: something must be named, or everything.
fn require_some(named: bool, all: Option<bool>, what: &str) -> Result<(), Failure> {
    if named || all == Some(true) {
        return Ok(());
    }
    Err(Failure::argument("all", all.unwrap_or(false), format!("name {what}, or set it to true")))
}

operation! {
    /// How many bytes primary storages have, and how many of them are free, over those that are named: by themselves, by
    /// their clusters or by their zones.
    GetPrimaryStorageCapacity, "4.4.6", Get "/primary-storage/capacities",
        Sync -> { totalCapacity: i64, availableCapacity: i64, totalPhysicalCapacity: i64, availablePhysicalCapacity: i64 }; {
        /// Zones whose storages count.
        zone_uuids: Option<Vec<ZoneUuid>>;
        /// Clusters whose storages count.
        cluster_uuids: Option<Vec<ClusterUuid>>;
        /// Storages that count.
        primary_storage_uuids: Option<Vec<PrimaryStorageUuid>>;
        /// Whether all storages count.
        all: Option<bool>;
    }
}

impl SyncOperation for GetPrimaryStorageCapacity {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let (zones, clusters) = (self.zone_uuids.unwrap_or_default(), self.cluster_uuids.unwrap_or_default());
        let storages = self.primary_storage_uuids.unwrap_or_default();
        let named = !(zones.is_empty() && clusters.is_empty() && storages.is_empty());
        require_some(named, self.all, "zones, clusters or primary storages")?;
        caller
            .node
            .store
            .read(move |tx| {
                let (mut total, mut available, mut total_physical, mut available_physical) = (0, 0, 0, 0);
                for storage in tx.all::<PrimaryStorage>()? {
                    let links =
                        tx.find::<PrimaryStorageClusterRef>(&[("primary_storage_uuid", storage.uuid.to_sql())])?;
                    let counts = !named
                        || storages.contains(&storage.uuid)
                        || zones.contains(&storage.zone_uuid)
                        || links.iter().any(|link| clusters.contains(&link.cluster_uuid));
                    if counts {
                        total += storage.total_capacity;
                        available += storage.available_capacity;
                        total_physical += storage.total_physical_capacity;
                        available_physical += storage.available_physical_capacity;
                    }
                }
                Ok(json!({
                    "totalCapacity": total,
                    "availableCapacity": available,
                    "totalPhysicalCapacity": total_physical,
                    "availablePhysicalCapacity": available_physical,
                }))
            })
            .await
    }
}

operation! {
    /// How many bytes backup storages have, and how many of them are free, over those that are named: by themselves or by
    /// their zones.
    GetBackupStorageCapacity, "4.5.5", Get "/backup-storage/capacities",
        Sync -> { totalCapacity: i64, availableCapacity: i64 }; {
        /// Zones whose storages count.
        zone_uuids: Option<Vec<ZoneUuid>>;
        /// Storages that count.
        backup_storage_uuids: Option<Vec<BackupStorageUuid>>;
        /// Whether all storages count.
        all: Option<bool>;
    }
}

impl SyncOperation for GetBackupStorageCapacity {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let zones = self.zone_uuids.unwrap_or_default();
        let storages = self.backup_storage_uuids.unwrap_or_default();
        let named = !(zones.is_empty() && storages.is_empty());
        require_some(named, self.all, "zones or backup storages")?;
        caller
            .node
            .store
            .read(move |tx| {
                let (mut total, mut available) = (0, 0);
                for storage in tx.all::<BackupStorage>()? {
                    let links = tx.find::<BackupStorageZoneRef>(&[("backup_storage_uuid", storage.uuid.to_sql())])?;
                    let counts = !named
                        || storages.contains(&storage.uuid)
                        || links.iter().any(|link| zones.contains(&link.zone_uuid));
                    if counts {
                        total += storage.total_capacity;
                        available += storage.available_capacity;
                    }
                }
                Ok(json!({ "totalCapacity": total, "availableCapacity": available }))
            })
            .await
    }
}

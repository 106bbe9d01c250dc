//! Lists of what an operation could use: each tells what it leaves out, and why.

mod destinations;
mod exclusion;
mod image_stores;
mod starting;
mod storages;

pub use exclusion::*;

use crate::api::{Operation, sync};

/// The operations of this folder.
pub fn operations() -> Vec<Operation> {
    vec![
        sync::<image_stores::GetCandidateBackupStorageForCreatingImage>(),
        sync::<image_stores::GetBackupStorageCandidatesForImageMigration>(),
        sync::<storages::GetCandidatePrimaryStoragesForCreatingVm>(),
        sync::<destinations::GetCandidateZonesClustersHostsForCreatingVm>(),
        sync::<starting::GetVmStartingCandidateClustersHosts>(),
    ]
}

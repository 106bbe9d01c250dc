//! 4.4.13, 4.4.14, 4.4.15.3, 4.4.15.5: volumes on local storage move, to another host or to another storage of their host.
//!
//! `admission` says what may move where, for the lists of candidates and for the operations alike; `moving` does it.

mod admission;
mod moving;
mod to_host;
mod to_storage;

pub use admission::LocalVolume;
use moving::Move;
pub use moving::fresh_path;

use crate::api::{Operation, job, sync};

/// The operations of this room.
pub fn operations() -> Vec<Operation> {
    vec![
        sync::<to_storage::GetPrimaryStorageCandidatesForVolumeMigration>(),
        job::<Move<to_storage::PrimaryStorageMigrateVolume>>(),
        job::<Move<to_host::LocalStorageMigrateVolume>>(),
        sync::<to_host::LocalStorageGetVolumeMigratableHosts>(),
    ]
}

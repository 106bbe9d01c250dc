//! 4.4.15.2, 4.4.15.4: what is on which host's local storage, and how much room it has there.

use gantry_common::{
    error::ErrorKind,
    id::{HostUuid, PrimaryStorageUuid},
};
use serde_json::{Value, json};

use super::making::require;
use crate::{
    api::{Caller, Operation, SyncOperation, query, sync},
    failure::Failure,
    inventories, operation,
    resource::{Host, LocalStorageResourceRef, PrimaryStorage},
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        query::<QueryLocalStorageResourceRef>(LocalStorageResourceRef::declaration),
        sync::<GetLocalStorageHostDiskCapacity>(),
    ]
}

operation! {
    /// Queries which resources are on which host's local storage.
    QueryLocalStorageResourceRef, "4.4.15.2",
        Get "/primary-storage/local-storage/resource-refs", Sync -> [LocalStorageResourceRef]; {}
}

inventories! {
    /// The capacity of a local storage on one host.
    LocalStorageHostDiskCapacity {
        hostUuid: Uuid, totalCapacity: i64, availableCapacity: i64, totalPhysicalCapacity: i64,
        availablePhysicalCapacity: i64,
    }
}

operation! {
    /// Reads the capacity of a local storage on its hosts.
    GetLocalStorageHostDiskCapacity, "4.4.15.4",
        Get "/primary-storage/local-storage/{primaryStorageUuid}/capacities", Sync -> [LocalStorageHostDiskCapacity]; {
        /// The host; all that have the storage where it is left out.
        host_uuid: Option<HostUuid>;
        /// The primary storage.
        primary_storage_uuid: PrimaryStorageUuid;
    }
}

impl SyncOperation for GetLocalStorageHostDiskCapacity {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        caller
            .node
            .store
            .read(move |tx| {
                let storage = require::<PrimaryStorage>(tx, "primaryStorageUuid", self.primary_storage_uuid)?;
                let mut hosts = tx.local_storage_hosts(storage.uuid)?;
                if let Some(wanted) = self.host_uuid {
                    let host = require::<Host>(tx, "hostUuid", wanted)?;
                    hosts.retain(|host| *host == wanted);
                    if hosts.is_empty() {
                        let details = format!(
                            "primary storage '{}' is not on host '{}': attach it to the host's cluster",
                            storage.name, host.name
                        );
                        return Err(Failure::new(ErrorKind::ResourceNotFound, details));
                    }
                }
                let mut inventories = Vec::new();
                for host in hosts {
                    let Some(local) = tx.local_storage(storage.uuid, host)? else { continue };
                    inventories.push(json!({
                        "hostUuid": host,
                        "totalCapacity": local.total_bytes,
                        "availableCapacity": local.available_bytes,
                        "totalPhysicalCapacity": local.total_physical_bytes,
                        "availablePhysicalCapacity": local.available_physical_bytes,
                    }));
                }
                Ok(json!({ "inventories": inventories }))
            })
            .await
    }
}

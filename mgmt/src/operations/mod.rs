//! The operations, by the chapters of the published reference: each file holds declarations with their handlers.

mod account;
mod audit;
mod backup_storage;
mod candidates;
mod catalogue;
mod changing;
mod cluster;
mod coverage;
mod disk_offering;
mod gc_job;
mod global_config;
mod guest_network;
mod host;
mod host_capacity;
mod host_kinds;
mod image;
mod image_update;
mod instance_offering;
mod ip_address;
mod ip_range;
mod jobs;
mod l2_network;
mod l3_network;
mod l3_network_options;
mod login;
mod long_job;
mod making;
mod management_node;
mod network_service;
mod notification;
mod ownership;
mod planned;
mod primary_storage;
mod storage_capacity;
mod tag;
mod vm_instance;
mod volume;
mod zone;

pub use candidates::{Candidates, Exclusion, inventories_of};
pub use catalogue::*;
pub(crate) use changing::{Change, describe, switched};
pub use coverage::*;
pub(crate) use image::ExpungeImage;
pub(crate) use making::require;
pub(crate) use network_service::{FLAT_PROVIDER, FLAT_SERVICES};
pub(crate) use vm_instance::ExpungeVmInstance;

use std::sync::LazyLock;

use crate::{
    api::{Inventories, InventoryDraft, Operation, inventory_of},
    resource,
};

/// Every operation: those that are carried out first, then those that are only declared.
pub fn all() -> Vec<Operation> {
    [
        login::operations(),
        account::operations(),
        ownership::operations(),
        audit::operations(),
        management_node::operations(),
        global_config::operations(),
        notification::operations(),
        gc_job::operations(),
        jobs::operations(),
        long_job::operations(),
        zone::operations(),
        cluster::operations(),
        host::operations(),
        host_capacity::operations(),
        host_kinds::operations(),
        instance_offering::operations(),
        disk_offering::operations(),
        backup_storage::operations(),
        image::operations(),
        image_update::operations(),
        primary_storage::operations(),
        storage_capacity::operations(),
        l2_network::operations(),
        l3_network::operations(),
        l3_network_options::operations(),
        ip_range::operations(),
        ip_address::operations(),
        network_service::operations(),
        vm_instance::operations(),
        volume::operations(),
        tag::operations(),
        planned::operations(),
    ]
    .concat()
}

/// What answers show that has no resource declaration yet.
pub fn planned_inventories() -> impl Iterator<Item = &'static InventoryDraft> {
    planned::INVENTORIES.iter().copied().flatten()
}

/// Everything that answers show, by name: the declared resources, and what has no such declaration yet.
pub fn inventories() -> &'static Inventories {
    static ALL: LazyLock<Inventories> = LazyLock::new(|| {
        let drafts = planned_inventories().chain(candidates::INVENTORIES).map(InventoryDraft::finish);
        let declared = resource::ALL.iter().map(|resource| inventory_of(resource));
        drafts.chain(declared).map(|inventory| (inventory.name, inventory)).collect()
    });
    &ALL
}

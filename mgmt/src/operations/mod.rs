//! The operations, by the chapters of the published reference: each file holds declarations with their handlers.

mod account;
mod affinity_group;
mod audit;
mod backup_storage;
mod candidates;
mod catalogue;
mod changing;
mod cluster;
mod cluster_upgrade;
mod console;
mod coverage;
mod disk_offering;
mod gc_job;
mod global_config;
mod guest_network;
mod host;
mod host_capacity;
mod host_kinds;
mod host_shell;
mod host_update;
mod image;
mod image_cache;
mod image_copies;
mod image_deletion;
mod image_export;
mod image_facts;
mod image_import;
mod image_migration;
mod image_store;
mod image_store_update;
mod image_template;
mod image_update;
mod instance_offering;
mod ip_address;
mod ip_range;
mod jobs;
mod l2_network;
mod l3_network;
mod l3_network_options;
mod local_storage;
mod login;
mod long_job;
mod making;
mod management_node;
mod network_service;
mod notification;
mod ownership;
mod planned;
mod primary_storage;
mod router_interface;
mod storage_capacity;
mod storage_survey;
mod tag;
mod vm_instance;
mod volume;
mod volume_move;
mod zone;

pub(crate) use affinity_group::expel;
pub use candidates::{Candidates, Exclusion, inventories_of};
pub use catalogue::*;
pub(crate) use changing::{Change, describe, switched};
pub use coverage::*;
pub(crate) use image_cache::{Unneeded, clean_up_cache, evict_owed};
pub(crate) use image_copies::{copies, settle};
pub(crate) use image_deletion::ExpungeImage;
pub(crate) use image_template::refuse_while_read;
pub(crate) use making::require;
pub(crate) use network_service::{FLAT_PROVIDER, FLAT_SERVICES, take_service_address};
pub(crate) use vm_instance::{ExpungeVmInstance, set_off, set_state, unplug_nics};
pub(crate) use volume::ExpungeDataVolume;

use std::{collections::HashSet, sync::LazyLock};

use crate::{
    api::{Handler, Inventories, InventoryDraft, Operation, inventory_of},
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
        candidates::operations(),
        cluster::operations(),
        cluster_upgrade::operations(),
        host::operations(),
        host_capacity::operations(),
        host_kinds::operations(),
        host_shell::operations(),
        host_update::operations(),
        instance_offering::operations(),
        disk_offering::operations(),
        backup_storage::operations(),
        image::operations(),
        image_deletion::operations(),
        image_update::operations(),
        image_facts::operations(),
        image_template::operations(),
        image_export::operations(),
        image_migration::operations(),
        image_store::operations(),
        image_store_update::operations(),
        primary_storage::operations(),
        storage_capacity::operations(),
        storage_survey::operations(),
        local_storage::operations(),
        image_cache::operations(),
        volume_move::operations(),
        l2_network::operations(),
        l3_network::operations(),
        l3_network_options::operations(),
        router_interface::operations(),
        ip_range::operations(),
        ip_address::operations(),
        network_service::operations(),
        vm_instance::operations(),
        affinity_group::operations(),
        volume::operations(),
        console::operations(),
        tag::operations(),
        planned::operations(),
    ]
    .concat()
}

/// Whether the operation of that name is more than declared.
pub fn is_carried_out(name: &str) -> bool {
    static NAMES: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
        let carried_out = all().into_iter().filter(|operation| !matches!(operation.handler, Handler::Planned));
        carried_out.map(|operation| operation.declaration.name).collect()
    });
    NAMES.contains(name)
}

/// What answers show that has no resource declaration yet.
pub fn planned_inventories() -> impl Iterator<Item = &'static InventoryDraft> {
    planned::INVENTORIES.iter().copied().flatten()
}

/// Everything that answers show, by name: the declared resources, and what has no such declaration yet.
pub fn inventories() -> &'static Inventories {
    static ALL: LazyLock<Inventories> = LazyLock::new(|| {
        let drafts = planned_inventories()
            .chain(candidates::INVENTORIES)
            .chain(image_store::INVENTORIES)
            .chain(local_storage::INVENTORIES)
            .map(InventoryDraft::finish);
        let declared = resource::ALL.iter().map(|resource| inventory_of(resource));
        drafts.chain(declared).map(|inventory| (inventory.name, inventory)).collect()
    });
    &ALL
}

//! The operations, by the chapters of the published reference: each file holds declarations with their handlers.

mod backup_storage;
mod capacity;
mod cluster;
mod disk_offering;
mod gc_job;
mod global_config;
mod host;
mod image;
mod instance_offering;
mod ip_range;
mod l2_network;
mod l3_network;
mod login;
mod making;
mod management_node;
mod network_service;
mod notification;
mod primary_storage;
mod tag;
mod vm_instance;
mod volume;
mod zone;

pub(crate) use image::ExpungeImage;
pub(crate) use making::require;
pub(crate) use network_service::{FLAT_PROVIDER, FLAT_SERVICES};
pub(crate) use vm_instance::ExpungeVmInstance;

use crate::api::Operation;

/// Every operation that is served.
pub fn all() -> Vec<Operation> {
    [
        login::operations(),
        management_node::operations(),
        global_config::operations(),
        capacity::operations(),
        notification::operations(),
        gc_job::operations(),
        zone::operations(),
        cluster::operations(),
        host::operations(),
        instance_offering::operations(),
        disk_offering::operations(),
        backup_storage::operations(),
        image::operations(),
        primary_storage::operations(),
        l2_network::operations(),
        l3_network::operations(),
        ip_range::operations(),
        network_service::operations(),
        vm_instance::operations(),
        volume::operations(),
        tag::operations(),
    ]
    .concat()
}

//! Operations that are declared but not carried out yet, by the chapters of the published reference. Their calls are
//! checked like any other's and then refused. To carry one out, move its declaration beside its handler.

mod account;
mod alarm;
mod baremetal_chassis;
mod baremetal_instance;
mod billing;
mod ceph_backup_storage;
mod ceph_primary_storage;
mod certificate;
mod database_backup;
mod eip;
mod image;
mod ipsec;
mod iscsi;
mod l2_network;
mod l3_network;
mod ldap;
mod license;
mod load_balancer;
mod monitoring;
mod notification_service;
mod pci_device;
mod port_forwarding;
mod primary_storage;
mod resource_stack;
mod scheduler;
mod security_group;
mod shared_block_storage;
mod usb_device;
mod user;
mod vcenter;
mod vip;
mod virtual_router;
mod vm_attachments;
mod vm_instance;
mod vm_settings;
mod volume;
mod volume_backup;
mod volume_snapshot;
mod vpc_router;
mod vrouter_route_table;

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::api::{Declaration, Draft, Handler, InventoryDraft, Operation};

/// A parameter that is a JSON object of any content.
type Object = Map<String, Value>;

/// The declarations of each file.
const PLANNED: &[&[Draft]] = &[
    account::PLANNED,
    alarm::PLANNED,
    baremetal_chassis::PLANNED,
    baremetal_instance::PLANNED,
    billing::PLANNED,
    ceph_backup_storage::PLANNED,
    ceph_primary_storage::PLANNED,
    certificate::PLANNED,
    database_backup::PLANNED,
    eip::PLANNED,
    image::PLANNED,
    ipsec::PLANNED,
    iscsi::PLANNED,
    l2_network::PLANNED,
    ldap::PLANNED,
    license::PLANNED,
    load_balancer::PLANNED,
    monitoring::PLANNED,
    notification_service::PLANNED,
    pci_device::PLANNED,
    port_forwarding::PLANNED,
    primary_storage::PLANNED,
    resource_stack::PLANNED,
    scheduler::PLANNED,
    security_group::PLANNED,
    shared_block_storage::PLANNED,
    usb_device::PLANNED,
    user::PLANNED,
    vcenter::PLANNED,
    vip::PLANNED,
    virtual_router::PLANNED,
    vm_attachments::PLANNED,
    vm_instance::PLANNED,
    vm_settings::PLANNED,
    volume::PLANNED,
    volume_backup::PLANNED,
    volume_snapshot::PLANNED,
    vpc_router::PLANNED,
    vrouter_route_table::PLANNED,
];

/// What they answer with, where that is no declared resource.
pub const INVENTORIES: &[&[InventoryDraft]] = &[
    account::INVENTORIES,
    alarm::INVENTORIES,
    baremetal_chassis::INVENTORIES,
    baremetal_instance::INVENTORIES,
    billing::INVENTORIES,
    ceph_backup_storage::INVENTORIES,
    ceph_primary_storage::INVENTORIES,
    certificate::INVENTORIES,
    database_backup::INVENTORIES,
    eip::INVENTORIES,
    image::INVENTORIES,
    ipsec::INVENTORIES,
    iscsi::INVENTORIES,
    l2_network::INVENTORIES,
    l3_network::INVENTORIES,
    ldap::INVENTORIES,
    license::INVENTORIES,
    load_balancer::INVENTORIES,
    monitoring::INVENTORIES,
    notification_service::INVENTORIES,
    pci_device::INVENTORIES,
    port_forwarding::INVENTORIES,
    resource_stack::INVENTORIES,
    scheduler::INVENTORIES,
    security_group::INVENTORIES,
    shared_block_storage::INVENTORIES,
    usb_device::INVENTORIES,
    user::INVENTORIES,
    vcenter::INVENTORIES,
    vip::INVENTORIES,
    virtual_router::INVENTORIES,
    vm_instance::INVENTORIES,
    volume::INVENTORIES,
    volume_backup::INVENTORIES,
    volume_snapshot::INVENTORIES,
    vpc_router::INVENTORIES,
    vrouter_route_table::INVENTORIES,
];

/// Every operation that is declared only.
pub fn operations() -> Vec<Operation> {
    static DECLARATIONS: LazyLock<Vec<Declaration>> =
        LazyLock::new(|| PLANNED.iter().copied().flatten().map(Draft::finish).collect());
    DECLARATIONS.iter().map(|declaration| Operation { declaration, handler: Handler::Planned }).collect()
}

//! What becomes of a row when the resource that one of its columns names is deleted.

use crate::{
    resource::{self, Declaration},
    store::Row,
};

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It goes before, as a part of its own: [`super::kinds`] says how.
    Goes,
    /// It goes in the same transaction: it is nothing without the other.
    GoesWith,
    /// The VM stays and is stopped.
    Stops,
    /// It stays and holds nothing there.
    Clears,
    /// It keeps the id: where it came from does not change.
    Remembers,
    /// It stands in the way unless it goes anyway. When the deletion is enforced it goes.
    Refuses,
    /// What it names is deleted by no call, or the row is none of its own.
    Apart,
}

/// What becomes of a resource's rows by one of their columns.
#[derive(Debug)]
pub struct Rule {
    /// The resource, such as `VmNic`.
    pub from: &'static str,
    /// Its column.
    pub column: &'static str,
    /// What the column names.
    pub to: &'static str,
    /// A column and the value that it must have.
    pub when: Option<(&'static str, &'static str)>,
    /// What becomes of the row.
    pub then: Then,
}

const fn rule(from: &'static str, column: &'static str, to: &'static str, then: Then) -> Rule {
    Rule { from, column, to, when: None, then }
}

impl Rule {
    const fn when(mut self, column: &'static str, value: &'static str) -> Self {
        self.when = Some((column, value));
        self
    }

    /// The resource that the rule is about.
    pub fn declaration(&self) -> Option<&'static Declaration> {
        resource::by_name(self.from)
    }

    /// Whether the rule is about this row.
    pub fn is_about(&self, row: &Row) -> bool {
        self.when.is_none_or(|(column, value)| row.text(column) == Some(value))
    }
}

/// The rules for what names a resource of this name.
pub fn rules_to(name: &str) -> impl Iterator<Item = &'static Rule> {
    RULES.iter().filter(move |rule| rule.to == name)
}

/// Every column that holds the id of another resource.
pub const RULES: &[Rule] = &[
    rule("Cluster", "zone_uuid", "Zone", Then::Goes),
    rule("Host", "zone_uuid", "Zone", Then::Goes),
    rule("Host", "cluster_uuid", "Cluster", Then::Goes),
    rule("PrimaryStorage", "zone_uuid", "Zone", Then::Goes),
    rule("PrimaryStorageClusterRef", "primary_storage_uuid", "PrimaryStorage", Then::Refuses),
    rule("PrimaryStorageClusterRef", "cluster_uuid", "Cluster", Then::Goes),
    rule("BackupStorage", "machine_uuid", "Machine", Then::Apart),
    rule("BackupStorageZoneRef", "backup_storage_uuid", "BackupStorage", Then::GoesWith),
    rule("BackupStorageZoneRef", "zone_uuid", "Zone", Then::GoesWith),
    rule("ImageBackupStorageRef", "backup_storage_uuid", "BackupStorage", Then::Goes),
    rule("ImageBackupStorageRef", "image_uuid", "Image", Then::Goes),
    rule("L2Network", "zone_uuid", "Zone", Then::Goes),
    rule("L2NetworkClusterRef", "l2_network_uuid", "L2Network", Then::Goes),
    rule("L2NetworkClusterRef", "cluster_uuid", "Cluster", Then::Goes),
    rule("L3Network", "zone_uuid", "Zone", Then::Goes),
    rule("L3Network", "l2_network_uuid", "L2Network", Then::Goes),
    rule("L3NetworkDns", "l3_network_uuid", "L3Network", Then::GoesWith),
    rule("L3NetworkHostRoute", "l3_network_uuid", "L3Network", Then::GoesWith),
    rule("NetworkServiceL3NetworkRef", "l3_network_uuid", "L3Network", Then::GoesWith),
    rule("NetworkServiceL3NetworkRef", "network_service_provider_uuid", "NetworkServiceProvider", Then::Apart),
    rule("IpRange", "l3_network_uuid", "L3Network", Then::GoesWith),
    rule("UsedIp", "ip_range_uuid", "IpRange", Then::GoesWith),
    rule("UsedIp", "l3_network_uuid", "L3Network", Then::GoesWith),
    rule("VmInstance", "zone_uuid", "Zone", Then::Goes),
    rule("VmInstance", "cluster_uuid", "Cluster", Then::Clears),
    rule("VmInstance", "host_uuid", "Host", Then::Stops),
    rule("VmInstance", "last_host_uuid", "Host", Then::Clears),
    rule("VmInstance", "root_volume_uuid", "Volume", Then::Goes),
    rule("VmInstance", "default_l3_network_uuid", "L3Network", Then::Clears),
    rule("VmInstance", "image_uuid", "Image", Then::Remembers),
    rule("VmInstance", "instance_offering_uuid", "InstanceOffering", Then::Remembers),
    rule("VmNic", "vm_instance_uuid", "VmInstance", Then::GoesWith),
    rule("VmNic", "l3_network_uuid", "L3Network", Then::Goes),
    rule("VmNic", "used_ip_uuid", "UsedIp", Then::Goes),
    rule("Volume", "primary_storage_uuid", "PrimaryStorage", Then::Goes),
    rule("Volume", "host_uuid", "Host", Then::Goes),
    rule("Volume", "vm_instance_uuid", "VmInstance", Then::GoesWith).when("kind", "Root"),
    rule("Volume", "vm_instance_uuid", "VmInstance", Then::Clears).when("kind", "Data"),
    rule("Volume", "disk_offering_uuid", "DiskOffering", Then::Remembers),
    rule("Volume", "root_image_uuid", "Image", Then::Remembers),
    rule("ShareableVolumeVmInstanceRef", "volume_uuid", "Volume", Then::GoesWith),
    rule("ShareableVolumeVmInstanceRef", "vm_instance_uuid", "VmInstance", Then::GoesWith),
    // No rows of their own: the volumes' rows say them.
    rule("LocalStorageResourceRef", "resource_uuid", "Volume", Then::Apart),
    rule("LocalStorageResourceRef", "primary_storage_uuid", "PrimaryStorage", Then::Apart),
    rule("LocalStorageResourceRef", "host_uuid", "Host", Then::Apart),
    rule("AffinityGroupUsage", "affinity_group_uuid", "AffinityGroup", Then::GoesWith),
    rule("AffinityGroupUsage", "resource_uuid", "VmInstance", Then::GoesWith),
    // No rows that go by themselves: what an account owns goes, and with it what is noted of the owner and of the sharing.
    rule("AccountResourceRef", "account_uuid", "Account", Then::Apart),
    rule("SharedResource", "owner_account_uuid", "Account", Then::Apart),
    rule("SharedResource", "receiver_account_uuid", "Account", Then::Apart),
    rule("AuditedCall", "account_uuid", "Account", Then::Remembers),
    rule("Session", "account_uuid", "Account", Then::GoesWith),
    rule("GcJob", "machine_uuid", "Machine", Then::Apart),
    rule("GcJob", "management_node_uuid", "ManagementNode", Then::Apart),
    rule("LongJob", "management_node_uuid", "ManagementNode", Then::Apart),
];

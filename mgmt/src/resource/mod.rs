//! The resources of the inventory, each declared once: table, columns, JSON fields, relations to others.
//!
//! The store reads and writes rows by these declarations, and the query engine answers every `Query…` call from them.

mod affinity_groups;
mod audit;
mod consoles;
mod declaration;
mod enums;
mod hosts;
mod identity;
mod images;
mod long_jobs;
mod management;
mod networks;
mod offerings;
mod scope;
mod settings;
mod storage;
mod tags;
mod topology;
mod vms;

use std::sync::LazyLock;

pub use affinity_groups::*;
pub use audit::*;
pub use consoles::*;
pub use declaration::*;
pub use enums::*;
pub use hosts::*;
pub use identity::*;
pub use images::*;
pub use long_jobs::*;
pub use management::*;
pub use networks::*;
pub use offerings::*;
pub use scope::*;
pub use settings::*;
pub use storage::*;
pub use tags::*;
pub use topology::*;
pub use vms::*;

/// Every declared resource.
pub static ALL: LazyLock<Vec<&'static Declaration>> = LazyLock::new(|| {
    [
        topology::ALL,
        hosts::ALL,
        offerings::ALL,
        storage::ALL,
        images::ALL,
        networks::ALL,
        vms::ALL,
        affinity_groups::ALL,
        tags::ALL,
        identity::ALL,
        audit::ALL,
        long_jobs::ALL,
        settings::ALL,
        management::ALL,
        consoles::ALL,
    ]
    .into_iter()
    .flatten()
    .map(|declaration| declaration())
    .collect()
});

/// The declaration of what is kept in this table.
pub fn by_table(table: &str) -> Option<&'static Declaration> {
    ALL.iter().copied().find(|declaration| declaration.table == table)
}

/// The declaration of the resources of this type, such as `VmNicVO`.
pub fn by_type_name(type_name: &str) -> Option<&'static Declaration> {
    by_name(type_name.strip_suffix("VO")?)
}

/// The declaration of the resource called `name`, such as `VmNic`.
pub fn by_name(name: &str) -> Option<&'static Declaration> {
    ALL.iter().copied().find(|declaration| declaration.name == name)
}

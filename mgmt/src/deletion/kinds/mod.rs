//! The resources that go by themselves, in the order in which they go: what names another one goes before it.

mod accounts;
mod compute;
mod images;
mod networks;
mod storages;

use gantry_common::id::{HostUuid, VmUuid};

use super::rules::{Then, rules_to};
use crate::{
    cleanup::Cleanup,
    failure::Failure,
    resource,
    store::{Row, RowKey, Tx},
};

/// What is removed from machines.
type Cleanups = Vec<(HostUuid, Cleanup)>;

/// Whether a row goes.
pub type Goes<'a> = &'a dyn Fn(&RowKey) -> bool;

/// How a resource goes. All of it only looks, but `before` and `after`.
pub struct Kind {
    /// The resource, such as `L2Network`.
    pub name: &'static str,
    /// What people call one, such as `L2 network`.
    pub called: &'static str,
    /// The VMs that must not run when it goes, besides those that go; asked once it is known what goes.
    pub stops: fn(&Tx<'_>, &Row, Goes<'_>) -> Result<Vec<VmUuid>, Failure>,
    /// The VM from which it is unplugged while that runs.
    pub unplugged_from: fn(&Row) -> Result<Option<VmUuid>, Failure>,
    /// Other locks that jobs on it take.
    pub locks: fn(&Row) -> Vec<String>,
    /// The machine that must answer for it to go, besides those that it leaves something on.
    pub machine: fn(&Tx<'_>, &Row) -> Result<Option<HostUuid>, Failure>,
    /// What is removed from machines before its row is.
    pub leaves: fn(&Tx<'_>, &Row) -> Result<Cleanups, Failure>,
    /// What is given back in the transaction that deletes its row, before that.
    pub before: fn(&Tx<'_>, &Row) -> Result<(), Failure>,
    /// The same after that. Answers what is removed from machines when it is gone.
    pub after: fn(&Tx<'_>, &Row) -> Result<Cleanups, Failure>,
    /// The L3 network whose guests are served otherwise when it is gone.
    pub served_otherwise: fn(&Row) -> Option<gantry_common::id::L3NetworkUuid>,
}

/// A resource that is a row and nothing else.
const fn plain(name: &'static str, called: &'static str) -> Kind {
    Kind {
        name,
        called,
        stops: |_, _, _| Ok(Vec::new()),
        unplugged_from: |_| Ok(None),
        locks: |_| Vec::new(),
        machine: |_, _| Ok(None),
        leaves: |_, _| Ok(Vec::new()),
        before: |_, _| Ok(()),
        after: |_, _| Ok(Vec::new()),
        served_otherwise: |_| None,
    }
}

/// The resources, in the order in which they go.
pub const KINDS: &[Kind] = &[
    compute::NIC,
    compute::VM,
    accounts::AFFINITY_GROUP,
    storages::VOLUME,
    images::COPY,
    plain("Image", "image"),
    networks::IP_RANGE,
    networks::L3_NETWORK,
    networks::L2_ATTACHMENT,
    plain("L2Network", "L2 network"),
    storages::STORAGE_ATTACHMENT,
    storages::PRIMARY_STORAGE,
    compute::HOST,
    compute::CLUSTER,
    plain("BackupStorageZoneRef", "attachment"),
    images::BACKUP_STORAGE,
    plain("Zone", "zone"),
    plain("InstanceOffering", "instance offering"),
    plain("DiskOffering", "disk offering"),
    plain("LongJob", "long job"),
    accounts::ACCOUNT,
];

/// How a resource goes, with its place in the order; nothing for one that never goes by itself.
pub fn kind_of(name: &str) -> Option<(usize, &'static Kind)> {
    KINDS.iter().enumerate().find(|(_, kind)| kind.name == name)
}

/// Rows that go because all that held them goes, or because who owns them does.
pub fn taken_along<'a>(
    tx: &Tx<'_>,
    goes: impl Fn(&RowKey) -> bool,
    going: impl Iterator<Item = &'a RowKey> + Clone,
) -> Result<Vec<Row>, Failure> {
    let mut taken = images::without_copies(tx, &goes, going.clone())?;
    taken.extend(accounts::owned(tx, goes, going)?);
    Ok(taken)
}

/// Deletes a row with what is nothing without it, and lets go of it what stays. Answers what is removed from machines when
/// that is done.
pub fn remove_row(tx: &Tx<'_>, row: &Row) -> Result<Cleanups, Failure> {
    let kind = kind_of(row.declaration.name).map(|(_, kind)| kind);
    kind.map_or(Ok(()), |kind| (kind.before)(tx, row))?;
    let mut cleanups = Vec::new();
    if let [key] = row.key.key.as_slice() {
        for rule in rules_to(row.declaration.name) {
            let Some(declaration) = rule.declaration() else { continue };
            match rule.then {
                Then::Clears => tx.clear_column(declaration, rule.column, key)?,
                Then::GoesWith => {
                    for inner in tx.rows_with(declaration, rule.column, key)? {
                        if rule.is_about(&inner) {
                            cleanups.extend(remove_row(tx, &inner)?);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    tx.delete_row(&row.key)?;
    cleanups.extend(kind.map_or(Ok(Vec::new()), |kind| (kind.after)(tx, row))?);
    Ok(cleanups)
}

/// What people call a row: `VM 'web' (…)`.
pub fn label(tx: &Tx<'_>, kind: &Kind, row: &Row) -> Result<String, Failure> {
    if let Some(name) = row.text("name") {
        return Ok(format!("{} '{name}' ({})", kind.called, row.key));
    }
    let mut ends = Vec::new();
    for end in row.declaration.references() {
        let Some(uuid) = row.text(end.local) else { continue };
        let Some(target) = resource::by_name(end.target) else { continue };
        let Some(other) = tx.row(&RowKey::new(target.name, [uuid.to_owned()]))? else { continue };
        if let Some(name) = other.text("name") {
            let called = kind_of(target.name).map_or(target.name, |(_, kind)| kind.called);
            ends.push(format!("{called} '{name}'"));
        }
    }
    match ends.as_slice() {
        [] => Ok(format!("{} {}", kind.called, row.key)),
        ends => Ok(format!("the {} of {}", kind.called, ends.join(" and "))),
    }
}

/// What people call the row that a call is about.
pub fn name_of(tx: &Tx<'_>, row: &Row) -> Result<String, Failure> {
    match kind_of(row.declaration.name) {
        Some((_, kind)) => label(tx, kind, row),
        None => Ok(format!("{} {}", row.declaration.name, row.key)),
    }
}

/// The value of a type that a column must hold.
fn held<T: std::str::FromStr>(row: &Row, column: &str) -> Result<T, Failure> {
    row.parsed(column).ok_or_else(|| {
        let details = format!("{} {} holds nothing usable in {column}", row.declaration.name, row.key);
        Failure::new(gantry_common::error::ErrorKind::Internal, details)
    })
}

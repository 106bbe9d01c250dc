//! What stands in the way of a plan, found before anything is touched.

use std::collections::BTreeMap;

use gantry_common::{error::ErrorKind, id::HostUuid};

use super::{
    kinds::kind_of,
    plan::{Fate, Part, Plan},
};
use crate::{
    failure::Failure,
    hosts::host_name,
    node::Node,
    resource::{Host, Machine, VmInstance},
    store::Tx,
    vm::is_in_hand,
};

/// Fails with everything that stands in the way, if anything does.
pub fn check(tx: &Tx<'_>, node: &Node, what: &str, plan: &Plan, settled: bool) -> Result<(), Failure> {
    let mut in_the_way = plan.refusals.clone();
    let mut needed: BTreeMap<HostUuid, Vec<&str>> = BTreeMap::new();
    for part in &plan.parts {
        for machine in machines_of(tx, part)? {
            needed.entry(machine).or_default().push(&part.label);
        }
        in_the_way.extend(unsettled(tx, part, settled)?);
    }
    let mut kind = ErrorKind::ResourceInUse;
    for (machine, parts) in needed {
        if !node.fleet.is_connected(machine) {
            kind = ErrorKind::HostDisconnected;
            in_the_way.push(format!(
                "{} is not connected and is needed for {}",
                name_of(tx, machine)?,
                some_of(&parts)
            ));
        }
    }
    if in_the_way.is_empty() {
        return Ok(());
    }
    let texts: Vec<&str> = in_the_way.iter().map(String::as_str).collect();
    let details = format!(
        "{what} cannot be deleted, and nothing was touched: {}. Mend this and call again, or delete with deleteMode=Enforcing",
        some_of(&texts)
    );
    Err(Failure::new(kind, details))
}

/// The machines that must answer for a part.
fn machines_of(tx: &Tx<'_>, part: &Part) -> Result<Vec<HostUuid>, Failure> {
    let Some(row) = tx.row(&part.row)? else { return Ok(Vec::new()) };
    if part.fate != Fate::Remove {
        return Ok(row.parsed("host_uuid").into_iter().collect());
    }
    let Some((_, kind)) = kind_of(row.declaration.name) else { return Ok(Vec::new()) };
    let mut machines: Vec<HostUuid> = (kind.leaves)(tx, &row)?
        .into_iter()
        .filter(|(_, cleanup)| !cleanup.can_wait())
        .map(|(machine, _)| machine)
        .collect();
    machines.extend((kind.machine)(tx, &row)?);
    machines.sort_unstable();
    machines.dedup();
    Ok(machines)
}

/// Whether something else is under way with the row of a part. What jobs do that hold locks is over once it is `settled`.
fn unsettled(tx: &Tx<'_>, part: &Part, settled: bool) -> Result<Option<String>, Failure> {
    let Some(row) = tx.row(&part.row)? else { return Ok(None) };
    let under_way = match part.row.resource.as_str() {
        "VmInstance" if settled => {
            let vm = row.parsed("uuid").map(|uuid| tx.get::<VmInstance>(uuid)).transpose()?.flatten();
            vm.filter(|vm| is_in_hand(vm.state)).map(|vm| vm.state.to_string())
        }
        "Image" | "ImageBackupStorageRef" | "Volume" => {
            row.text("status").filter(|status| matches!(*status, "Creating" | "Downloading")).map(str::to_owned)
        }
        _ => None,
    };
    Ok(under_way.map(|state| format!("{} is {state}", part.label)))
}

fn name_of(tx: &Tx<'_>, machine: HostUuid) -> Result<String, Failure> {
    if tx.get::<Host>(machine)?.is_some() {
        return host_name(tx, machine);
    }
    let known = if tx.is_operators()? { tx.get::<Machine>(machine)? } else { None };
    Ok(known.map_or_else(|| format!("machine {machine}"), |known| format!("the machine at {}", known.address)))
}

/// How many of a list an error names.
const NAMED: usize = 8;

/// The first of a list, and how many more there are.
pub fn some_of(texts: &[&str]) -> String {
    let named = texts.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match texts.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

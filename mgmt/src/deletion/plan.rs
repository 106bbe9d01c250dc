//! What a deletion comes to: the parts, in order, and what else it has to have for itself.

use std::collections::{BTreeMap, BTreeSet};

use gantry_common::id::VmUuid;
use serde::{Deserialize, Serialize};

use super::{
    Mode,
    kinds::{self, KINDS, kind_of},
    rules::{Rule, Then, rules_to},
};
use crate::{
    failure::Failure,
    operations::require,
    resource::{VmInstance, VmInstanceState},
    store::{Claim, Row, RowKey, Tx},
};

/// What is done to the row of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// A VM that stays is stopped.
    Stop,
    /// A VM that stays and runs lets go of those of its interfaces that go.
    Unplug,
    /// The row goes, with all that is nothing without it.
    Remove,
}

/// A part of a deletion: it is done whole. Those of one stage do not depend on each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// A stage begins when the one before it is done.
    pub stage: usize,
    /// What is done.
    pub fate: Fate,
    /// The row.
    pub row: RowKey,
    /// What people call it.
    pub label: String,
    /// The state that a VM had.
    pub before: Option<VmInstanceState>,
}

/// What a deletion comes to.
#[derive(Debug, Default)]
pub struct Plan {
    /// What is done, in order.
    pub parts: Vec<Part>,
    /// What the job has to have for itself, sorted.
    pub claims: Vec<Claim>,
    /// What stands in the way, for people.
    pub refusals: Vec<String>,
}

/// Makes the plan for deleting a row. Reads only.
pub fn plan(tx: &Tx<'_>, root: &Row, mode: Mode) -> Result<Plan, Failure> {
    let mut search = Search {
        tx,
        going: BTreeMap::new(),
        unfollowed: Vec::new(),
        stopping: BTreeSet::new(),
        unplugging: BTreeSet::new(),
        locked: BTreeSet::new(),
    };
    search.add(root.clone(), false);
    let refusing = search.follow(mode)?;
    search.plan(&refusing)
}

/// A row that goes.
struct Going {
    row: Row,
    /// Whether it goes in the transaction of another one.
    with_another: bool,
}

struct Search<'a> {
    tx: &'a Tx<'a>,
    going: BTreeMap<RowKey, Going>,
    /// Those of which it is not known yet what goes with them.
    unfollowed: Vec<Row>,
    /// VMs that are stopped if they run and stay.
    stopping: BTreeSet<VmUuid>,
    /// VMs that lose interfaces.
    unplugging: BTreeSet<VmUuid>,
    locked: BTreeSet<String>,
}

impl Search<'_> {
    fn add(&mut self, row: Row, with_another: bool) {
        match self.going.get_mut(&row.key) {
            Some(going) => going.with_another |= with_another,
            None => {
                self.unfollowed.push(row.clone());
                self.going.insert(row.key.clone(), Going { row, with_another });
            }
        }
    }

    /// Finds everything that goes. Answers what stands in the way of it.
    fn follow(&mut self, mode: Mode) -> Result<Vec<Row>, Failure> {
        let mut refusing = Vec::new();
        loop {
            while let Some(row) = self.unfollowed.pop() {
                refusing.extend(self.follow_one(&row)?);
            }
            refusing.retain(|row| !self.going.contains_key(&row.key));
            let mut more = kinds::taken_along(self.tx, |key| self.going.contains_key(key), self.going.keys())?;
            if mode == Mode::Enforcing {
                more.append(&mut refusing);
            }
            if more.is_empty() {
                return Ok(refusing);
            }
            more.into_iter().for_each(|row| self.add(row, false));
        }
    }

    fn follow_one(&mut self, gone: &Row) -> Result<Vec<Row>, Failure> {
        let mut refusing = Vec::new();
        let leads_on = |rule: &&Rule| !matches!(rule.then, Then::Remembers | Then::Apart);
        for rule in rules_to(gone.declaration.name).filter(leads_on) {
            for row in self.rows_by(rule, gone)? {
                match rule.then {
                    Then::Goes => self.add(row, false),
                    Then::GoesWith => self.add(row, true),
                    Then::Stops => self.stopping.extend(row.parsed::<VmUuid>("uuid")),
                    Then::Clears => drop(self.locked.insert(row.key.to_string())),
                    Then::Refuses => refusing.push(row),
                    Then::Remembers | Then::Apart => {}
                }
            }
        }
        if let Some((_, kind)) = kind_of(gone.declaration.name) {
            self.unplugging.extend((kind.unplugged_from)(gone)?);
            self.locked.extend((kind.locks)(gone));
        }
        Ok(refusing)
    }

    fn rows_by(&self, rule: &Rule, gone: &Row) -> Result<Vec<Row>, Failure> {
        let (Some(declaration), [key]) = (rule.declaration(), gone.key.key.as_slice()) else { return Ok(Vec::new()) };
        let rows = self.tx.rows_with(declaration, rule.column, key)?;
        Ok(rows.into_iter().filter(|row| rule.is_about(row)).collect())
    }

    fn plan(mut self, refusing: &[Row]) -> Result<Plan, Failure> {
        let mut parts = self.let_go()?;
        for going in self.going.values().filter(|going| !going.with_another) {
            let row = &going.row;
            let Some((rank, kind)) = kind_of(row.declaration.name) else { continue };
            let before =
                row.parsed("uuid").filter(|_| kind.name == "VmInstance").map(|uuid| self.tx.get::<VmInstance>(uuid));
            let before = before.transpose()?.flatten().map(|vm| vm.state);
            let label = kinds::label(self.tx, kind, row)?;
            parts.push(Part { stage: rank + 1, fate: Fate::Remove, row: row.key.clone(), label, before });
        }
        parts.sort_by_key(|part| part.stage);
        let mut refusals = Vec::new();
        for row in refusing {
            refusals.push(match kind_of(row.declaration.name) {
                Some((_, kind)) => format!("{} is still there", kinds::label(self.tx, kind, row)?),
                None => format!("{} {} is still there", row.declaration.name, row.key),
            });
        }
        debug_assert!(parts.iter().all(|part| part.stage <= KINDS.len()));
        Ok(Plan { parts, claims: self.claims(), refusals })
    }

    /// What is done first: VMs that stay are stopped, or let go of their interfaces.
    fn let_go(&mut self) -> Result<Vec<Part>, Failure> {
        let goes = |key: &RowKey| self.going.contains_key(key);
        for going in self.going.values() {
            if let Some((_, kind)) = kind_of(going.row.declaration.name) {
                self.stopping.extend((kind.stops)(self.tx, &going.row, &goes)?);
            }
        }
        let mut parts = Vec::new();
        for vm in self.stopping.union(&self.unplugging) {
            let key = RowKey::new("VmInstance", [vm.to_string()]);
            if goes(&key) {
                continue;
            }
            self.locked.insert(vm.to_string());
            let vm = require::<VmInstance>(self.tx, "uuid", *vm)?;
            if vm.host_uuid.is_some() {
                // A guest that does not run lets go of nothing.
                let lives_on = !self.stopping.contains(&vm.uuid) && vm.state == VmInstanceState::Running;
                let fate = if lives_on { Fate::Unplug } else { Fate::Stop };
                let label = format!("VM '{}' ({})", vm.name, vm.uuid);
                parts.push(Part { stage: 0, fate, row: key, label, before: Some(vm.state) });
            }
        }
        Ok(parts)
    }

    fn claims(self) -> Vec<Claim> {
        let mut claims: BTreeMap<String, bool> = self.locked.into_iter().map(|lock| (lock, false)).collect();
        for Going { row, .. } in self.going.into_values() {
            // Both ends of an attachment are worked on, and stay.
            for end in row.declaration.references().filter(|_| row.key.key.len() > 1) {
                if let Some(uuid) = row.text(end.local) {
                    claims.entry(uuid.to_owned()).or_insert(false);
                }
            }
            claims.insert(row.key.to_string(), true);
        }
        claims.into_iter().map(|(resource, goes)| Claim { resource, goes }).collect()
    }
}

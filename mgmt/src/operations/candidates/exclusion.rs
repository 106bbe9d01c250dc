//! What a list of candidates leaves out, and why. Its operation declares `details: [Exclusion]` beside the list:
//! `Sync -> { inventories: [Volume], details: [Exclusion] }`.

use std::{collections::HashMap, fmt::Display};

use gantry_common::error::ErrorKind;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    failure::Failure,
    inventories,
    query::{Query, run},
    resource::{Host, Resource},
    store::Tx,
    vm::HostRefusal,
};

inventories! {
    /// What a list of candidates leaves out.
    Exclusion { uuid: Uuid, name: String, reason: String }
}

/// A resource that a list of candidates leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// Its id.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// What stands in the way, and what to do about it.
    pub reason: String,
}

impl Exclusion {
    /// The resource with this id and name, for that reason.
    pub fn new(uuid: impl Display, name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { uuid: uuid.to_string(), name: name.into(), reason: reason.into() }
    }

    /// The host, for that reason; to an account it has no name but its id.
    pub fn of_host(tx: &Tx<'_>, host: &Host, reason: impl Into<String>) -> Result<Self, Failure> {
        let name = if tx.is_operators()? { host.name.clone() } else { host.uuid.to_string() };
        Ok(Self::new(host.uuid, name, reason))
    }

    /// The hosts that were refused.
    pub fn of_hosts(tx: &Tx<'_>, refusals: &[HostRefusal]) -> Result<Vec<Self>, Failure> {
        refusals.iter().map(|refusal| Self::of_host(tx, &refusal.host, &refusal.reason)).collect()
    }
}

/// The resources that an operation would admit, and those that it would refuse.
#[derive(Debug)]
pub struct Candidates<R> {
    /// Those it would admit, in the order they came in.
    pub admitted: Vec<R>,
    /// Those it would refuse.
    pub details: Vec<Exclusion>,
}

impl<R: Resource> Candidates<R> {
    /// Sifts resources by the check that the operation itself makes: its refusal is the reason.
    pub fn sift(
        resources: Vec<R>,
        name: impl Fn(&R) -> &str,
        mut check: impl FnMut(&R) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let mut sifted = Self { admitted: Vec::new(), details: Vec::new() };
        for resource in resources {
            match check(&resource) {
                Ok(()) => sifted.admitted.push(resource),
                // The node's own trouble says nothing about the resource.
                Err(failure) if matches!(failure.kind, ErrorKind::Internal | ErrorKind::Busy) => return Err(failure),
                Err(failure) => {
                    let exclusion = Exclusion::new(resource.key(), name(&resource), failure.details);
                    sifted.details.push(exclusion);
                }
            }
        }
        Ok(sifted)
    }

    /// The reply `{"inventories": […], "details": […]}`.
    pub fn reply(&self, tx: &Tx<'_>) -> Result<Value, Failure> {
        let keys: Vec<R::Key> = self.admitted.iter().map(Resource::key).collect();
        Ok(json!({ "inventories": inventories_of::<R>(tx, &keys)?, "details": self.details }))
    }
}

/// The inventories of the resources with these ids, in this order.
pub fn inventories_of<R: Resource>(tx: &Tx<'_>, keys: &[R::Key]) -> Result<Vec<Value>, Failure> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let mut reply = run(tx, R::declaration(), &Query::by_uuids(keys.clone()))?;
    let Value::Array(found) = reply["inventories"].take() else { return Ok(Vec::new()) };
    let by_key = |inventory: Value| Some((inventory["uuid"].as_str()?.to_owned(), inventory));
    let mut found: HashMap<String, Value> = found.into_iter().filter_map(by_key).collect();
    Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        resource::{AdminState, DiskOffering},
    };

    fn offering(name: &str) -> DiskOffering {
        DiskOffering {
            uuid: gantry_common::id::DiskOfferingUuid::random(),
            name: name.to_owned(),
            description: None,
            disk_size: 1 << 30,
            sort_key: 0,
            state: AdminState::Enabled,
            kind: "zstack".to_owned(),
            create_date: Timestamp::now(),
            last_op_date: Timestamp::now(),
            allocator_strategy: String::new(),
        }
    }

    #[test]
    fn what_the_check_refuses_is_left_out_with_its_refusal() {
        let all = vec![offering("a"), offering("b")];
        let sifted = Candidates::sift(
            all.clone(),
            |one| &one.name,
            |one| match one.name.as_str() {
                "a" => Err(Failure::new(ErrorKind::StateForbids, "a is no good")),
                _ => Ok(()),
            },
        )
        .unwrap();
        assert_eq!(sifted.admitted, all[1..]);
        assert_eq!(sifted.details, [Exclusion::new(all[0].uuid, "a", "a is no good")]);
    }

    #[test]
    fn trouble_of_the_node_is_no_reason() {
        let broken = Candidates::sift(
            vec![offering("a")],
            |one| &one.name,
            |_| Err(Failure::new(ErrorKind::Internal, "the disk is gone")),
        );
        assert_eq!(broken.unwrap_err().kind, ErrorKind::Internal);
    }
}

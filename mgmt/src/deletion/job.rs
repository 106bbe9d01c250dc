//! The job of every operation that deletes or detaches something.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Mode,
    carry_out::{carry_out, put_right},
    checks, kinds,
    plan::{Part, Plan, plan},
};
use crate::{
    api::{Declaration, Declared, Operation, job},
    failure::Failure,
    job::{JobOperation, Recording, Step, unclaimed},
    node::Node,
    store::{Claim, Row, RowKey, Tx},
};

/// An operation that deletes a resource, or an attachment of one to another, with all that depends on it.
pub trait Deletes: Declared {
    /// The row.
    fn target(&self) -> RowKey;

    /// The row, or an error that says there is none.
    fn find(&self, tx: &Tx<'_>) -> Result<Row, Failure>;

    /// What happens when something is in the way.
    fn mode(&self) -> Mode {
        Mode::Permissive
    }

    /// The reply when it is done.
    fn reply(&self, _tx: &Tx<'_>) -> Result<Value, Failure> {
        Ok(json!({}))
    }
}

/// Such an operation, as the router serves it.
pub fn deletes<D: Deletes>() -> Operation {
    job::<Deleting<D>>()
}

/// The job of a [`Deletes`].
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct Deleting<D>(pub D);

impl<D: Deletes> Declared for Deleting<D> {
    fn declaration() -> &'static Declaration {
        D::declaration()
    }
}

/// What is deleted, for people. The plan itself stands in the store.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Deletion {
    pub(super) what: String,
}

impl<D: Deletes> Deleting<D> {
    /// What it comes to now, with what the target is called.
    fn plan(&self, tx: &Tx<'_>) -> Result<(String, Plan), Failure> {
        let row = self.0.find(tx)?;
        let what = kinds::name_of(tx, &row)?;
        Ok((what, plan(tx, &row, self.0.mode())?))
    }
}

impl<D: Deletes> JobOperation for Deleting<D> {
    type State = Deletion;

    const CLAIMS: bool = true;

    fn locks(&self) -> Vec<String> {
        self.0.target().key
    }

    fn claim(&self, tx: &Tx<'_>, node: &Node) -> Result<Vec<Claim>, Failure> {
        let (what, plan) = self.plan(tx)?;
        if self.0.mode() == Mode::Permissive {
            checks::check(tx, node, &what, &plan, false)?;
        }
        Ok(plan.claims)
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("plan what goes", record_plan),
            Step::remote("carry out the plan", carry_out).undo_remote(put_right).in_parts(),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Deletion) -> Result<Value, Failure> {
        self.0.reply(tx)
    }
}

fn record_plan<D: Deletes>(tx: &Tx<'_>, run: &mut Recording<'_, Deleting<D>>) -> Result<(), Failure> {
    let (what, plan) = run.params.plan(tx)?;
    let claimed = tx.claims_of(run.job)?;
    if let Some(new) = plan.claims.iter().find(|claim| !claimed.contains(claim)) {
        return Err(unclaimed(&new.resource));
    }
    if run.params.0.mode() == Mode::Permissive {
        checks::check(tx, run.node, &what, &plan, true)?;
    }
    let parts: Vec<Value> = plan.parts.iter().map(stored).collect::<Result<_, _>>()?;
    tx.insert_parts(run.job, &parts)?;
    run.state.what = what;
    Ok(())
}

fn stored(part: &Part) -> Result<Value, Failure> {
    serde_json::to_value(part).map_err(super::progress::unreadable)
}

/// Makes an operation one that deletes the resource that its parameter `uuid` names.
#[macro_export]
macro_rules! deletes {
    ($operation:ident of $resource:ident) => {
        impl $crate::deletion::Deletes for $operation {
            fn target(&self) -> $crate::store::RowKey {
                $crate::store::RowKey::new(stringify!($resource), [self.uuid.to_string()])
            }

            fn find(&self, tx: &$crate::store::Tx<'_>) -> Result<$crate::store::Row, $crate::failure::Failure> {
                tx.row(&$crate::deletion::Deletes::target(self))?
                    .ok_or_else(|| $crate::failure::Failure::not_found(stringify!($resource), "uuid", self.uuid))
            }

            fn mode(&self) -> $crate::deletion::Mode {
                $crate::deletion::Mode::of(self.delete_mode.as_deref())
            }
        }
    };
}

/// Makes an operation one that takes a resource from another one: its parameters are the two columns of the attachment. It
/// answers with the first of the two.
#[macro_export]
macro_rules! detaches {
    ($operation:ident by $link:ident ($what:ident: $resource:ident, $from:ident: $place:ident)) => {
        impl $crate::deletion::Deletes for $operation {
            fn target(&self) -> $crate::store::RowKey {
                $crate::store::RowKey::new(stringify!($link), [self.$what.to_string(), self.$from.to_string()])
            }

            fn find(&self, tx: &$crate::store::Tx<'_>) -> Result<$crate::store::Row, $crate::failure::Failure> {
                let parameter = $crate::resource::camel_case;
                let what = $crate::operations::require::<$resource>(tx, &parameter(stringify!($what)), self.$what)?;
                let place = $crate::operations::require::<$place>(tx, &parameter(stringify!($from)), self.$from)?;
                tx.row(&$crate::deletion::Deletes::target(self))?.ok_or_else(|| {
                    $crate::failure::Failure::new(
                        gantry_common::error::ErrorKind::ResourceNotFound,
                        format!(
                            "{} '{}' is not attached to {} '{}'",
                            stringify!($resource),
                            what.name,
                            stringify!($place),
                            place.name
                        ),
                    )
                })
            }

            fn reply(&self, tx: &$crate::store::Tx<'_>) -> Result<serde_json::Value, $crate::failure::Failure> {
                $crate::query::inventory_reply::<$resource>(tx, self.$what)
            }
        }
    };
}

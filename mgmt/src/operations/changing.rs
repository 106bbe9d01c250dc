//! What operations that change a resource's own columns, and nothing on any host, have in common.

use serde::Deserialize;
use serde_json::Value;

use super::making::{readable_name, require};
use crate::{
    api::{Declaration, Declared, Operation, job},
    failure::Failure,
    job::{JobOperation, Step},
    query::inventory_reply,
    resource::{AdminState, Resource},
    store::Tx,
};

/// An operation that changes a resource's own columns. Its parameter `uuid` names the resource; it answers with what the
/// resource is then.
pub trait Change: Declared {
    /// The resource.
    type Resource: Resource;

    /// Which one.
    fn key(&self) -> <Self::Resource as Resource>::Key;

    /// Makes the change.
    fn apply(&self, tx: &Tx<'_>, resource: &mut Self::Resource) -> Result<(), Failure>;
}

/// Such an operation, as the router serves it.
pub fn change<C: Change>() -> Operation {
    job::<Changing<C>>()
}

/// The job of a [`Change`].
#[derive(Clone, Deserialize)]
#[serde(transparent)]
struct Changing<C>(C);

impl<C: Change> Declared for Changing<C> {
    fn declaration() -> &'static Declaration {
        C::declaration()
    }
}

impl<C: Change> JobOperation for Changing<C> {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.0.key().to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("change it", |tx, run| {
            let change = &run.params.0;
            let mut resource = require::<C::Resource>(tx, "uuid", change.key())?;
            change.apply(tx, &mut resource)?;
            tx.save(&resource)?;
            Ok(tx.touch::<C::Resource>(change.key())?)
        })]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        inventory_reply::<C::Resource>(tx, self.0.key())
    }
}

/// Puts a new name and a new description, where they are given, in place of the old ones.
pub fn describe(
    (name, new_name): (&mut String, Option<&str>),
    (description, new_description): (&mut Option<String>, Option<&str>),
) -> Result<(), Failure> {
    if let Some(new_name) = new_name {
        *name = readable_name(new_name)?;
    }
    if let Some(new_description) = new_description {
        *description = Some(new_description.to_owned());
    }
    Ok(())
}

/// What a `stateEvent` may be where a resource is only switched on and off.
pub const SWITCHES: &[&str] = &["enable", "disable"];

/// The state after one of [`SWITCHES`].
pub fn switched(state_event: &str) -> AdminState {
    if state_event == "disable" { AdminState::Disabled } else { AdminState::Enabled }
}

/// Makes an operation a [`Change`] that asks the inventory nothing.
#[macro_export]
macro_rules! change_columns {
    ($operation:ident of $resource:ident, $change:expr) => {
        impl $crate::operations::Change for $operation {
            type Resource = $resource;

            fn key(&self) -> <$resource as $crate::resource::Resource>::Key {
                self.uuid
            }

            fn apply(
                &self,
                _tx: &$crate::store::Tx<'_>,
                resource: &mut $resource,
            ) -> Result<(), $crate::failure::Failure> {
                let change: fn(&Self, &mut $resource) -> Result<(), $crate::failure::Failure> = $change;
                change(self, resource)
            }
        }
    };
}

/// An operation whose parameters `name` and `description` replace those of a resource.
#[macro_export]
macro_rules! change_description {
    ($operation:ident of $resource:ident) => {
        $crate::change_columns!($operation of $resource, |change, resource| {
            $crate::operations::describe(
                (&mut resource.name, change.name.as_deref()),
                (&mut resource.description, change.description.as_deref()),
            )
        });
    };
}

/// An operation whose parameter `stateEvent` switches a resource on or off.
#[macro_export]
macro_rules! change_state {
    ($operation:ident of $resource:ident) => {
        $crate::change_columns!($operation of $resource, |change, resource| {
            resource.state = $crate::operations::switched(&change.state_event);
            Ok(())
        });
    };
}

//! The query language: what callers may ask of declared resources. The store runs it.
//!
//! A query string becomes a [`Query`], which knows text only; a [`Plan`] is the same query with every name found in the
//! declarations and every value of its field's type. All that can be wrong with a query is said by then.

mod condition;
mod operand;
mod parameters;
mod plan;
mod view;

pub use condition::*;
pub use operand::*;
pub use parameters::*;
pub use plan::*;
use serde_json::{Value, json};
pub use view::*;

use crate::{
    failure::Failure,
    resource::{Declaration, Resource},
    store::{StoreError, Tx},
};

/// Runs a query and answers its reply as JSON: inventories, their number where asked, and the schema.
pub fn answer(tx: &Tx<'_>, resource: &'static Declaration, query: &Query, view: View) -> Result<Vec<u8>, Failure> {
    Ok(tx.answer(&Plan::new(resource, query, view)?)?)
}

/// The reply to a query of the node itself, which sees everything.
pub fn run(tx: &Tx<'_>, resource: &'static Declaration, query: &Query) -> Result<Value, Failure> {
    run_as(tx, resource, query, View::Operator)
}

/// The reply of [`answer`] as a value.
pub fn run_as(tx: &Tx<'_>, resource: &'static Declaration, query: &Query, view: View) -> Result<Value, Failure> {
    let json = answer(tx, resource, query, view)?;
    let reply = serde_json::from_slice(&json).map_err(|error| StoreError::BadValue {
        column: resource.table.to_owned(),
        value: error.to_string(),
        expected: "a JSON document",
    })?;
    Ok(reply)
}

/// The inventory of one resource, if it exists.
pub fn inventory<R: Resource>(tx: &Tx<'_>, key: R::Key) -> Result<Option<Value>, Failure> {
    let mut reply = run(tx, R::declaration(), &Query::by_uuid(&key.to_string()))?;
    Ok(reply["inventories"].get_mut(0).map(Value::take))
}

/// The reply `{"inventory": …}` of one resource.
pub fn inventory_reply<R: Resource>(tx: &Tx<'_>, key: R::Key) -> Result<Value, Failure> {
    let found = inventory::<R>(tx, key)?.ok_or_else(|| Failure::not_found(R::declaration().name, "uuid", key))?;
    Ok(json!({ "inventory": found }))
}

#[cfg(test)]
mod tests;

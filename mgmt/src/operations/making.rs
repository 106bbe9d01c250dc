//! What operations that make or delete a resource have in common.

use gantry_common::error::ErrorKind;
use serde_json::Value;

use crate::{failure::Failure, query::inventory_reply, resource::Resource, store::Tx, tags};

/// The resource that a parameter names, or an error that says there is none.
pub fn require<R: Resource>(tx: &Tx<'_>, parameter: &str, key: R::Key) -> Result<R, Failure> {
    tx.get::<R>(key)?.ok_or_else(|| Failure::not_found(R::declaration().name, parameter, key))
}

/// Adds a resource whose id the caller may have chosen.
pub fn make<R: Resource>(tx: &Tx<'_>, resource: &R) -> Result<(), Failure> {
    if tx.get::<R>(resource.key())?.is_some() {
        return Err(Failure::new(
            ErrorKind::Duplicate,
            format!(
                "resourceUuid '{}' is the id of a {} already: choose another one or leave it out",
                resource.key(),
                R::declaration().name
            ),
        ));
    }
    Ok(tx.insert(resource)?)
}

/// The reply of an operation that made a resource: its inventory.
pub fn made<R: Resource>(tx: &Tx<'_>, key: Option<R::Key>) -> Result<Value, Failure> {
    match key {
        Some(key) => inventory_reply::<R>(tx, key),
        None => Err(Failure::new(ErrorKind::Internal, format!("the {} was not recorded", R::declaration().name))),
    }
}

/// Puts a call's tags on the resource it made.
pub fn put_tags<R: Resource>(
    tx: &Tx<'_>,
    key: R::Key,
    system_tags: &[String],
    user_tags: &[String],
) -> Result<(), Failure> {
    tags::put(tx, R::declaration(), &key.to_string(), system_tags, user_tags)
}

/// What stands in the way of deleting a resource: each kind of dependent with how many there are.
pub fn refuse_if_used(what: &str, name: &str, blockers: &[(&str, u64)]) -> Result<(), Failure> {
    let found: Vec<String> =
        blockers.iter().filter(|(_, count)| *count > 0).map(|(kind, count)| format!("{count} {kind}")).collect();
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        ErrorKind::ResourceInUse,
        format!("{what} '{name}' still has {}: delete or detach these first", found.join(", ")),
    ))
}

/// A name must hold something a person can read.
pub fn readable_name(name: &str) -> Result<String, Failure> {
    let trimmed = name.trim();
    if trimmed.is_empty() || trimmed.chars().any(char::is_control) {
        return Err(Failure::argument(
            "name",
            name,
            "at least one visible character is needed, and no control characters",
        ));
    }
    Ok(trimmed.to_owned())
}

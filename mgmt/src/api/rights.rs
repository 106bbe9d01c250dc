//! What a principal may do: the one place where calls are admitted or refused, whichever door they came through.
//!
//! An operation says in its declaration whom it admits, or its chapter does. What a call's parameters name must be the
//! caller's own where the call changes it, and at least seen by the caller where it is only used. The rest is as if it did
//! not exist. Quotas and the policies of users will be asked here, too.

use std::any::TypeId;

use gantry_common::{
    error::ErrorKind,
    id::{AccountUuid, JobUuid},
};
use serde_json::{Map, Value};

use super::{Declaration, Handler, Location, Method, Operation, Parameter, ParameterKind, Principal, ReplyType};
use crate::{
    failure::Failure,
    query::Right,
    resource::{self, Scope, by_name},
    store::Tx,
};

/// Whom an operation admits, besides the operator, who may call everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admits {
    /// Nobody.
    Operator,
    /// Every account where the call only reads.
    Readers,
    /// Every account.
    Accounts,
}

/// Whether a principal may call an operation at all.
///
/// # Errors
/// It may not.
pub fn may(principal: Principal, operation: Operation) -> Result<(), Failure> {
    let declaration = operation.declaration;
    let admitted = match (principal, operation.handler) {
        (Principal::Operator(_), _) => true,
        _ if declaration.open => true,
        (Principal::Stranger, _) => false,
        // A query shows each account what it sees; where that is nothing, it is not asked.
        (Principal::Account(_), Handler::Query(resource)) => resource.scope != Scope::Operator,
        (Principal::Account(_), _) => admits_accounts(declaration),
    };
    if admitted {
        return Ok(());
    }
    let details =
        format!("{} is for the operator: log in as an account of type SystemAdmin to call it", declaration.name);
    Err(Failure::new(ErrorKind::PermissionDenied, details))
}

/// Whether an operation that is no query of a declared resource admits every account.
pub fn admits_accounts(declaration: &Declaration) -> bool {
    match declaration.admits {
        Admits::Operator => false,
        Admits::Readers => declaration.method == Method::Get,
        Admits::Accounts => true,
    }
}

/// Whether a principal may call an operation it is admitted to with these parameters.
///
/// # Errors
/// A parameter names what is not the principal's to see, as if it did not exist; or what is not its to change.
pub fn may_with(
    tx: &Tx<'_>,
    principal: Principal,
    declaration: &Declaration,
    parameters: &Map<String, Value>,
) -> Result<(), Failure> {
    let Principal::Account(account) = principal else { return Ok(()) };
    for parameter in &declaration.parameters {
        let (Some(value), Some(named)) = (parameters.get(&parameter.name), named_by(parameter)) else { continue };
        let right = right_needed(declaration, parameter);
        for id in texts(value) {
            check(tx, account, &parameter.name, id, &named, right)?;
        }
    }
    // A system tag may name resources, too: `staticIp::<L3 network>::<address>`.
    for tag in parameters.get("systemTags").into_iter().flat_map(texts) {
        for id in tag.split("::").filter(|part| is_uuid(part)) {
            check(tx, account, "systemTags", id, &anything(), Right::See)?;
        }
    }
    Ok(())
}

fn check(
    tx: &Tx<'_>,
    account: AccountUuid,
    parameter: &str,
    id: &str,
    named: &[&'static resource::Declaration],
    right: Right,
) -> Result<(), Failure> {
    let key = id.to_lowercase().replace('-', "");
    let has = |right| {
        for resource in named {
            if tx.has_right(resource, &key, right, account)? {
                return Ok::<_, Failure>(true);
            }
        }
        Ok(false)
    };
    if has(right)? {
        return Ok(());
    }
    match named {
        [resource] if right == Right::Own && has(Right::See)? => Err(Failure::new(
            ErrorKind::PermissionDenied,
            format!(
                "{parameter} '{id}' is not the account's own: only the owner of the {} may change it",
                resource.name
            ),
        )),
        [resource] => Err(Failure::not_found(resource.name, parameter, id)),
        _ => Err(Failure::new(ErrorKind::ResourceNotFound, format!("{parameter} '{id}' names no resource"))),
    }
}

/// The resources of which a parameter may name one; `None` where it names nothing that is there already.
fn named_by(parameter: &Parameter) -> Option<Vec<&'static resource::Declaration>> {
    // The id that what is made gets.
    if parameter.name == "resourceUuid" && !parameter.required {
        return None;
    }
    match (parameter.kind, parameter.id) {
        // Whose jobs are whose, the operations about jobs know themselves.
        (_, Some(id)) if id == TypeId::of::<JobUuid>() => None,
        (_, Some(id)) => Some(with_ids().filter(|resource| resource.id == id).collect()),
        (ParameterKind::Uuid | ParameterKind::UuidList, None) => Some(anything()),
        (ParameterKind::Text | ParameterKind::TextList, None) => {
            let names_some = parameter.name.ends_with("Uuid") || parameter.name.ends_with("Uuids");
            names_some.then(anything)
        }
        _ => None,
    }
}

fn with_ids() -> impl Iterator<Item = &'static resource::Declaration> {
    resource::ALL.iter().copied().filter(|resource| resource.is_tagged())
}

/// Everything that an account may see some of.
fn anything() -> Vec<&'static resource::Declaration> {
    with_ids().filter(|resource| resource.scope != Scope::Operator).collect()
}

/// What a call does with the resource that a parameter names: it changes the one that its path names first, and uses others.
fn right_needed(declaration: &Declaration, parameter: &Parameter) -> Right {
    let changes = match declaration.method {
        Method::Get => false,
        Method::Put | Method::Delete => {
            parameter.location == Location::Path && first_in_path(declaration) == Some(&parameter.name)
        }
        Method::Post => false,
    };
    if changes || parameter.constraint.own == Some(true) { Right::Own } else { Right::See }
}

fn first_in_path(declaration: &Declaration) -> Option<&'static str> {
    let parts = declaration.paths.first()?.split('/');
    parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).next()
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Takes out of a reply's lists what the principal does not see: candidates of which some are others' own.
pub fn only_seen(
    tx: &Tx<'_>,
    principal: Principal,
    declaration: &Declaration,
    mut reply: Value,
) -> Result<Value, Failure> {
    let Principal::Account(account) = principal else { return Ok(reply) };
    for field in declaration.reply {
        let (ReplyType::Inventories(name), Some(Value::Array(items))) = (field.holds, reply.get_mut(field.name)) else {
            continue;
        };
        let kinds = match by_name(name) {
            Some(resource) if resource.is_tagged() => vec![resource],
            _ => anything(),
        };
        let mut seen = Vec::with_capacity(items.len());
        for item in items.drain(..) {
            let Some(uuid) = item["uuid"].as_str() else { continue };
            if check(tx, account, field.name, uuid, &kinds, Right::See).is_ok() {
                seen.push(item);
            }
        }
        *items = seen;
    }
    Ok(reply)
}

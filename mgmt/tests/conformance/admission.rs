//! Whom each operation admits is decided: what accounts may call stands in a list, and nothing else admits them.

use std::collections::BTreeSet;

use gantry_mgmt::{
    api::{Handler, admits_accounts},
    operations,
    resource::Scope,
};

use crate::reference::none;

#[test]
fn accounts_may_call_what_is_listed_and_nothing_else() {
    let listed: BTreeSet<&str> = include_str!("admits_accounts.txt").lines().filter(|line| !line.is_empty()).collect();
    let admitting = operations::all().into_iter().filter(|operation| match operation.handler {
        Handler::Query(resource) => resource.scope != Scope::Operator,
        Handler::Sync(_) | Handler::Job(_) | Handler::Planned => admits_accounts(operation.declaration),
    });
    let admitting: BTreeSet<&str> = admitting.map(|operation| operation.declaration.name).collect();
    let unlisted = admitting.difference(&listed).map(|name| {
        format!("{name} admits accounts: if that is right, list it in admits_accounts.txt; else say `admits Some(Admits::Operator)`")
    });
    let refusing = listed.difference(&admitting).map(|name| {
        format!(
            "{name} is listed and admits the operator only: its resource may need a word for its scope, such as `owned`"
        )
    });
    none(unlisted.chain(refusing).collect());
}

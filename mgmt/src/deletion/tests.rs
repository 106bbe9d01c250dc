//! The two tables of the deletion hold to the resource declarations.

use super::{
    kinds::{KINDS, kind_of},
    rules::{RULES, Then},
};
use crate::resource;

/// Columns that look like references and are none: what they name may be of any kind, or is no resource.
const NO_REFERENCES: &[(&str, &str)] = &[
    ("AccountResourceRef", "resource_uuid"),
    ("AuditedCall", "job_uuid"),
    ("Notification", "resource_uuid"),
    ("SharedResource", "resource_uuid"),
    ("SystemTag", "resource_uuid"),
    ("UserTag", "resource_uuid"),
    ("LongJob", "target_resource_uuid"),
    ("Session", "user_uuid"),
];

#[test]
fn every_reference_of_a_declared_resource_has_a_rule() {
    let mut missing = Vec::new();
    for declaration in resource::ALL.iter() {
        for column in declaration.columns.iter().filter(|column| column.name.ends_with("_uuid")) {
            let has_rule = RULES.iter().any(|rule| (rule.from, rule.column) == (declaration.name, column.name));
            if !has_rule && !NO_REFERENCES.contains(&(declaration.name, column.name)) {
                missing.push(format!("{}.{}", declaration.name, column.name));
            }
        }
    }
    assert!(missing.is_empty(), "say in deletion/rules.rs what becomes of these when what they name goes: {missing:?}");
}

#[test]
fn every_rule_is_about_columns_that_there_are_and_names_what_the_relation_names() {
    for rule in RULES {
        let declaration = rule.declaration().unwrap_or_else(|| panic!("there is no resource {}", rule.from));
        let column = declaration.column(rule.column);
        let column = column.unwrap_or_else(|| panic!("{} has no column {}", rule.from, rule.column));
        if let Some(relation) = declaration.references().find(|relation| relation.local == rule.column) {
            assert_eq!(relation.target, rule.to, "{}.{}", rule.from, rule.column);
        }
        if rule.then == Then::Clears {
            assert!(column.nullable, "{}.{} cannot hold nothing", rule.from, rule.column);
        }
        if let Some((column, _)) = rule.when {
            assert!(declaration.column(column).is_some(), "{} has no column {column}", rule.from);
        }
    }
}

#[test]
fn what_names_another_resource_goes_before_it() {
    for rule in RULES.iter().filter(|rule| matches!(rule.then, Then::Goes | Then::Refuses)) {
        let (from, _) =
            kind_of(rule.from).unwrap_or_else(|| panic!("deletion/kinds does not say how a {} goes", rule.from));
        // A VM goes with its root volume, which is no part of its own then.
        if let (Some((to, _)), false) = (kind_of(rule.to), (rule.from, rule.to) == ("VmInstance", "Volume")) {
            assert!(from < to, "a {} must go before its {}", rule.from, rule.to);
        }
    }
}

#[test]
fn every_kind_is_a_declared_resource_and_stands_once() {
    for (index, kind) in KINDS.iter().enumerate() {
        assert!(resource::by_name(kind.name).is_some(), "there is no resource {}", kind.name);
        assert_eq!(kind_of(kind.name).map(|(index, _)| index), Some(index), "{} stands twice", kind.name);
    }
}

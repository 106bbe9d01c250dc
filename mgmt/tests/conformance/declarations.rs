//! Every operation is declared as the reference has it, field by field.

use std::collections::BTreeSet;

use gantry_mgmt::api::{Answer, Location, Parameter, ParameterKind};

use crate::{
    differences::{CLIENT_ONLY, LIMITED, OPTIONAL},
    reference::{ReferenceParameter, http, none, reference, served, shape},
};

/// Operations that are called without a session.
const OPEN: [&str; 13] = [
    "GetCurrentTime",
    "GetLicenseInfo",
    "GetLoginCaptcha",
    "GetTwoFactorAuthenticationSecret",
    "GetTwoFactorAuthenticationState",
    "GetVersion",
    "IsReadyToGo",
    "LogInByAccount",
    "LogInByUser",
    "LogOut",
    "LoginByLdap",
    "RefreshCaptcha",
    "ValidateSession",
];

#[test]
fn every_operation_of_the_reference_is_declared_once() {
    let declared: BTreeSet<&str> = served().iter().map(|(operation, _)| operation.declaration.name).collect();
    let missing = reference().into_keys().filter(|name| !declared.contains(name.as_str()));
    none(missing.map(|name| format!("{name} is not declared")).collect());
    assert_eq!(declared.len(), 588);
}

#[test]
fn every_operation_says_what_it_does_and_what_its_parameters_mean() {
    let mut found = Vec::new();
    for (operation, _) in served() {
        let declaration = operation.declaration;
        let mut sentence = |of: String, text: &str| {
            if !text.ends_with(['.', '`']) || !text.starts_with(|c: char| c.is_uppercase() || c == '`') {
                found.push(format!("{of} is described as '{text}'"));
            }
        };
        sentence(declaration.name.to_owned(), declaration.summary());
        for parameter in &declaration.parameters {
            sentence(format!("{}.{}", declaration.name, parameter.name), parameter.description);
        }
    }
    none(found);
}

#[test]
fn every_operation_has_the_published_section_method_paths_and_wrapper() {
    let mut found = Vec::new();
    for (operation, entry) in served() {
        let declaration = operation.declaration;
        let name = declaration.name;
        if declaration.section != entry.section {
            found.push(format!("{name} is of section {}, not {}", declaration.section, entry.section));
        }
        let methods: BTreeSet<String> = declaration.routes().map(|(method, _)| http(method).to_owned()).collect();
        if entry.methods != methods {
            found.push(format!("{name} is called by {methods:?}, not {:?}", entry.methods));
        }
        let paths: BTreeSet<String> = declaration.routes().map(|(_, path)| shape(path)).collect();
        // Clients ask for one resource by its path wherever they can query several.
        let more = paths.difference(&entry.paths).any(|path| !declaration.is_query() || !path.ends_with("/{}"));
        if more || !entry.paths.is_subset(&paths) {
            found.push(format!("{name} has the paths {paths:?}, not {:?}", entry.paths));
        }
        for key in entry.body_keys.iter().filter(|key| !declaration.body_keys.contains(key)) {
            found.push(format!("{name} is not wrapped in {key}"));
        }
    }
    none(found);
}

#[test]
fn every_operation_answers_at_once_or_by_job_and_needs_a_session_as_published() {
    let mut found = Vec::new();
    for (operation, entry) in served() {
        let declaration = operation.declaration;
        if (declaration.answer == Answer::Sync) != entry.sync {
            found.push(format!("{} answers by {:?}", declaration.name, declaration.answer));
        }
        if declaration.open != OPEN.contains(&declaration.name) {
            found.push(format!("{} is open: {}", declaration.name, declaration.open));
        }
    }
    none(found);
}

#[test]
fn every_operation_takes_the_published_parameters() {
    let mut found = Vec::new();
    for (operation, entry) in served() {
        let declaration = operation.declaration;
        let name = declaration.name;
        let published: BTreeSet<&str> = entry.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        for parameter in &declaration.parameters {
            let known = published.contains(parameter.name.as_str()) || CLIENT_ONLY.contains(&(name, &parameter.name));
            if !known {
                found.push(format!("{name} takes {}, which is not published", parameter.name));
            }
        }
        for expected in &entry.parameters {
            let Some(parameter) = declaration.parameters.iter().find(|parameter| parameter.name == expected.name)
            else {
                found.push(format!("{name} does not take {}", expected.name));
                continue;
            };
            let of = format!("{name}.{}", expected.name);
            let optional = OPTIONAL.contains(&(name, &expected.name));
            let in_one_path = parameter.location == Location::Path && declaration.paths.len() == 1;
            if parameter.required != (expected.required && !optional) && !(parameter.required && in_one_path) {
                found.push(format!("{of} is required: {}", parameter.required));
            }
            if !fits(parameter, &expected.kind) {
                found.push(format!("{of} is declared as {:?}, published as {}", parameter.kind, expected.kind));
            }
            if !LIMITED.contains(&(name, &expected.name)) {
                limits(&of, parameter, expected, &mut found);
            }
        }
    }
    none(found);
}

/// Whether a published type is that of the declaration. Texts are declared more narrowly where they are.
fn fits(parameter: &Parameter, published: &str) -> bool {
    use ParameterKind as Kind;
    match parameter.kind {
        Kind::Text | Kind::Secret | Kind::Json | Kind::Uuid | Kind::Ipv4 => published == "string",
        Kind::Integer => matches!(published, "int" | "integer" | "long"),
        Kind::Number => published == "double",
        Kind::Boolean => published == "boolean",
        Kind::TextList | Kind::UuidList | Kind::ObjectList => matches!(published, "list" | "set"),
        Kind::Map | Kind::TextMap | Kind::Object => published == "map",
    }
}

fn limits(of: &str, parameter: &Parameter, expected: &ReferenceParameter, found: &mut Vec<String>) {
    let constraint = &parameter.constraint;
    let published = |key: &str| expected.constraint.get(key).map(String::as_str);
    let length = published("maxLength").map(|most| most.parse().unwrap());
    if constraint.max_length != length {
        found.push(format!("{of} has at most {:?} characters, not {length:?}", constraint.max_length));
    }
    let set = |values: &str| -> BTreeSet<String> {
        values.trim_matches(['{', '}']).split(',').map(|value| value.trim().trim_matches('"').to_owned()).collect()
    };
    let values = match parameter.name.as_str() {
        "deleteMode" => Some(BTreeSet::from(["Permissive".to_owned(), "Enforcing".to_owned()])),
        _ => published("validValues").map(set),
    };
    let declared = constraint.values.map(|values| values.iter().map(|value| (*value).to_owned()).collect());
    if declared != values {
        found.push(format!("{of} is one of {declared:?}, not of {values:?}"));
    }
    let number = |text: &str| text.trim().trim_end_matches('L').parse::<i64>().unwrap();
    let range = published("numberRange").map(|range| {
        let (least, most) = range.trim_matches(['{', '}']).split_once(',').unwrap();
        number(least)..=number(most)
    });
    if constraint.range != range {
        found.push(format!("{of} lies in {:?}, not in {range:?}", constraint.range));
    }
    let pattern = published("validRegexValues").is_some();
    let nonempty = published("nonempty") == Some("true") || published("emptyString") == Some("false") || pattern;
    if (constraint.nonempty == Some(true)) != nonempty {
        found.push(format!("{of} may not be empty: {:?}, not {nonempty}", constraint.nonempty));
    }
    if (constraint.visible_ascii == Some(true)) != pattern {
        found.push(format!("{of} is visible ASCII: {:?}, not {pattern}", constraint.visible_ascii));
    }
}

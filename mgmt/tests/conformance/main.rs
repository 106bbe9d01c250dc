//! Every served operation is called as the published reference says: its method, paths, parameters, and whether it
//! answers at once or by job. `operations.json` holds the reference's facts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that meets the unexpected ends")]

use std::collections::{BTreeMap, BTreeSet};

use gantry_mgmt::{
    api::{Answer, Method, Operation},
    operations,
};
use serde_json::Value;

/// Served names that differ from the reference's, which writes the client's name elsewhere.
const RENAMED: [(&str, &str); 1] = [("LogInByAccount", "LoginByAccount")];

/// Served operations that the reference does not have.
const ADDED: [&str; 1] = ["CancelJob"];

/// Parameters whose names or types the scanned reference has wrong, by operation; the published client's are served.
const MISREAD: [(&str, &str); 6] = [
    ("GetCpuMemoryCapacity", "zoneUids"),
    ("GetCpuMemoryCapacity", "clusterUids"),
    ("GetCpuMemoryCapacity", "hostUids"),
    ("GetTaskProgress", "apild"),
    ("ExpungeImage", "Uuid"),
    ("AddDnsToL3Network", "dns"),
];

fn reference() -> BTreeMap<String, Value> {
    let all: Vec<Value> = serde_json::from_str(include_str!("operations.json")).unwrap();
    all.into_iter().map(|operation| (operation["name"].as_str().unwrap().to_owned(), operation)).collect()
}

fn published(operation: &Operation) -> &'static str {
    let name = operation.declaration.name;
    RENAMED.iter().find(|(served, _)| *served == name).map_or(name, |(_, published)| published)
}

fn served() -> Vec<(Operation, Value)> {
    let reference = reference();
    operations::all()
        .into_iter()
        .filter(|operation| !ADDED.contains(&operation.declaration.name))
        .map(|operation| {
            let name = published(&operation);
            let entry = reference.get(name).unwrap_or_else(|| panic!("{name} is not in the reference"));
            (operation, entry.clone())
        })
        .collect()
}

#[test]
fn each_operation_has_the_published_section_method_and_paths() {
    for (operation, entry) in served() {
        let declaration = operation.declaration;
        assert_eq!(Some(declaration.section), entry["section"].as_str(), "{}", declaration.name);
        let method = match declaration.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        };
        for url in entry["urls"].as_array().unwrap() {
            assert_eq!(Some(method), url["method"].as_str(), "{}", declaration.name);
            let path = url["path"].as_str().unwrap().split('?').next().unwrap().replace("{apild}", "{apiId}");
            let path = path.strip_prefix("/zstack/v1").unwrap();
            assert!(declaration.paths.contains(&path), "{} has no path {path}", declaration.name);
        }
    }
}

#[test]
fn each_operation_answers_at_once_or_by_job_as_published() {
    for (operation, entry) in served() {
        let sync = operation.declaration.answer == Answer::Sync;
        assert_eq!(Some(sync), entry["sync"].as_bool(), "{}", operation.declaration.name);
    }
}

#[test]
fn each_operation_takes_the_published_parameters_and_requires_no_more() {
    for (operation, entry) in served() {
        let declaration = operation.declaration;
        let name = declaration.name;
        let misread: BTreeSet<&str> =
            MISREAD.iter().filter(|(of, _)| *of == name).map(|(_, parameter)| *parameter).collect();
        for parameter in entry["params"].as_array().unwrap() {
            let published = parameter["name"].as_str().unwrap();
            if misread.contains(published) {
                continue;
            }
            let found = declaration.parameters.iter().find(|parameter| parameter.name == published);
            let found = found.unwrap_or_else(|| panic!("{name} does not take {published}"));
            let required = parameter["required"].as_bool().unwrap();
            assert!(
                required || !found.required || found.location == gantry_mgmt::api::Location::Path,
                "{name} requires {published}"
            );
            if let Some(most) = parameter["constraint"]["maxLength"].as_str() {
                assert_eq!(
                    found.constraint.max_length.map(|most| most.to_string()).as_deref(),
                    Some(most),
                    "{name}.{published}"
                );
            }
            if let Some(values) = parameter["constraint"]["validValues"].as_str() {
                let published_values: BTreeSet<&str> =
                    values.trim_matches(['{', '}']).split(',').map(|value| value.trim().trim_matches('"')).collect();
                let served: BTreeSet<&str> = found.constraint.values.unwrap_or_default().iter().copied().collect();
                assert_eq!(served, published_values, "{name}.{published}");
            }
        }
    }
}

#[test]
fn each_operation_with_a_body_is_wrapped_in_the_published_key() {
    for (operation, entry) in served() {
        for key in ["body_key", "alt_body_key"] {
            if let Some(key) = entry[key].as_str() {
                let declaration = operation.declaration;
                assert!(
                    declaration.body_keys.iter().any(|served| served == key),
                    "{} is not wrapped in {key}",
                    declaration.name
                );
            }
        }
    }
}

use std::collections::HashSet;

use serde_json::Value;

use super::served;
use crate::operations;

fn entries(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(method, entry)| (path, method, entry)))
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_operation_stands_at_each_of_its_paths() {
    let document = served();
    let shape = |path: &str| {
        path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
    };
    let found: HashSet<(String, String, &str)> = entries(&document)
        .flat_map(|(path, method, entry)| {
            let members = entry["x-gantry-operations"].as_array().unwrap();
            members.iter().map(move |member| (shape(path), method.clone(), member["name"].as_str().unwrap()))
        })
        .collect();
    for operation in operations::all() {
        let declaration = operation.declaration;
        for path in declaration.paths {
            let method = declaration.method.as_str().to_lowercase();
            assert!(found.contains(&(shape(path), method, declaration.name)), "{} at {path}", declaration.name);
        }
    }
}

#[test]
fn no_two_entries_have_one_id() {
    let document = served();
    let mut seen = HashSet::new();
    for (path, method, entry) in entries(&document) {
        let id = entry["operationId"].as_str().unwrap();
        assert!(seen.insert(id), "{id} of {method} {path} is another entry's too");
    }
}

#[test]
fn every_reference_names_something() {
    let document = served();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 1000);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

#[test]
fn a_path_names_exactly_its_parameters() {
    let document = served();
    for (path, method, entry) in entries(&document) {
        let declared = entry["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "path");
        let declared: Vec<&str> = declared.map(|one| one["name"].as_str().unwrap()).collect();
        let named: Vec<&str> = super::path::names(path).collect();
        assert_eq!(declared, named, "{method} {path}");
    }
}

#[test]
fn actions_at_one_path_are_told_apart_by_their_keys() {
    let document = served();
    let entry = &document["paths"]["/vm-instances/{uuid}/actions"]["put"];
    let bodies = entry["requestBody"]["content"]["application/json"]["schema"]["oneOf"].as_array().unwrap();
    let keys: HashSet<&str> = bodies.iter().map(|body| body["required"][0].as_str().unwrap()).collect();
    assert_eq!(keys.len(), bodies.len());
    assert!(keys.contains("startVmInstance") && keys.contains("stopVmInstance"));
}

#[test]
fn only_what_needs_no_session_says_so() {
    let document = served();
    assert_eq!(document["paths"]["/accounts/login"]["put"]["security"], serde_json::json!([]));
    assert!(document["paths"]["/zones"]["post"]["security"].is_null());
}

#[test]
fn a_query_names_the_fields_there_are() {
    let document = served();
    let fields = document["components"]["schemas"]["ZoneField"]["enum"].as_array().unwrap();
    assert!(fields.iter().any(|field| field == "name"));
    assert!(fields.iter().all(|field| field != "passwordHash"));
}

#[test]
fn constraints_come_from_the_declarations() {
    let document = served();
    let schema = &document["components"]["schemas"]["CreateZoneParameters"];
    assert_eq!(schema["required"], serde_json::json!(["name"]));
    assert_eq!(schema["properties"]["name"]["maxLength"], 255);
    assert_eq!(
        document["paths"]["/zones"]["post"]["x-gantry-operations"][0]["x-gantry-result"]["$ref"],
        "#/components/schemas/ZoneReply"
    );
}

#[test]
fn every_status_that_an_error_has_is_described() {
    for kind in gantry_common::error::ErrorKind::ALL {
        let described = super::components::ERRORS.iter().any(|(status, _)| *status == kind.status());
        assert!(described, "{} answers {}", kind.code(), kind.status());
    }
}

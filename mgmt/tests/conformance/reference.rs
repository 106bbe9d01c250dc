//! The facts of the published reference, from `operations.json`.

use std::collections::{BTreeMap, BTreeSet};

use gantry_mgmt::api::{Method, Operation};
use serde_json::Value;

use crate::differences::{
    ADDED, CUT_BODY_KEYS, MISREAD, RENAMED, UNSERVED_METHODS, UNSERVED_PARAMETERS, UNSERVED_PATHS,
};

/// One operation of the reference.
pub struct Reference {
    pub name: String,
    pub section: String,
    pub sync: bool,
    pub methods: BTreeSet<String>,
    /// Below `/zstack/v1`, parameters as `{}`: their names are misread here and there.
    pub paths: BTreeSet<String>,
    pub body_keys: Vec<String>,
    pub parameters: Vec<ReferenceParameter>,
    /// The reply's structures by name, `reply` being the outermost; fields by name with their types.
    pub reply: BTreeMap<String, BTreeMap<String, String>>,
}

/// One parameter of the reference.
pub struct ReferenceParameter {
    pub name: String,
    pub kind: String,
    pub required: bool,
    pub constraint: BTreeMap<String, String>,
}

/// A path with its parameters' names taken out.
pub fn shape(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn read(entry: &Value) -> Reference {
    let name = text(&entry["name"]);
    let renamed = RENAMED.iter().find(|(_, published)| *published == name);
    let name = renamed.map_or(name.as_str(), |(served, _)| served).to_owned();
    let urls = || entry["urls"].as_array().unwrap().iter().chain(entry.get("client_url"));
    let path = |url: &Value| {
        let path = text(&url["path"]);
        shape(path.split('?').next().unwrap().strip_prefix("/zstack/v1").unwrap())
    };
    let parameter = |parameter: &Value| {
        let published = parameter["name"].as_str().unwrap();
        if UNSERVED_PARAMETERS.contains(&(&name, published)) {
            return None;
        }
        let misread = MISREAD.iter().find(|(of, misread, _)| *of == name && *misread == published);
        let constraint = parameter.get("constraint").and_then(Value::as_object);
        Some(ReferenceParameter {
            name: misread.map_or(published, |(_, _, right)| right).to_owned(),
            kind: text(&parameter["type"]).to_lowercase(),
            required: parameter["required"].as_bool().unwrap(),
            constraint: constraint.into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect(),
        })
    };
    let fields = |fields: &Value| {
        fields.as_object().unwrap().iter().map(|(field, holds)| (field.clone(), text(holds))).collect()
    };
    let reply = entry["reply"].as_object().unwrap().iter().map(|(key, value)| (key.clone(), fields(value))).collect();
    Reference {
        section: text(&entry["section"]),
        sync: entry["sync"].as_bool().unwrap(),
        methods: urls()
            .map(|url| text(&url["method"]))
            .filter(|method| !UNSERVED_METHODS.contains(&(&name, method)))
            .collect(),
        paths: urls().map(path).filter(|path| !UNSERVED_PATHS.contains(&(&name, path))).collect(),
        body_keys: ["body_key", "alt_body_key"]
            .iter()
            .filter_map(|key| Some(entry[key].as_str()?.to_owned()))
            .filter(|key| !CUT_BODY_KEYS.contains(&key.as_str()))
            .collect(),
        parameters: entry["params"].as_array().unwrap().iter().filter_map(parameter).collect(),
        reply,
        name,
    }
}

/// The reference, by the names under which operations are served.
pub fn reference() -> BTreeMap<String, Reference> {
    let all: Vec<Value> = serde_json::from_str(include_str!("operations.json")).unwrap();
    all.iter().map(read).map(|reference| (reference.name.clone(), reference)).collect()
}

/// Each served operation beside what the reference says of it.
pub fn served() -> Vec<(Operation, Reference)> {
    let mut reference = reference();
    gantry_mgmt::operations::all()
        .into_iter()
        .filter(|operation| !ADDED.contains(&operation.declaration.name))
        .map(|operation| {
            let name = operation.declaration.name;
            let entry = reference.remove(name).unwrap_or_else(|| panic!("{name} is declared twice or not published"));
            (operation, entry)
        })
        .collect()
}

/// A method as HTTP writes it.
pub fn http(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
    }
}

/// Fails with every difference that was found, one a line.
pub fn none(differences: Vec<String>) {
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

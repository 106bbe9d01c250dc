//! What a request carries: parameters in the path and the query string, headers, the body.

use serde_json::{Map, Value, json};

use super::{
    path::{Entry, Member, names},
    query,
    schema::{described, named, parameter},
};
use crate::api::{Method, Parameter, ParameterKind};

/// The parameters outside the body.
pub fn parameters(entry: &Entry<'_>) -> Vec<Value> {
    let mut parameters = in_path(entry);
    let in_query = entry.members.iter().filter(|member| member.body_key.is_none()).flat_map(|member| {
        let own = member.elsewhere().map(in_query);
        let query = member.declaration().is_query().then(|| query::parameters(member.operation));
        own.chain(query.into_iter().flatten()).collect::<Vec<_>>()
    });
    for parameter in in_query {
        if !parameters.iter().any(|known| same(known, &parameter)) {
            parameters.push(parameter);
        }
    }
    if entry.members.iter().any(Member::is_job) {
        parameters.extend(["JobUuid", "WebHook"].map(component));
    }
    if entry.members.iter().any(|member| !member.is_job() && !member.declaration().is_query()) {
        parameters.push(component("JsonSchema"));
    }
    parameters
}

/// A reference to a parameter of the document.
pub fn component(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

fn same(one: &Value, other: &Value) -> bool {
    one.get("$ref") == other.get("$ref") && one.get("name") == other.get("name")
}

/// The path's parameters, under the names in its template. Operations may know them by other names.
fn in_path(entry: &Entry<'_>) -> Vec<Value> {
    let member = &entry.members[0];
    let own: Vec<&str> = names(member.path).collect();
    let describe = |(index, name): (usize, &str)| {
        let declared = own.get(index).and_then(|own| member.in_path().find(|parameter| parameter.name == **own));
        let (schema, description) = declared.map_or_else(
            // A query's declaration does not name what its second path holds.
            || (named("Uuid"), "The resource."),
            |declared| (parameter(declared), declared.description),
        );
        let parameter = json!({ "name": name, "in": "path", "required": true, "schema": schema });
        described(parameter, description)
    };
    names(&entry.template).enumerate().map(describe).collect()
}

fn in_query(declared: &Parameter) -> Value {
    let schema = parameter(declared);
    let parameter = match declared.kind {
        ParameterKind::Map
        | ParameterKind::TextMap
        | ParameterKind::Object
        | ParameterKind::ObjectList
        | ParameterKind::Json => json!({
            "name": declared.name, "in": "query", "required": declared.required,
            "content": { "application/json": { "schema": schema } },
        }),
        _ => json!({ "name": declared.name, "in": "query", "required": declared.required, "schema": schema }),
    };
    described(parameter, declared.description)
}

/// The body, where the operations have one.
pub fn body(entry: &Entry<'_>) -> Option<Value> {
    let mut bodies: Vec<Value> = entry.members.iter().filter_map(wrapped).collect();
    let schema = match bodies.len() {
        0 => return None,
        1 => bodies.remove(0),
        _ => json!({ "oneOf": bodies }),
    };
    Some(json!({ "required": true, "content": { "application/json": { "schema": schema } } }))
}

/// An operation's body: its parameters under their key, tags beside them.
fn wrapped(member: &Member<'_>) -> Option<Value> {
    let key = member.body_key?;
    let declaration = member.declaration();
    let mut properties = Map::new();
    properties.insert(key.to_owned(), named(&parameters_name(member)));
    if declaration.method == Method::Post {
        for tags in ["systemTags", "userTags"] {
            properties.insert(tags.to_owned(), named("Tags"));
        }
    }
    Some(json!({
        "title": declaration.name,
        "type": "object",
        "required": [key],
        "properties": properties,
    }))
}

/// The name of the schema of an operation's parameters in the body.
fn parameters_name(member: &Member<'_>) -> String {
    let declaration = member.declaration();
    let first = declaration.paths.first().is_some_and(|path| *path == member.path);
    // What stands in one path and not in another one is in the body there.
    let suffix = if first || same_names(member.path, declaration.paths) { "" } else { "Elsewhere" };
    format!("{}Parameters{suffix}", declaration.name)
}

fn same_names(path: &str, paths: &[&str]) -> bool {
    paths.first().is_some_and(|first| names(first).eq(names(path)))
}

/// The schema of an operation's parameters in the body, by its name.
pub fn parameters_schema(member: &Member<'_>) -> Option<(String, Value)> {
    member.body_key?;
    let properties: Map<String, Value> = member
        .elsewhere()
        .map(|declared| (declared.name.clone(), described(parameter(declared), declared.description)))
        .collect();
    let required: Vec<&str> =
        member.elsewhere().filter(|declared| declared.required).map(|declared| declared.name.as_str()).collect();
    let mut schema = json!({ "type": "object" });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema["properties"] = Value::Object(properties);
    Some((parameters_name(member), schema))
}

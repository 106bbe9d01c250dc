//! One entry of the document: the operations that are called at one path with one method.

use serde_json::{Value, json};

use super::{
    components::JOBS_TAG,
    path::{Entry, Member},
    reply, request,
    schema::named,
};
use crate::api::chapter_of;

/// The entry.
pub fn operation(entry: &Entry<'_>) -> Value {
    let first = entry.members[0].declaration();
    let mut operation = match entry.members.as_slice() {
        [_] => json!({
            "operationId": entry.id(),
            "summary": first.summary(),
            "description": first.description,
        }),
        members => {
            let line = |member: &Member<'_>| {
                let declaration = member.declaration();
                format!("- `{}` {}: {}", member.body_key.unwrap_or_default(), declaration.name, declaration.description)
            };
            let lines: Vec<String> = members.iter().map(line).collect();
            json!({
                "operationId": entry.id(),
                "summary": members.iter().map(|member| member.declaration().name).collect::<Vec<_>>().join(", "),
                "description": format!("The key in the body chooses:\n{}", lines.join("\n")),
            })
        }
    };
    let chapter = |member: &Member<'_>| chapter_of(member.declaration().section).map_or(JOBS_TAG, |found| found.title);
    let mut tags: Vec<&str> = entry.members.iter().map(chapter).collect();
    tags.dedup();
    operation["tags"] = json!(tags);
    if entry.is_open() {
        operation["security"] = json!([]);
    }
    let parameters = request::parameters(entry);
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if let Some(body) = request::body(entry) {
        operation["requestBody"] = body;
    }
    operation["responses"] = reply::responses(entry);
    if entry.members.iter().all(Member::is_planned) {
        operation["x-gantry-status"] = json!("planned");
    }
    operation["x-gantry-operations"] = entry.members.iter().map(facts).collect();
    operation
}

/// What OpenAPI has no place for.
fn facts(member: &Member<'_>) -> Value {
    let declaration = member.declaration();
    let mut facts = json!({
        "name": declaration.name,
        "section": declaration.section,
        "x-gantry-status": if member.is_planned() { "planned" } else { "served" },
        "description": declaration.description,
    });
    if let Some(key) = member.body_key {
        facts["bodyKey"] = json!(key);
    }
    if declaration.body_keys.len() > 1 {
        facts["bodyKeys"] = json!(declaration.body_keys);
    }
    if member.is_job() {
        facts["x-gantry-result"] = named(&reply::name(declaration));
    }
    facts
}

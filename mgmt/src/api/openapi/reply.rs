//! What an operation answers.

use serde_json::{Map, Value, json};

use super::{
    components::ERRORS,
    path::{Entry, Member},
    schema::{self, named},
};
use crate::api::{Declaration, ReplyType};

/// The answers at one path and method.
pub fn responses(entry: &Entry<'_>) -> Value {
    let mut responses = Map::new();
    let headers = json!({ "X-Gantry-Ignored": { "$ref": "#/components/headers/Ignored" } });
    if entry.members.iter().any(|member| !member.is_job()) {
        let mut names: Vec<String> =
            entry.members.iter().filter(|member| !member.is_job()).map(|member| name(member.declaration())).collect();
        names.dedup();
        let schema = match names.as_slice() {
            [name] => named(name),
            names => json!({ "anyOf": names.iter().map(|name| named(name)).collect::<Vec<_>>() }),
        };
        responses.insert(
            "200".to_owned(),
            json!({
                "description": "It was done.",
                "headers": headers,
                "content": { "application/json": { "schema": schema } },
            }),
        );
    }
    if entry.members.iter().any(Member::is_job) {
        responses.insert("202".to_owned(), json!({ "$ref": "#/components/responses/Accepted" }));
    }
    for (status, component) in ERRORS {
        responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{component}") }));
    }
    Value::Object(responses)
}

/// The name of the schema of an operation's reply, or of its job's result. Replies with the same fields share one.
pub fn name(declaration: &Declaration) -> String {
    match declaration.reply {
        _ if declaration.is_query() => format!("{}Reply", declaration.name),
        [] => "EmptyReply".to_owned(),
        [field] if field.name == "inventory" && matches!(field.holds, ReplyType::Inventory(_)) => match field.holds {
            ReplyType::Inventory(inventory) => format!("{inventory}Reply"),
            _ => String::new(),
        },
        _ => format!("{}Reply", declaration.name),
    }
}

/// The schema of that name.
pub fn schema(declaration: &Declaration) -> Value {
    let mut schema = schema::object(declaration.reply);
    if declaration.is_query() {
        schema["properties"]["total"] = json!({
            "type": "integer", "minimum": 0, "description": "How many match, where that was asked for.",
        });
    }
    schema["properties"]["schema"] = json!({
        "type": "object", "additionalProperties": { "type": "string" },
        "description": "The published class of what stands at each path of the answer, where that was asked for.",
    });
    schema
}

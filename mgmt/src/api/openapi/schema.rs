//! Types as JSON Schema.

use serde_json::{Map, Value, json};

use crate::api::{Parameter, ParameterKind, ReplyField, ReplyType};

/// A reference to a schema of the document.
pub fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// What a parameter may be.
pub fn parameter(parameter: &Parameter) -> Value {
    let list = |items: Value| json!({ "type": "array", "items": items });
    let mut schema = match parameter.kind {
        ParameterKind::Uuid => named("Uuid"),
        ParameterKind::Text => json!({ "type": "string" }),
        ParameterKind::Secret => json!({ "type": "string", "format": "password" }),
        ParameterKind::Ipv4 => json!({ "type": "string", "format": "ipv4" }),
        ParameterKind::Integer => json!({ "type": "integer", "format": "int64" }),
        ParameterKind::Number => json!({ "type": "number", "format": "double" }),
        ParameterKind::Boolean => json!({ "type": "boolean" }),
        ParameterKind::TextList => list(json!({ "type": "string" })),
        ParameterKind::UuidList => list(named("Uuid")),
        ParameterKind::Map => map(list(json!({ "type": "string" }))),
        ParameterKind::TextMap => map(json!({ "type": "string" })),
        ParameterKind::Json => json!({ "type": ["object", "string"] }),
        ParameterKind::Object => json!({ "type": "object" }),
        ParameterKind::ObjectList => list(json!({ "type": "object" })),
    };
    let constraint = &parameter.constraint;
    let nonempty = constraint.nonempty == Some(true);
    if schema["type"] == "array" && nonempty {
        schema["minItems"] = json!(1);
    }
    if schema["type"] == "string" {
        if let Some(most) = constraint.max_length {
            schema["maxLength"] = json!(most);
        }
        if let Some(values) = constraint.values {
            schema["enum"] = json!(values);
        }
        if nonempty {
            schema["minLength"] = json!(1);
        }
        if constraint.visible_ascii == Some(true) {
            schema["pattern"] = json!("^[!-~]*$");
        }
    }
    if let Some(range) = &constraint.range {
        schema["minimum"] = json!(range.start());
        schema["maximum"] = json!(range.end());
    }
    schema
}

/// The same with what the parameter means.
pub fn described(schema: Value, description: &str) -> Value {
    let mut schema = schema;
    if !description.is_empty() {
        schema["description"] = json!(description);
    }
    schema
}

/// What a field of an answer holds.
pub fn reply(holds: &ReplyType) -> Value {
    match holds {
        ReplyType::Text => json!({ "type": "string" }),
        ReplyType::Uuid => named("Uuid"),
        ReplyType::Integer => json!({ "type": "integer", "format": "int64" }),
        ReplyType::Number => json!({ "type": "number" }),
        ReplyType::Boolean => json!({ "type": "boolean" }),
        ReplyType::Date => named("Date"),
        ReplyType::Json => json!({}),
        ReplyType::Map(values) => map(reply(values)),
        ReplyType::List(items) => json!({ "type": "array", "items": reply(items) }),
        ReplyType::Object(fields) => object(fields),
        ReplyType::Inventory(name) => named(name),
        ReplyType::Inventories(name) => json!({ "type": "array", "items": named(name) }),
    }
}

/// An object of an answer: none of its fields is required, since those without a value are left out.
pub fn object(fields: &[ReplyField]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), reply(&field.holds))).collect();
    json!({ "type": "object", "properties": properties })
}

fn map(values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

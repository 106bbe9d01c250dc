//! What entries of the document refer to.

use gantry_common::error::ErrorKind;
use serde_json::{Map, Value, json};

use super::{
    path::entries,
    query, reply, request,
    schema::{self, described, named},
};
use crate::{
    api::{Handler, InventoryField, Operation},
    operations,
};

/// The name of the one security scheme.
pub const SESSION: &str = "session";

/// The tag of what has no chapter in the reference.
pub const JOBS_TAG: &str = "Jobs";

/// The statuses of errors and the names of their responses.
pub const ERRORS: [(u16, &str); 7] = [
    (400, "BadRequest"),
    (404, "NotFound"),
    (405, "WrongMethod"),
    (408, "TooSlow"),
    (413, "TooLarge"),
    (500, "Internal"),
    (503, "Failed"),
];

/// All components.
pub fn all(operations: &[Operation]) -> Value {
    json!({
        "securitySchemes": { SESSION: {
            "type": "apiKey", "in": "header", "name": "Authorization",
            "description": "`OAuth ` and the session's uuid, which `LogInByAccount` answers.",
        } },
        "schemas": schemas(operations),
        "parameters": parameters(),
        "headers": { "Ignored": {
            "description": "The names in the request that the operation does not take; they had no effect.",
            "schema": { "type": "string" },
        } },
        "responses": responses(),
    })
}

fn schemas(operations: &[Operation]) -> Map<String, Value> {
    let mut schemas = Map::new();
    schemas.insert(
        "Uuid".to_owned(),
        json!({ "type": "string", "pattern": "^[0-9a-f]{32}$", "description": "32 hexadecimal characters.",
            "examples": ["8aef7e3a53b34eedaa05027a919156d9"] }),
    );
    schemas.insert(
        "Date".to_owned(),
        json!({ "type": "string", "pattern": "^[A-Z][a-z]{2} [0-9]{1,2}, [0-9]+ [0-9]{1,2}:[0-9]{2}:[0-9]{2} [AP]M$",
            "description": "A moment in UTC.", "examples": ["Aug 20, 2015 5:46:16 PM"] }),
    );
    schemas.insert(
        "Tags".to_owned(),
        json!({ "type": "array", "items": { "type": "string" }, "description": "Tags for what is made." }),
    );
    schemas.insert(
        "JobLocation".to_owned(),
        json!({ "type": "object", "required": ["location"],
            "properties": { "location": { "type": "string", "format": "uri", "description": "Where to ask for the result." } } }),
    );
    schemas.insert(
        "JobResult".to_owned(),
        json!({ "type": "object", "description": "What the operation's `x-gantry-result` names." }),
    );
    schemas.extend(errors());
    for inventory in operations::inventories().values() {
        let properties: Map<String, Value> = inventory.fields.iter().map(inventory_field).collect();
        let mut schema = json!({ "type": "object" });
        if !inventory.description.is_empty() {
            schema["description"] = json!(inventory.description);
        }
        if let Some(class) = inventory.class.filter(|class| !class.is_empty()) {
            schema["x-gantry-class"] = json!(class);
        }
        schema["properties"] = Value::Object(properties);
        schemas.insert(inventory.name.to_owned(), schema);
    }
    for entry in entries(operations) {
        for member in &entry.members {
            schemas.extend(request::parameters_schema(member));
            let declaration = member.declaration();
            schemas.insert(reply::name(declaration), reply::schema(declaration));
            if let Handler::Query(resource) = member.operation.handler {
                schemas.extend(query::schemas(resource));
            }
        }
    }
    schemas
}

fn inventory_field(field: &InventoryField) -> (String, Value) {
    (field.name.clone(), described(schema::reply(&field.holds), field.description))
}

fn errors() -> [(String, Value); 2] {
    let codes: Vec<&str> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
    let code = json!({
        "type": "object",
        "required": ["code", "description", "details"],
        "properties": {
            "code": { "type": "string", "enum": codes, "description": "Match on this." },
            "description": { "type": "string", "description": "What the code means." },
            "details": { "type": "string", "description": "What was asked, what stood in the way, what to do about it." },
            "cause": described(named("ErrorCode"), "What led to it."),
            "opaque": { "description": "Facts about it." },
        },
    });
    let error = json!({ "type": "object", "required": ["error"], "properties": { "error": named("ErrorCode") } });
    [("ErrorCode".to_owned(), code), ("Error".to_owned(), error)]
}

fn parameters() -> Map<String, Value> {
    let mut parameters = query::components();
    parameters.insert(
        "JobUuid".to_owned(),
        json!({
            "name": "X-Job-UUID", "in": "header",
            "schema": { "type": "string", "pattern": "^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$" },
            "description": "The id that the job gets, a version 4 uuid; one is made up where it is left out.",
        }),
    );
    parameters.insert(
        "JsonSchema".to_owned(),
        json!({
            "name": "X-JSON-Schema", "in": "header",
            "schema": { "type": "string", "enum": ["true", "false"] },
            "description": "Whether the answer has a `schema` that tells the published class of each object in it, as \
                queries' answers always have.",
        }),
    );
    parameters.insert(
        "WebHook".to_owned(),
        json!({
            "name": "X-Web-Hook", "in": "header",
            "schema": { "type": "string", "format": "uri", "pattern": "^https?://[a-zA-Z0-9]" },
            "description": "Where the result is posted when the job has ended, with `X-Job-UUID` and \
                `X-Job-Success: true` or `false`.",
        }),
    );
    parameters
}

fn responses() -> Map<String, Value> {
    let json = |schema: &str| json!({ "application/json": { "schema": named(schema) } });
    let mut responses = Map::new();
    responses.insert(
        "Accepted".to_owned(),
        json!({
            "description": "A job does it: ask at the location.",
            "headers": { "X-Gantry-Ignored": { "$ref": "#/components/headers/Ignored" } },
            "content": json("JobLocation"),
        }),
    );
    for (status, name) in ERRORS {
        let kinds = ErrorKind::ALL.iter().filter(|kind| kind.status() == status);
        let kinds: Vec<String> = kinds.map(|kind| format!("`{}` {}", kind.code(), kind.description())).collect();
        responses.insert(
            name.to_owned(),
            json!({ "description": format!("{}.", kinds.join("; ")), "content": json("Error") }),
        );
    }
    responses["Failed"]["headers"] = json!({ "Retry-After": {
        "description": "When to come again, in seconds, where the node has too much to do.",
        "schema": { "type": "integer" },
    } });
    responses["WrongMethod"]["headers"] = json!({ "Allow": {
        "description": "The methods that the path takes.", "schema": { "type": "string" },
    } });
    responses
}

/// How a job's result is asked for.
pub fn poll() -> Value {
    let answer = |description: &str, schema: &str| json!({ "description": description, "content": { "application/json": { "schema": named(schema) } } });
    json!({
        "operationId": "GetApiJob",
        "summary": "The result of a job.",
        "tags": [JOBS_TAG],
        "security": [],
        "parameters": [{
            "name": "uuid", "in": "path", "required": true, "schema": named("Uuid"), "description": "The job.",
        }, super::request::component("JsonSchema")],
        "responses": {
            "200": answer("It succeeded.", "JobResult"),
            "202": answer("It goes on: ask again.", "JobLocation"),
            "404": answer("It never was, or has expired.", "Error"),
            "405": { "$ref": "#/components/responses/WrongMethod" },
            "500": { "$ref": "#/components/responses/Internal" },
            "503": answer("It failed.", "Error"),
        },
        "x-gantry-operations": [],
    })
}

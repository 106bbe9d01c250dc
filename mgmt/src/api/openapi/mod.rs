//! What is served, as an OpenAPI 3.1 document: made from the operations' declarations and the resources', so that it
//! cannot say anything else than the router does.

mod components;
mod entry;
mod path;
mod query;
mod reply;
mod request;
mod schema;
mod serve;

#[cfg(test)]
mod tests;

pub use serve::serve;

use serde_json::{Map, Value, json};

use super::{BASE, CHAPTERS, Operation};
use crate::operations;
use path::entries;

/// What callers must know beside the operations.
const DESCRIPTION: &str = "Virtual machines on a fleet of KVM hosts, by ZStack 3.0's REST API.

**Session**: log in with `LogInByAccount`; every other call carries `Authorization: OAuth <session uuid>`.

**Jobs**: what changes something answers 202 with a `location`. Ask there until it answers 200 with the result, which \
each operation names as `x-gantry-result`, or 503 with the error.

**Actions**: several operations may share one path and method; the key in the body that wraps the parameters chooses one. \
`x-gantry-operations` lists them.

**Queries**: all conditions `q` must hold. A condition is field, operator and value without spaces between; a field may \
be reached across relations, such as `vmNics.ip=10.0.0.7`.

Operations with `x-gantry-status: planned` are checked like any other and then refused with 503 `SYS.1014`.";

/// The document that describes these operations.
pub fn document(operations: &[Operation]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for entry in entries(operations) {
        let item = paths.entry(entry.template.clone()).or_insert_with(|| json!({}));
        item[entry.method().to_lowercase()] = entry::operation(&entry);
    }
    paths.entry("/api-jobs/{uuid}").or_insert_with(|| json!({}))["get"] = components::poll();
    let tags: Vec<Value> = CHAPTERS
        .iter()
        .map(|chapter| json!({ "name": chapter.title, "x-gantry-chapter": chapter.number }))
        .chain([json!({ "name": components::JOBS_TAG })])
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gantry",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The API of a Gantry management node",
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": BASE, "description": "This management node" }],
        "security": [{ components::SESSION: [] }],
        "tags": tags,
        "paths": paths,
        "components": components::all(operations),
    })
}

/// The document of everything that is served.
pub fn served() -> Value {
    document(&operations::all())
}

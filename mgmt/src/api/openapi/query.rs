//! The parameters of queries.

use serde_json::{Map, Value, json};

use super::{
    request::component,
    schema::{described, named},
};
use crate::{
    api::{Handler, Operation},
    query::DEFAULT_LIMIT,
    resource::Declaration,
};

/// What every query takes in the same way.
const COMMON: [&str; 5] = ["limit", "start", "count", "replyWithCount", "condition"];

/// The parameters of one query.
pub fn parameters(operation: &Operation) -> Vec<Value> {
    let resource = match operation.handler {
        Handler::Query(resource) => Some(resource),
        _ => None,
    };
    let text = || json!({ "type": "string", "minLength": 1 });
    let field = resource.map_or_else(text, |resource| named(&field_name(resource)));
    let sort = resource.map_or_else(text, |resource| named(&sort_name(resource)));
    let conditions = resource.map_or_else(String::new, conditions);
    let conditions = format!("A condition; all must hold. {conditions}");
    let list = |items: Value| json!({ "type": "array", "items": items });
    let own = [
        ("q", list(text()), conditions.trim_end()),
        ("fields", list(field.clone()), "The fields to answer; all where it is left out."),
        ("sort", sort, "The field to sort by, after + for upwards or - for downwards."),
        ("groupBy", field, "One resource for each value of this field."),
    ];
    let own = own.map(|(name, schema, description)| {
        described(json!({ "name": name, "in": "query", "schema": schema }), description)
    });
    own.into_iter().chain(COMMON.map(component)).collect()
}

/// The fields and relations that conditions may name.
fn conditions(resource: &Declaration) -> String {
    let mut relations: Vec<&str> = resource.relations.iter().map(|relation| relation.name).collect();
    relations.sort_unstable();
    let across = if relations.is_empty() {
        String::new()
    } else {
        format!(
            " Across relations: {}.",
            relations.iter().map(|name| format!("`{name}.`")).collect::<Vec<_>>().join(", ")
        )
    };
    let fields: Vec<String> = resource.fields().map(|field| format!("`{field}`")).collect();
    format!("Fields: {}, `__systemTag__`, `__userTag__`.{across}", fields.join(", "))
}

/// The schemas that a query over this resource names.
pub fn schemas(resource: &Declaration) -> [(String, Value); 2] {
    let names: Vec<&str> = resource.fields().collect();
    let sort = json!({ "type": "string", "pattern": format!("^[+-]({})$", names.join("|")) });
    [
        (field_name(resource), json!({ "type": "string", "enum": names })),
        (sort_name(resource), described(sort, "A field after + or -.")),
    ]
}

/// The parameters of the document that all queries share.
pub fn components() -> Map<String, Value> {
    let number = |least: u64| json!({ "type": "integer", "minimum": least, "maximum": i64::MAX });
    let flag = || json!({ "type": "boolean", "default": false });
    let mut limit = number(0);
    limit["default"] = json!(DEFAULT_LIMIT);
    let conditions = json!({ "type": "array", "items": { "type": "string", "minLength": 1 } });
    let all = [
        ("limit", limit, "At most so many."),
        ("start", number(0), "So many are left out from the start."),
        ("count", flag(), "Answer the number alone, as `total`."),
        ("replyWithCount", flag(), "Answer the number of all that match as `total`, beside the page."),
        ("condition", conditions, "The older name of `q`."),
    ];
    all.into_iter()
        .map(|(name, schema, description)| {
            let parameter = json!({ "name": name, "in": "query", "schema": schema });
            (name.to_owned(), described(parameter, description))
        })
        .collect()
}

fn field_name(resource: &Declaration) -> String {
    format!("{}Field", resource.name)
}

fn sort_name(resource: &Declaration) -> String {
    format!("{}Sort", resource.name)
}

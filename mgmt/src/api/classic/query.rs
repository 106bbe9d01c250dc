//! Queries as messages write them: conditions are objects, operators are words.

use gantry_common::error::ErrorKind;
use serde_json::{Map, Value};

use crate::{
    failure::Failure,
    query::{Comparison, Condition, Query, Test},
};

/// The operators of this protocol. `?=` and `~=`, which the newer one has, are not among them: clients do not agree on
/// what they mean in a message.
const OPERATORS: &str = "=, !=, >, >=, <, <=, in, not in, like, not like, is null, is not null";

/// Reads a query from a message's fields. Unknown ones are left alone.
pub fn read(fields: Map<String, Value>) -> Result<Query, Failure> {
    let mut conditions = Vec::new();
    // All but the conditions is what the query string of the newer protocol holds, by the same names.
    let mut pairs = Vec::new();
    for (name, value) in fields {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("conditions", Value::Array(items)) => {
                conditions = items.into_iter().map(condition).collect::<Result<_, _>>()?;
            }
            ("conditions", other) => {
                return Err(invalid(&other, "conditions must be a list"));
            }
            ("limit" | "start" | "count" | "replyWithCount" | "sortBy" | "sortDirection" | "groupBy", value) => {
                pairs.push((name, text(&value).ok_or_else(|| invalid(&value, "a plain value is needed"))?));
            }
            ("fields", value) => {
                let names = texts(&value).ok_or_else(|| invalid(&value, "fields must be a list of names"))?;
                pairs.extend(names.into_iter().map(|field| ("fields".to_owned(), field)));
            }
            _ => {}
        }
    }
    Ok(Query { conditions, ..Query::parse(&pairs)? })
}

/// `{"name": "vmNics.ip", "op": "like", "value": "10.%"}`, or the newer protocol's `vmNics.ip~=10.%`.
fn condition(written: Value) -> Result<Condition, Failure> {
    if let Value::String(text) = &written {
        return Condition::parse(text);
    }
    let name = written["name"].as_str().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| invalid(&written, "it needs a name, an op and a value"))?;
    let op = written["op"].as_str().unwrap_or_default();
    let op = op.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let value = &written["value"];
    let one = || text(value).ok_or_else(|| invalid(&written, "its value must be a text or a number"));
    let compare = |comparison| one().map(|value| Test::Compare(comparison, value));
    let test = match op.as_str() {
        "=" if is_null(value) => Test::Null(false),
        "!=" if is_null(value) => Test::Null(true),
        "=" => compare(Comparison::Equal)?,
        "!=" => compare(Comparison::NotEqual)?,
        ">" => compare(Comparison::Greater)?,
        ">=" => compare(Comparison::GreaterOrEqual)?,
        "<" => compare(Comparison::Less)?,
        "<=" => compare(Comparison::LessOrEqual)?,
        "in" | "not in" => {
            let values = texts(value).ok_or_else(|| invalid(&written, "its value must be a list, or a,b,c"))?;
            Test::In(values, op == "not in")
        }
        "like" => Test::Like(one()?, false),
        "not like" => Test::Like(one()?, true),
        "is null" => Test::Null(false),
        "is not null" => Test::Null(true),
        // The words that clients look for in this case.
        _ => return Err(invalid(&written, &format!("unknown QueryOp type[{op}]: the operators are {OPERATORS}"))),
    };
    Ok(Condition { path: name.split('.').map(str::to_owned).collect(), test })
}

fn invalid(written: &Value, remedy: &str) -> Failure {
    Failure::new(ErrorKind::InvalidQuery, format!("the condition {written} cannot be read: {remedy}"))
}

fn is_null(value: &Value) -> bool {
    value.is_null() || value == "null"
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        single => Some(text(single)?.split(',').map(|item| item.trim().to_owned()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(fields: Value) -> Result<Query, Failure> {
        read(fields.as_object().cloned().unwrap())
    }

    fn test_of(op: &str, value: Value) -> Result<Test, Failure> {
        condition(json!({ "name": "vmNics.ip", "op": op, "value": value })).map(|condition| condition.test)
    }

    #[test]
    fn every_operator_means_what_its_newer_form_means() {
        let same = [
            ("=", json!("a"), "x=a"),
            ("!=", json!(5), "x!=5"),
            (">", json!("5"), "x>5"),
            (">=", json!(5), "x>=5"),
            ("<", json!(5), "x<5"),
            ("<=", json!(5), "x<=5"),
            ("in", json!("a,b"), "x?=a,b"),
            ("in", json!(["a", "b"]), "x?=a,b"),
            ("not in", json!("a, b"), "x!?=a,b"),
            ("like", json!("a%"), "x~=a%"),
            (" NOT  LIKE ", json!("a%"), "x!~=a%"),
            ("is null", json!(null), "x is null"),
            ("is not null", json!(""), "x not null"),
            ("=", json!("null"), "x=null"),
            ("!=", json!("null"), "x!=null"),
            ("=", json!(true), "x=true"),
        ];
        for (op, value, newer) in same {
            assert_eq!(test_of(op, value).unwrap(), Condition::parse(newer).unwrap().test, "{op}");
        }
    }

    #[test]
    fn an_operator_of_doubtful_meaning_is_refused_with_those_there_are() {
        for op in ["?=", "~=", "", "regex"] {
            let failure = test_of(op, json!("a%")).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::InvalidQuery);
            assert!(
                failure.details.contains(&format!("unknown QueryOp type[{op}]: the operators are =,")),
                "{failure}"
            );
        }
        assert!(test_of("=", json!(["a"])).is_err() && test_of("in", json!({})).is_err());
    }

    #[test]
    fn a_value_is_only_a_value() {
        let read = query(json!({ "conditions": [{ "name": "name", "op": "=", "value": "this is null" }] })).unwrap();
        assert_eq!(read.conditions[0].test, Test::Compare(Comparison::Equal, "this is null".to_owned()));
    }

    #[test]
    fn paging_sorting_and_fields_stand_beside_the_conditions() {
        let read = query(json!({
            "conditions": ["name~=a%", { "name": "zone.name", "op": "=", "value": "z" }], "limit": 50, "start": 10,
            "replyWithCount": true, "sortBy": "name", "sortDirection": "desc", "fields": ["uuid", "name"], "timeout": 3,
        }));
        let read = read.unwrap();
        assert_eq!(read.conditions[1].path, ["zone", "name"]);
        assert_eq!((read.conditions.len(), read.limit, read.start, read.reply_with_count), (2, Some(50), 10, true));
        assert_eq!(
            (read.sort, read.fields),
            (Some(("name".to_owned(), true)), vec!["uuid".to_owned(), "name".to_owned()])
        );
        for wrong in
            [json!({ "conditions": {} }), json!({ "limit": [1] }), json!({ "fields": {} }), json!({ "limit": -1 })]
        {
            assert!(query(wrong).is_err());
        }
    }
}

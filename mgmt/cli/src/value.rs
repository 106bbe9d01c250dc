//! The values of parameters as they are written on the command line.

use std::io::Read;

use gantry_common::catalogue::ParameterShape;
use serde_json::{Map, Value};

/// One value as it was written: `name=text`, or `name.key=text` in a map.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// The key in the map, if one is named.
    pub key: Option<&'a str>,
    /// What stands after the equals sign.
    pub text: &'a str,
}

/// The parameter has a value already.
#[derive(Debug)]
pub struct Twice;

/// The text itself; `@FILE` stands for what is in the file, `@-` for standard input, `@@` for an at sign.
pub fn resolved(text: &str) -> Result<String, String> {
    let Some(source) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    if source.starts_with('@') {
        return Ok(source.to_owned());
    }
    let mut content = String::new();
    let read = match source {
        "-" => std::io::stdin().read_to_string(&mut content),
        path => std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut content)),
    };
    read.map_err(|error| format!("'{source}' cannot be read: {error}"))?;
    content.truncate(content.trim_end_matches(['\r', '\n']).len());
    Ok(content)
}

/// The JSON that a parameter of this shape takes.
pub fn shaped(shape: ParameterShape, given: Given<'_>) -> Result<Value, String> {
    let Given { key, text } = given;
    let is_map = matches!(shape, ParameterShape::Map | ParameterShape::MapOfLists);
    match key {
        Some(key) if !is_map => return Err(format!("it is no map, so it has no '{key}'")),
        Some(key) => {
            let value = if shape == ParameterShape::Map { Value::from(text) } else { list(text)? };
            return Ok(Value::Object(Map::from_iter([(key.to_owned(), value)])));
        }
        None => {}
    }
    match shape {
        ParameterShape::Text | ParameterShape::Secret => Ok(Value::from(text)),
        ParameterShape::Number => match serde_json::from_str(text) {
            Ok(number @ Value::Number(_)) => Ok(number),
            _ => Err(format!("'{text}' is no number")),
        },
        ParameterShape::Boolean => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(format!("'{text}' is neither true nor false")),
        },
        ParameterShape::List => list(text),
        ParameterShape::Map | ParameterShape::MapOfLists => match serde_json::from_str(text) {
            Ok(map @ Value::Object(_)) => Ok(map),
            _ => Err("a map is written as name.key=value, or as a JSON object".to_owned()),
        },
        ParameterShape::Json => serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}")),
    }
}

/// `a,b`, or a JSON array.
fn list(text: &str) -> Result<Value, String> {
    if text.starts_with('[') {
        return serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"));
    }
    Ok(text.split(',').filter(|item| !item.is_empty()).map(Value::from).collect())
}

/// Adds a value; lists and maps grow, anything else has one value.
pub fn put(given: &mut Map<String, Value>, name: &str, shape: ParameterShape, value: Value) -> Result<(), Twice> {
    match (given.get_mut(name), value) {
        (None, value) => {
            given.insert(name.to_owned(), value);
        }
        (Some(Value::Array(items)), Value::Array(more)) if shape == ParameterShape::List => items.extend(more),
        (Some(Value::Object(map)), Value::Object(more)) if shape != ParameterShape::Json => {
            for (key, value) in more {
                if map.insert(key, value).is_some() {
                    return Err(Twice);
                }
            }
        }
        _ => return Err(Twice),
    }
    Ok(())
}

/// A value as it stands in a path or a query string.
pub fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value as pairs of a query string: `k=v`, `k=a&k=b`, `k.key=v`.
pub fn into_pairs(name: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| pairs.push((name.to_owned(), as_text(item)))),
        Value::Object(map) => map.iter().for_each(|(key, item)| into_pairs(&format!("{name}.{key}"), item, pairs)),
        _ => pairs.push((name.to_owned(), as_text(value))),
    }
}

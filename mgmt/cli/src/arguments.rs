//! From `name=value` words to a request.

use gantry_common::catalogue::{CataloguedOperation, ParameterLocation, ParameterShape};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{
    catalogue::{QUERY_PARAMETERS, is_query, nearest, offer},
    secret,
    value::{self, Given},
};

/// Beside the parameters of every operation.
const TAGS: [&str; 2] = ["systemTags", "userTags"];

/// What goes over the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The path below `/zstack/v1`.
    pub path: String,
    /// The pairs of the query string.
    pub query: Vec<(String, String)>,
    /// The body.
    pub body: Option<Value>,
}

impl Request {
    /// A call with nothing in its query string and no body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method: method.to_string(), path: path.into(), query: Vec::new(), body: None }
    }
}

/// What is wrong with the words of a call.
#[derive(Debug, thiserror::Error)]
pub enum ArgumentError {
    #[error("'{word}' is no parameter: write name=value")]
    NoValue { word: String },
    #[error("{operation} takes no parameter '{name}'{}; `gantry describe {operation}` lists them", offer(.near))]
    Unknown { operation: String, name: String, near: Vec<String> },
    #[error("{name} is given twice")]
    Twice { name: String },
    #[error("{operation} needs {}", .missing.join(", "))]
    Missing { operation: String, missing: Vec<String> },
    #[error("{name}: {reason}")]
    Value { name: String, reason: String },
    #[error("'{word}' is no condition: write field=value, or another operator of !=, >=, <=, >, <, ~=, !~=, ?=, !?=")]
    NoCondition { word: String },
}

/// The request that carries these words to the operation.
pub fn request(operation: &CataloguedOperation, words: &[String]) -> Result<Request, ArgumentError> {
    if is_query(operation) { query(operation, words) } else { call(operation, words) }
}

/// A query: what is not one of the common parameters is a condition.
fn query(operation: &CataloguedOperation, words: &[String]) -> Result<Request, ArgumentError> {
    let condition = |word: &String| {
        let operator = ["=", "<", ">", " is null", " not null"].iter().any(|operator| word.contains(operator));
        if operator {
            Ok(("q".to_owned(), word.clone()))
        } else {
            Err(ArgumentError::NoCondition { word: word.clone() })
        }
    };
    let query = words.iter().map(|word| match word.split_once('=') {
        Some((name, value)) if QUERY_PARAMETERS.contains(&name) => Ok((name.to_owned(), value.to_owned())),
        _ => condition(word),
    });
    let path = operation.paths.iter().find(|path| !path.contains('{')).or_else(|| operation.paths.first());
    Ok(Request {
        method: operation.method.clone(),
        path: path.cloned().unwrap_or_default(),
        query: query.collect::<Result<_, _>>()?,
        body: None,
    })
}

fn call(operation: &CataloguedOperation, words: &[String]) -> Result<Request, ArgumentError> {
    let mut given = Map::new();
    for word in words {
        let (name, text) = word.split_once('=').ok_or_else(|| ArgumentError::NoValue { word: word.clone() })?;
        let (name, key) = name.split_once('.').map_or((name, None), |(name, key)| (name, Some(key)));
        let shape = shape_of(operation, name)?;
        let failed = |reason: String| ArgumentError::Value { name: name.to_owned(), reason };
        let text = match shape {
            ParameterShape::Secret => secret::given(operation, name, text).map_err(failed)?,
            _ => value::resolved(text).map_err(failed)?,
        };
        let value = value::shaped(shape, Given { key, text: &text }).map_err(failed)?;
        value::put(&mut given, name, shape, value)
            .map_err(|value::Twice| ArgumentError::Twice { name: name.to_owned() })?;
    }
    let lacking =
        operation.parameters.iter().filter(|parameter| parameter.required && !given.contains_key(&parameter.name));
    let missing: Vec<String> = lacking.map(|parameter| format!("{}=…", parameter.name)).collect();
    if !missing.is_empty() {
        return Err(ArgumentError::Missing { operation: operation.name.clone(), missing });
    }
    Ok(place(operation, given))
}

fn shape_of(operation: &CataloguedOperation, name: &str) -> Result<ParameterShape, ArgumentError> {
    if TAGS.contains(&name) {
        return Ok(ParameterShape::List);
    }
    let found = operation.parameters.iter().find(|parameter| parameter.name == name);
    found.map(|parameter| parameter.holds).ok_or_else(|| ArgumentError::Unknown {
        operation: operation.name.clone(),
        name: name.to_owned(),
        near: nearest(name, operation.parameters.iter().map(|parameter| parameter.name.as_str())),
    })
}

/// Puts each parameter where the operation expects it.
fn place(operation: &CataloguedOperation, mut given: Map<String, Value>) -> Request {
    let fits = |path: &&String| placeholders(path).all(|name| given.contains_key(name));
    let path = operation.paths.iter().filter(fits).max_by_key(|path| placeholders(path).count());
    let mut path = path.or_else(|| operation.paths.first()).cloned().unwrap_or_default();
    let in_path: Vec<String> = placeholders(&path).map(str::to_owned).collect();
    for name in in_path {
        let text = given.remove(&name).map(|value| value::as_text(&value)).unwrap_or_default();
        path = path.replace(&format!("{{{name}}}"), &utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string());
    }
    let (mut query, mut body) = (Vec::new(), Map::new());
    let mut beside = Map::new();
    for (name, value) in given {
        let location = operation.parameters.iter().find(|parameter| parameter.name == name).map(|found| found.location);
        match (location, &operation.body_key) {
            (None, Some(_)) => drop(beside.insert(name, value)),
            (Some(ParameterLocation::Query), _) | (_, None) => value::into_pairs(&name, &value, &mut query),
            _ => drop(body.insert(name, value)),
        }
    }
    let body = operation.body_key.as_ref().map(|key| {
        let mut whole = Map::from_iter([(key.clone(), json!(body))]);
        whole.extend(beside);
        Value::Object(whole)
    });
    Request { method: operation.method.clone(), path, query, body }
}

fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    fn made(words: &str) -> Result<Request, String> {
        let mut words = words.split('|').map(str::to_owned);
        let catalogue = Catalogue::read().unwrap();
        let operation = catalogue.find(&words.next().unwrap()).unwrap();
        request(operation, &words.collect::<Vec<_>>()).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_go_into_the_path_the_body_and_beside_it() {
        let request = made("UpdateZone|uuid=a/b|name=with = sign|systemTags=x::y|systemTags=z").unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/zones/a%2Fb/actions"));
        let body = json!({ "updateZone": { "name": "with = sign" }, "systemTags": ["x::y", "z"] });
        assert_eq!(request.body, Some(body));
    }

    #[test]
    fn what_has_no_body_takes_its_parameters_in_the_query_string() {
        let request = made("DeleteZone|uuid=1|deleteMode=Enforcing").unwrap();
        assert_eq!(request.query, [("deleteMode".to_owned(), "Enforcing".to_owned())]);
        assert_eq!(request.body, None);
    }

    #[test]
    fn words_of_a_query_are_conditions_unless_every_query_takes_them() {
        let request = made("QueryVmInstance|state=Running|vmNics.ip~=10.0.%|limit=5|uuid=1").unwrap();
        let expected = [("q", "state=Running"), ("q", "vmNics.ip~=10.0.%"), ("limit", "5"), ("q", "uuid=1")];
        let pairs: Vec<(&str, &str)> = request.query.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!((pairs.as_slice(), request.path.as_str()), (&expected[..], "/vm-instances"));
        assert!(made("QueryZone|what").unwrap_err().contains("'what' is no condition"));
    }

    #[test]
    fn what_is_missing_unknown_or_given_twice_is_named() {
        assert_eq!(made("CreateZone").unwrap_err(), "CreateZone needs name=…");
        assert!(made("CreateZone|name=a|nmae=b").unwrap_err().contains("did you mean name?"));
        assert_eq!(made("CreateZone|name=a|name=b").unwrap_err(), "name is given twice");
        assert_eq!(made("CreateZone|name").unwrap_err(), "'name' is no parameter: write name=value");
    }

    #[test]
    fn numbers_lists_and_maps_are_written_as_the_operation_wants_them() {
        let offering = made("CreateInstanceOffering|name=1|cpuNum=2|memorySize=134217728").unwrap();
        assert_eq!(offering.body.unwrap()["params"], json!({ "name": "1", "cpuNum": 2, "memorySize": 134_217_728 }));
        let error = made("CreateInstanceOffering|name=1|cpuNum=two|memorySize=1").unwrap_err();
        assert_eq!(error, "cpuNum: 'two' is no number");
        let services = made("AttachNetworkServiceToL3Network|l3NetworkUuid=1|networkServices.p=DHCP,DNS").unwrap();
        assert_eq!(services.body.unwrap()["params"], json!({ "networkServices": { "p": ["DHCP", "DNS"] } }));
    }
}

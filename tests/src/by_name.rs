//! Calls of operations by their published names: where a parameter stands in the request, the client's list of operations
//! says, as the reference does.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::{ApiError, Client};

static OPERATIONS: LazyLock<Vec<Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../mgmt/cli/operations.json")).unwrap());

/// The names of the operations that are carried out.
pub fn operations() -> impl Iterator<Item = &'static Value> {
    OPERATIONS.iter().filter(|operation| operation["planned"] != true)
}

impl Client {
    /// Calls an operation by its name, waits for its job if it has one, and answers the reply.
    ///
    /// # Errors
    /// What the node answered.
    ///
    /// # Panics
    /// When there is no such operation, or a parameter of its path is missing.
    pub fn call(&self, operation: &str, params: &Value) -> Result<Value, ApiError> {
        let found = operations().find(|known| known["name"] == operation);
        let declared = found.unwrap_or_else(|| panic!("no operation {operation}"));
        let mut rest = params.as_object().unwrap_or(&Map::new()).clone();
        let path = path_of(declared, &mut rest).unwrap_or_else(|| panic!("{operation} has no path for {params}"));
        let in_query = |name: &str| {
            let parameters = declared["parameters"].as_array().into_iter().flatten();
            // What has no body has no other place; the conditions of queries are not declared.
            declared["bodyKey"].is_null()
                || parameters.into_iter().any(|known| known["name"] == name && known["location"] == "query")
        };
        let (query, body): (Map<_, _>, Map<_, _>) = rest.into_iter().partition(|(name, _)| in_query(name));
        let query: Vec<(String, String)> = query.iter().flat_map(|(name, value)| pairs(name, value)).collect();
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = declared["bodyKey"].as_str().map(|key| json!({ key: body }));
        let method = declared["method"].as_str().unwrap();
        let job = (declared["answer"] == "job").then(Self::new_job);
        self.request(method, &path, &query, body.as_ref(), job.as_deref())
    }

    /// The same, for what must succeed.
    ///
    /// # Panics
    /// When it fails.
    pub fn done(&self, operation: &str, params: &Value) -> Value {
        self.call(operation, params).unwrap_or_else(|error| panic!("{operation} {params}: {error:?}"))
    }
}

/// The first path whose parameters are all there, filled in; they are taken out.
fn path_of(operation: &Value, params: &mut Map<String, Value>) -> Option<String> {
    let paths = operation["paths"].as_array()?.iter().filter_map(Value::as_str);
    let names = |path: &str| -> Vec<String> {
        path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(str::to_owned).collect()
    };
    let path = paths.into_iter().find(|path| names(path).iter().all(|name| params.contains_key(name)))?;
    let fill = |path: String, name: String| {
        let value = params.remove(&name).and_then(|value| texts(&value).next()).unwrap_or_default();
        path.replace(&format!("{{{name}}}"), &value)
    };
    Some(names(path).into_iter().fold(path.to_owned(), fill))
}

/// What a parameter is in a query: a map stands there as `name.key=value`.
fn pairs(name: &str, value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(map) => map.iter().flat_map(|(key, value)| pairs(&format!("{name}.{key}"), value)).collect(),
        _ => texts(value).map(|value| (name.to_owned(), value)).collect(),
    }
}

/// What a value is in a URL: a list stands there item by item.
fn texts(value: &Value) -> impl Iterator<Item = String> {
    let items = if let Value::Array(items) = value { items.clone() } else { vec![value.clone()] };
    items.into_iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
}

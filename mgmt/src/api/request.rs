//! From an HTTP request to an operation's checked parameters.

use serde_json::{Map, Value};

use super::{Declaration, Location, Parameter, ParameterKind};
use crate::failure::Failure;

/// A request's parts, as the router found them.
#[derive(Debug, Default)]
pub struct RawRequest {
    /// The values of the path's parameters.
    pub path: Vec<(String, String)>,
    /// The pairs of the query string, decoded.
    pub query: Vec<(String, String)>,
    /// The body.
    pub body: Map<String, Value>,
}

/// An operation's parameters, checked, and what else the body held.
#[derive(Debug, PartialEq)]
pub struct Checked {
    /// The parameters by name.
    pub parameters: Map<String, Value>,
    /// Names of body fields and query parameters that the operation does not take.
    pub ignored: Vec<String>,
}

const TAGS: [&str; 2] = ["systemTags", "userTags"];
/// What clients put into every call.
const ENVELOPE: [&str; 5] = ["systemTags", "userTags", "sessionId", "session", "timeout"];

/// A request's body: a JSON object, or nothing.
pub fn parse_body(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(Failure::argument("body", "", "a JSON object is needed")),
        Err(error) => Err(Failure::argument("body", "", format!("it is not JSON: {error}"))),
    }
}

/// The pairs of a query string, decoded.
pub fn parse_query_string(text: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// Finds and checks an operation's parameters in a request.
pub fn check(declaration: &Declaration, mut request: RawRequest) -> Result<Checked, Failure> {
    let mut tags = Map::new();
    for name in TAGS {
        if let Some(value) = request.body.remove(name) {
            tags.insert(name.to_owned(), value);
        }
    }
    let mut wrapped = match declaration.body_keys.iter().find_map(|key| request.body.remove(key)) {
        Some(Value::Object(wrapped)) => wrapped,
        Some(Value::Null) => Map::new(),
        Some(other) => return Err(Failure::argument("body", other, "the parameters must be an object")),
        // Some clients send the parameters without a wrapper.
        None => std::mem::take(&mut request.body),
    };
    let place = |parameter: &Parameter| match parameter.location {
        Location::Path => "the path",
        Location::Query => "the query string",
        Location::Body => "the body",
    };
    let mut parameters = check_each(declaration, place, |parameter| match parameter.location {
        Location::Path => {
            let found = request.path.iter().find(|(key, _)| *key == parameter.name);
            let found = found.map(|(_, value)| Value::String(value.clone()));
            // An operation with several paths may not have it in the one that was called.
            let elsewhere = || from_query(&request.query, &parameter.name, parameter.kind);
            found.or_else(|| wrapped.remove(&parameter.name)).or_else(elsewhere)
        }
        Location::Query => from_query(&request.query, &parameter.name, parameter.kind),
        Location::Body => wrapped.remove(&parameter.name),
    })?;
    check_tags(&mut parameters, |name| {
        let given = tags.remove(name).or_else(|| wrapped.remove(name));
        given.or_else(|| tags_from_query(&request.query, name).filter(|_| declaration.body_keys.is_empty()))
    })?;
    let in_path = |name: &str| request.path.iter().any(|(key, _)| key == name);
    let ignored = wrapped.keys().chain(request.body.keys());
    let mut ignored: Vec<String> =
        ignored.filter(|name| !ENVELOPE.contains(&name.as_str()) && !in_path(name)).cloned().collect();
    ignored.extend(unknown_in_query(declaration, &request.query).filter(|name| !in_path(name)).map(str::to_owned));
    Ok(Checked { parameters, ignored })
}

/// Names in the query string that the operation does not take.
fn unknown_in_query<'a>(
    declaration: &'a Declaration,
    query: &'a [(String, String)],
) -> impl Iterator<Item = &'a str> + 'a {
    let takes = |name: &str| declaration.parameters.iter().any(|parameter| parameter.name == name);
    let names = query.iter().map(|(key, _)| key.split_once('.').map_or(key.as_str(), |(name, _)| name));
    names.filter(move |name| !takes(name) && !ENVELOPE.contains(name))
}

/// Checks an operation's parameters that all stand in one object, wherever they would stand in a request; `place` is what
/// the object is called.
pub fn check_object(
    declaration: &Declaration,
    place: &'static str,
    mut object: Map<String, Value>,
) -> Result<Checked, Failure> {
    let mut parameters = check_each(declaration, |_| place, |parameter| object.remove(&parameter.name))?;
    check_tags(&mut parameters, |name| object.remove(name))?;
    let ignored = object.into_iter().map(|(name, _)| name).filter(|name| !ENVELOPE.contains(&name.as_str())).collect();
    Ok(Checked { parameters, ignored })
}

fn check_each(
    declaration: &Declaration,
    place: impl Fn(&Parameter) -> &'static str,
    mut take: impl FnMut(&Parameter) -> Option<Value>,
) -> Result<Map<String, Value>, Failure> {
    let mut parameters = Map::new();
    for parameter in &declaration.parameters {
        let name = &parameter.name;
        match take(parameter) {
            None | Some(Value::Null) if parameter.required => {
                let remedy = format!("{} needs it in {}", declaration.name, place(parameter));
                return Err(Failure::argument(name, "", remedy));
            }
            None | Some(Value::Null) => {}
            Some(value) => {
                parameters.insert(name.clone(), parameter.check(value)?);
            }
        }
    }
    Ok(parameters)
}

fn check_tags(parameters: &mut Map<String, Value>, mut take: impl FnMut(&str) -> Option<Value>) -> Result<(), Failure> {
    for name in TAGS {
        let Some(value) = take(name) else { continue };
        match value {
            Value::Null => {}
            Value::Array(ref items) if items.iter().all(Value::is_string) => {
                parameters.insert(name.to_owned(), value);
            }
            other => return Err(Failure::argument(name, other, "a list of texts is needed")),
        }
    }
    Ok(())
}

/// Tags in a query string: `k=a&k=b` or `k.0=a`. A comma is a part of its tag.
fn tags_from_query(pairs: &[(String, String)], name: &str) -> Option<Value> {
    let is_item = |key: &str| match key.strip_prefix(name) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('.').is_some_and(|index| index.bytes().all(|b| b.is_ascii_digit())),
        None => false,
    };
    let tags: Vec<Value> = pairs
        .iter()
        .filter(|(key, tag)| is_item(key) && !tag.is_empty())
        .map(|(_, tag)| Value::String(tag.clone()))
        .collect();
    (!tags.is_empty()).then_some(Value::Array(tags))
}

/// A parameter in a query string: `k=v`; for lists `k=a&k=b`, `k.0=a` or `k=a,b`; for maps `k.key=v`.
fn from_query(pairs: &[(String, String)], name: &str, kind: ParameterKind) -> Option<Value> {
    let nested = |key: &str| key.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned);
    match kind {
        ParameterKind::TextList | ParameterKind::UuidList => {
            let items: Vec<Value> = pairs
                .iter()
                .filter(|(key, _)| {
                    key == name || nested(key).is_some_and(|index| index.bytes().all(|b| b.is_ascii_digit()))
                })
                .flat_map(|(_, value)| {
                    value.split(',').filter(|item| !item.is_empty()).map(|item| Value::String(item.to_owned()))
                })
                .collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        ParameterKind::Map => {
            let mut map: Map<String, Value> = Map::new();
            for (key, value) in pairs {
                let Some(key) = nested(key) else { continue };
                let key = key.split('.').next().unwrap_or_default().to_owned();
                let entry = map.entry(key).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(items) = entry {
                    items.push(Value::String(value.clone()));
                }
            }
            if map.is_empty() {
                let whole = pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value)?;
                return serde_json::from_str(whole).ok().or_else(|| Some(Value::String(whole.clone())));
            }
            Some(Value::Object(map))
        }
        _ => pairs.iter().find(|(key, _)| key == name).map(|(_, value)| Value::String(value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{api::Declared, operation};

    operation! {
        /// An operation of the test.
        PaintThing, "0.0", Put "/things/{uuid}/actions", Job; {
            uuid: gantry_common::id::VmUuid;
            colour: String, max_length 5;
            sort_key: Option<i32>, range 0..=9;
        }
    }

    const UUID: &str = "8aef7e3a53b34eedaa05027a919156d9";

    fn body(value: Value) -> RawRequest {
        let Value::Object(body) = value else { panic!("an object") };
        RawRequest { path: vec![("uuid".to_owned(), UUID.to_owned())], query: Vec::new(), body }
    }

    #[test]
    fn parameters_come_from_path_and_body_and_tags_from_beside_or_inside_the_wrapper() {
        let request =
            json!({ "paintThing": { "colour": "red", "sortKey": 3.0, "userTags": ["a"] }, "systemTags": ["b::c"] });
        let checked = check(PaintThing::declaration(), body(request)).unwrap();
        let thing: PaintThing = serde_json::from_value(Value::Object(checked.parameters)).unwrap();
        assert_eq!((thing.colour.as_str(), thing.sort_key), ("red", Some(3)));
        assert_eq!((thing.system_tags, thing.user_tags), (vec!["b::c".to_owned()], vec!["a".to_owned()]));
        assert_eq!(thing.uuid.to_string(), UUID);
    }

    #[test]
    fn tags_of_an_operation_without_a_body_come_from_the_query_string() {
        operation! {
            /// Another operation of the test.
            LookAtThings, "0.0", Get "/things", Sync; {}
        }
        let query = ["systemTags", "systemTags.1", "userTags"].iter().zip(["a::b,c", "d::e", ""]);
        let query = query.map(|(key, tag)| ((*key).to_owned(), tag.to_owned())).collect();
        let request = RawRequest { path: Vec::new(), query, body: Map::new() };
        let checked = check(LookAtThings::declaration(), request).unwrap();
        assert_eq!(Value::Object(checked.parameters), json!({ "systemTags": ["a::b,c", "d::e"] }));
    }

    #[test]
    fn a_missing_parameter_is_named_with_its_place() {
        let failure = check(PaintThing::declaration(), body(json!({ "paintThing": {} }))).unwrap_err();
        assert_eq!(failure.details, "colour '' is not usable: PaintThing needs it in the body");
    }

    #[test]
    fn what_the_operation_does_not_take_is_let_through_and_named() {
        let request = json!({ "paintThing": { "colour": "red", "gloss": true, "uuid": UUID }, "timeout": 3 });
        let query = vec![("shade.dark".to_owned(), "1".to_owned()), ("sessionId".to_owned(), "x".to_owned())];
        let request = RawRequest { query, ..body(request) };
        assert_eq!(check(PaintThing::declaration(), request).unwrap().ignored, ["gloss", "shade"]);
    }

    #[test]
    fn lists_and_maps_are_read_from_a_query_string_in_every_form() {
        let pairs =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        let list = |given: &[(&str, &str)]| from_query(&pairs(given), "k", ParameterKind::TextList);
        for given in [vec![("k", "a"), ("k", "b")], vec![("k.0", "a"), ("k.1", "b")], vec![("k", "a,b")]] {
            assert_eq!(list(&given), Some(json!(["a", "b"])));
        }
        assert_eq!(list(&[("kk", "a")]), None);
        let map = from_query(&pairs(&[("k.x", "1"), ("k.x", "2"), ("k.y", "3")]), "k", ParameterKind::Map);
        assert_eq!(map, Some(json!({ "x": ["1", "2"], "y": ["3"] })));
    }
}

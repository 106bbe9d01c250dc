//! A node that runs, and calls to it.

use gantry_mgmt::api::{Declaration, Limits, Location, Method, Parameter, ParameterKind};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Map, Value, json};

use crate::{
    reference::http,
    served_node::{ServedNode, login},
};

/// A node of its own with an empty inventory, and a session at it.
pub struct Api {
    pub address: String,
    http: reqwest::Client,
    session: String,
    _served: ServedNode,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub ignored: Vec<String>,
    pub body: Value,
}

impl Answer {
    /// The error's code; empty where there is none.
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// The error's details; empty where there is none.
    pub fn details(&self) -> &str {
        self.body["error"]["details"].as_str().unwrap_or_default()
    }
}

/// What a call carries: the values of the path, of the query string and of the body.
#[derive(Default, Clone)]
pub struct Request {
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: Option<Value>,
}

impl Api {
    pub async fn start() -> Self {
        let served = ServedNode::start(Limits::default()).await;
        let address = format!("http://{}", served.address);
        let mut api = Self { address, http: reqwest::Client::new(), session: String::new(), _served: served };
        let request = Request { path: "/accounts/login".to_owned(), body: Some(login()), ..Request::default() };
        let answer = api.call(Method::Put, &request).await;
        api.session = answer.body["inventory"]["uuid"].as_str().expect("a session").to_owned();
        api
    }

    fn request(&self, method: &str, request: &Request) -> RequestBuilder {
        let url = format!("{}/zstack/v1{}", self.address, request.path);
        let builder = self.http.request(method.parse().unwrap(), url).query(&request.query);
        match &request.body {
            Some(body) => builder.body(body.to_string()),
            None => builder,
        }
    }

    async fn send(&self, builder: RequestBuilder) -> Answer {
        let response = builder.send().await.unwrap();
        let status = response.status();
        let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        assert_eq!(kind.as_deref(), Some("application/json;charset=UTF-8"));
        let ignored = response.headers().get("x-gantry-ignored").map(|names| names.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("an answer is not JSON: {text}"));
        assert!(body.is_object(), "an answer is no object: {text}");
        if status != StatusCode::OK && status != StatusCode::ACCEPTED {
            let said = |field: &str| body["error"][field].as_str().is_some_and(|text| !text.is_empty());
            assert!(said("code") && said("description") && said("details"), "an error has another shape: {text}");
        }
        let ignored = ignored.map_or_else(Vec::new, |names| names.split(", ").map(str::to_owned).collect());
        Answer { status: status.as_u16(), ignored, body }
    }

    /// A call with a session.
    pub async fn call(&self, method: Method, request: &Request) -> Answer {
        let session = format!("OAuth {}", self.session);
        self.send(self.request(http(method), request).header("Authorization", session)).await
    }

    /// A call without a session, by any HTTP method.
    pub async fn call_without_session(&self, method: &str, request: &Request) -> Answer {
        self.send(self.request(method, request)).await
    }

    /// A call of an operation with these parameters, to its end: the reply, or the result of its job.
    pub async fn run(&self, declaration: &Declaration, parameters: Value) -> Answer {
        let Value::Object(parameters) = parameters else { panic!("an object is needed") };
        let request = write(declaration, declaration.paths[0], &parameters, declaration.body_keys.first());
        let mut answer = self.call(declaration.method, &request).await;
        while let Some(location) = answer.body["location"].as_str() {
            answer = self.send(self.http.get(location)).await;
            tokio::task::yield_now().await;
        }
        answer
    }
}

/// A request for an operation at one of its paths, with the parameters where they belong and a body in that wrapper.
pub fn write(declaration: &Declaration, path: &str, parameters: &Map<String, Value>, key: Option<&String>) -> Request {
    let mut request = Request { path: path.to_owned(), ..Request::default() };
    let mut wrapped = Map::new();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for parameter in &declaration.parameters {
        let name = &parameter.name;
        let Some(value) = parameters.get(name) else { continue };
        let place = format!("{{{name}}}");
        match (parameter.location, value) {
            (Location::Path, value) if path.contains(&place) => {
                request.path = request.path.replace(&place, &text(value));
            }
            (Location::Query, Value::Array(items)) => {
                request.query.extend(items.iter().map(|item| (name.clone(), text(item))));
            }
            (Location::Query, Value::Object(map)) => {
                let entries = map.iter().map(|(key, value)| (format!("{name}.{key}"), text(value)));
                request.query.extend(entries);
            }
            (Location::Query, value) => request.query.push((name.clone(), text(value))),
            (_, value) if declaration.body_keys.is_empty() => request.query.push((name.clone(), text(value))),
            (_, value) => {
                wrapped.insert(name.clone(), value.clone());
            }
        }
    }
    request.body = key.map(|key| json!({ key: wrapped }));
    request
}

/// A value that the parameter may have.
pub fn good(parameter: &Parameter) -> Value {
    let constraint = &parameter.constraint;
    match parameter.kind {
        ParameterKind::Text | ParameterKind::Secret => match constraint.values {
            Some(values) => json!(values[0]),
            None => json!("x"),
        },
        ParameterKind::Uuid => json!(uuid::Uuid::new_v4().simple().to_string()),
        ParameterKind::Ipv4 => json!("192.0.2.1"),
        ParameterKind::Integer => json!(constraint.range.as_ref().map_or(1, |range| *range.start())),
        ParameterKind::Number => json!(1.5),
        ParameterKind::Boolean => json!(true),
        ParameterKind::TextList => json!(["x"]),
        ParameterKind::UuidList => json!([uuid::Uuid::new_v4().simple().to_string()]),
        ParameterKind::ObjectList => json!([{ "x": 1 }]),
        ParameterKind::Map => json!({ "x": ["y"] }),
        ParameterKind::TextMap => json!({ "x": "y" }),
        ParameterKind::Json | ParameterKind::Object => json!({ "x": 1 }),
    }
}

/// Values that the parameter may not have, each with what is wrong.
pub fn bad(parameter: &Parameter) -> Vec<(&'static str, Value)> {
    let constraint = &parameter.constraint;
    let in_body = parameter.location == Location::Body;
    let mut values = Vec::new();
    match parameter.kind {
        ParameterKind::Text | ParameterKind::Secret if in_body => values.push(("an object", json!({}))),
        ParameterKind::Uuid => values.push(("no uuid", json!("8aef"))),
        ParameterKind::Ipv4 => values.push(("no address", json!("192.0.2"))),
        ParameterKind::Integer => values.extend([("no number", json!("many")), ("a fraction", json!(1.5))]),
        ParameterKind::Number => values.push(("no number", json!("many"))),
        ParameterKind::Boolean => values.push(("neither true nor false", json!("perhaps"))),
        ParameterKind::TextList if in_body => values.push(("a list of numbers", json!([1]))),
        ParameterKind::UuidList => values.push(("a list of others", json!(["8aef"]))),
        ParameterKind::ObjectList if in_body => values.push(("a list of texts", json!(["x"]))),
        ParameterKind::Map | ParameterKind::TextMap | ParameterKind::Object | ParameterKind::Json if in_body => {
            values.push(("a list", json!(["x"])));
        }
        _ => {}
    }
    // A longer body than the node reads at all is refused for that.
    if let Some(most) = constraint.max_length.filter(|most| *most < 1_000_000) {
        values.push(("too long", json!("x".repeat(most + 1))));
    }
    if constraint.values.is_some() {
        values.push(("another value", json!("gantry-nonsense")));
    }
    if let Some(range) = &constraint.range {
        values.extend(range.start().checked_sub(1).map(|less| ("too little", json!(less))));
        values.extend(range.end().checked_add(1).map(|more| ("too much", json!(more))));
    }
    if constraint.nonempty == Some(true) && in_body {
        let list =
            matches!(parameter.kind, ParameterKind::TextList | ParameterKind::UuidList | ParameterKind::ObjectList);
        values.push(("empty", if list { json!([]) } else { json!("") }));
    }
    if constraint.visible_ascii == Some(true) {
        values.push(("not visible ASCII", json!("a b")));
    }
    values
}

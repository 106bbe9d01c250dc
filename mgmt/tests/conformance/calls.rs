//! Every operation is called over HTTP on a node that runs: well, and wrongly in every way its declaration knows.

use std::collections::{BTreeMap, BTreeSet};

use gantry_mgmt::{
    api::{Answer as Answers, Declaration, Handler, Location, Method, Operation, Parameter},
    operations,
};
use serde_json::{Map, Value, json};

use crate::{
    answers::differences,
    api::{Api, Request, bad, good, write},
    reference::{http, none, shape},
};

/// A name that no operation knows.
const UNKNOWN: &str = "gantryUnknown";

fn required(declaration: &Declaration) -> Map<String, Value> {
    let needed = |parameter: &&Parameter| parameter.required || parameter.location == Location::Path;
    declaration.parameters.iter().filter(needed).map(|parameter| (parameter.name.clone(), good(parameter))).collect()
}

/// Whether a parameter's value can be left out of, and be anything in, a call at this path.
fn stands_beside(parameter: &Parameter, path: &str) -> bool {
    !path.contains(&format!("{{{}}}", parameter.name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_call_is_taken_at_every_path_and_in_every_wrapper() {
    let api = Api::start().await;
    let mut found = Vec::new();
    for operation in operations::all() {
        let declaration = operation.declaration;
        let parameters = required(declaration);
        for (method, path) in declaration.routes() {
            let keys: Vec<Option<&String>> = match declaration.body_keys.is_empty() {
                true => vec![None],
                false => declaration.body_keys.iter().map(Some).collect(),
            };
            for key in keys {
                let mut request = write(declaration, path, &parameters, key);
                if declaration.is_query() && path.contains('{') {
                    request.path = path.split('/').map(filled).collect::<Vec<_>>().join("/");
                }
                request.query.push((UNKNOWN.to_owned(), "1".to_owned()));
                if let (Some(key), Some(body)) = (key, &mut request.body) {
                    body[key]["gantryField"] = json!("a value that is not repeated");
                }
                good_call(&api, operation, method, &request, key, &mut found).await;
            }
        }
    }
    none(found);
}

fn filled(part: &str) -> String {
    if part.starts_with('{') { uuid::Uuid::new_v4().simple().to_string() } else { part.to_owned() }
}

async fn good_call(
    api: &Api,
    operation: Operation,
    method: Method,
    request: &Request,
    key: Option<&String>,
    found: &mut Vec<String>,
) {
    let declaration = operation.declaration;
    let of = format!("{} {} {}", declaration.name, http(method), request.path);
    let answer = api.call(method, request).await;
    let mut expected = vec![UNKNOWN.to_owned()];
    expected.extend(key.map(|_| "gantryField".to_owned()));
    let ignored: BTreeSet<String> = answer.ignored.iter().cloned().collect();
    // A value that only the operation itself can refuse is a good call all the same.
    if ignored != expected.iter().cloned().collect() {
        found.push(format!("{of} in {key:?} ignores {ignored:?}: {} {}", answer.status, answer.body));
    }
    match (operation.handler, declaration.answer) {
        (Handler::Planned, _) => {
            if (answer.status, answer.code()) != (503, "SYS.1014") || !answer.details().contains(declaration.name) {
                found.push(format!("{of} is planned and answers {} {}", answer.status, answer.body));
            }
        }
        (_, Answers::Job) => {
            let location = answer.body["location"].as_str().unwrap_or_default();
            let job = location.strip_prefix(&format!("{}/zstack/v1/api-jobs/", api.address)).unwrap_or_default();
            if answer.status != 202 || job.len() != 32 {
                found.push(format!("{of} is no job: {} {}", answer.status, answer.body));
            }
        }
        (_, Answers::Sync) => match answer.status {
            200 => differences(declaration, &answer.body, found),
            _ if !answer.body["error"].is_object() => found.push(format!("{of} answers {}", answer.body)),
            _ => {}
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_a_session_is_refused_before_its_parameters() {
    let api = Api::start().await;
    let mut found = Vec::new();
    for operation in operations::all() {
        let declaration = operation.declaration;
        // Nothing but the path: parameters are missing wherever some are needed.
        let path = declaration.paths[0].split('/').map(filled).collect::<Vec<_>>().join("/");
        let body = declaration.body_keys.first().map(|key| json!({ key: {} }));
        let request = Request { path, body, ..Request::default() };
        let answer = api.call_without_session(http(declaration.method), &request).await;
        let refused = (answer.status, answer.code()) == (400, "ID.1003");
        if refused == declaration.open {
            found.push(format!("{} answers {} {}", declaration.name, answer.status, answer.body));
        }
    }
    none(found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_parameter_is_named() {
    let api = Api::start().await;
    let mut found = Vec::new();
    for operation in operations::all() {
        let declaration = operation.declaration;
        let path = declaration.paths[0];
        for missing in
            declaration.parameters.iter().filter(|parameter| parameter.required && stands_beside(parameter, path))
        {
            let mut parameters = required(declaration);
            parameters.remove(&missing.name);
            let request = write(declaration, path, &parameters, declaration.body_keys.first());
            refused(&api, declaration, &missing.name, "missing", &request, &mut found).await;
        }
    }
    none(found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_not_allowed_is_refused_with_its_name() {
    let api = Api::start().await;
    let mut found = Vec::new();
    let mut tried = 0;
    for operation in operations::all() {
        let declaration = operation.declaration;
        for parameter in &declaration.parameters {
            for (what, value) in bad(parameter) {
                let mut parameters = required(declaration);
                parameters.insert(parameter.name.clone(), value);
                let request = write(declaration, declaration.paths[0], &parameters, declaration.body_keys.first());
                refused(&api, declaration, &parameter.name, what, &request, &mut found).await;
                tried += 1;
            }
        }
    }
    none(found);
    assert!(tried > 2000, "only {tried} values were tried");
}

async fn refused(
    api: &Api,
    declaration: &Declaration,
    parameter: &str,
    what: &str,
    request: &Request,
    found: &mut Vec<String>,
) {
    let answer = api.call(declaration.method, request).await;
    let named = answer.details().starts_with(&format!("{parameter} '"));
    if (answer.status, answer.code()) != (400, "SYS.1007") || !named {
        found.push(format!("{}.{parameter} {what}: {} {}", declaration.name, answer.status, answer.body));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_cannot_be_read_is_refused() {
    let api = Api::start().await;
    let mut found = Vec::new();
    for operation in operations::all().into_iter().filter(|operation| operation.declaration.is_query()) {
        for (name, value) in [("limit", "many"), ("count", "perhaps"), ("sort", "name"), ("q", "nothing")] {
            let query = vec![(name.to_owned(), value.to_owned())];
            let request = Request { path: operation.declaration.paths[0].to_owned(), query, ..Request::default() };
            let answer = api.call(Method::Get, &request).await;
            if answer.status != 400 || !answer.details().contains(value) {
                found.push(format!("{} {name}={value}: {} {}", operation.declaration.name, answer.status, answer.body));
            }
        }
    }
    none(found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_a_path_does_not_take_is_405_and_a_path_that_is_not_there_404() {
    let api = Api::start().await;
    let mut methods: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for operation in operations::all() {
        for (method, path) in operation.declaration.routes() {
            methods.entry(shape(path)).or_default().insert(http(method));
        }
    }
    let mut found = Vec::new();
    for path in methods.keys() {
        let parts: Vec<&str> = path.split('/').collect();
        // `/things/{}` takes what `/things/{}` and `/things/literal` take.
        let meets = |other: &str| {
            let other: Vec<&str> = other.split('/').collect();
            other.len() == parts.len() && other.iter().zip(&parts).all(|(a, b)| a == b || *a == "{}")
        };
        let taken: BTreeSet<&str> =
            methods.iter().filter(|(other, _)| meets(other)).flat_map(|(_, methods)| methods.iter().copied()).collect();
        let called = path.replace("{}", "8aef7e3a53b34eedaa05027a919156d9");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"].into_iter().filter(|method| !taken.contains(method)) {
            let request = Request { path: called.clone(), ..Request::default() };
            let answer = api.call_without_session(method, &request).await;
            if (answer.status, answer.code()) != (405, "SYS.1405") {
                found.push(format!("{method} {called}: {} {}", answer.status, answer.body));
            }
        }
        let request = Request { path: format!("{called}/gantry/nowhere"), ..Request::default() };
        let answer = api.call_without_session("GET", &request).await;
        if (answer.status, answer.code()) != (404, "SYS.1404") {
            found.push(format!("GET {}: {} {}", request.path, answer.status, answer.body));
        }
    }
    none(found);
}

//! The HTTP server: one handler for every request, and the answers' common form.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{ConnectInfo, DefaultBodyLimit, State},
    response::Response,
};
use gantry_common::{error::ErrorKind, id::JobUuid};
use http::{
    HeaderMap, HeaderValue, Method as HttpMethod, StatusCode, Uri,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::{Map, Value, json};

use super::{
    Call, Handler, Method, Outcome, RawRequest, admission::admit, ask, authenticate, carry_out, check, classic,
    known_job,
};
use crate::{failure::Failure, node::Node, query::Query, store::JobPhase};

/// The path below which the API stands.
pub const BASE: &str = "/zstack/v1";

/// When a client that was sent away because there is too much to do may come again.
pub const RETRY_AFTER_SECONDS: u64 = 1;

/// The node's HTTP application.
pub fn application(node: Arc<Node>) -> axum::Router {
    axum::Router::new()
        .route("/gantry/v1/join", axum::routing::post(crate::hosts::join_endpoint))
        .fallback(handle)
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn_with_state(node.clone(), admit))
        .with_state(node)
}

/// An answer on its way out.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    /// Names of body fields that the operation does not take.
    pub(super) ignored: Vec<String>,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body, ignored: Vec::new() }
    }

    fn accepted(location: Value) -> Self {
        Self { status: StatusCode::ACCEPTED, ..Self::ok(location) }
    }
}

async fn handle(
    State(node): State<Arc<Node>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    method: HttpMethod,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match answer(&node, from, &method, &uri, &headers, &body).await {
        Ok(reply) => respond(reply),
        Err(failure) => refusal(&method, &uri, &failure),
    }
}

/// The HTTP answer to a request that is refused.
pub(super) fn refusal(method: &HttpMethod, uri: &Uri, failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    tracing::info!(%method, path = uri.path(), code = failure.kind.code(), details = failure.details, "refused");
    let mut response = respond(Reply { status, ..Reply::ok(failure.to_body()) });
    if failure.kind == ErrorKind::Busy {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    }
    response
}

/// Turns a reply into the HTTP answer.
fn respond(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body.to_string()));
    *response.status_mut() = reply.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    if !reply.ignored.is_empty()
        && let Ok(names) = HeaderValue::from_str(&reply.ignored.join(", "))
    {
        response.headers_mut().insert("x-gantry-ignored", names);
    }
    response
}

async fn answer(
    node: &Arc<Node>,
    from: SocketAddr,
    method: &HttpMethod,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Reply, Failure> {
    let unknown = || Failure::new(ErrorKind::UnknownPath, format!("there is no operation at '{}'", uri.path()));
    let clean = uri.path().split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    if let Some(path) = classic::path(&clean) {
        return classic::answer(node, from.ip(), method, path, headers, body).await;
    }
    let path = clean.strip_prefix(BASE.trim_start_matches('/')).ok_or_else(unknown)?;
    let method = match method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        other => return Err(Failure::new(ErrorKind::WrongMethod, format!("{other} is not used by this API"))),
    };
    if let Some(job) = path.strip_prefix("/api-jobs/") {
        return poll(node, headers, job).await;
    }
    let body = parse_body(body)?;
    let (operation, path_parameters) = node.router.find(method, path, &body)?;
    let declaration = operation.declaration;
    let session = if declaration.open { None } else { Some(authenticate(node, headers).await?) };
    let _turn = node.turns.of_session(session.as_ref()).await?;
    let pairs: Vec<(String, String)> =
        form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();

    if let Handler::Query(resource) = operation.handler {
        let mut query = Query::parse(&pairs)?;
        for (_, uuid) in path_parameters {
            query.conditions.extend(Query::by_uuid(&uuid).conditions);
        }
        return Ok(Reply::ok(ask(node, resource, query).await?));
    }
    let path = path_parameters
        .into_iter()
        .map(|(name, value)| (name, percent_encoding::percent_decode_str(&value).decode_utf8_lossy().into_owned()))
        .collect();
    let checked = check(declaration, RawRequest { path, query: pairs, body })?;
    let ignored = checked.ignored.clone();
    let call = Call { operation, session, from: from.ip(), headers };
    let reply = match carry_out(node, call, checked).await? {
        Outcome::Reply(body) => Reply::ok(body),
        Outcome::Job(uuid) => Reply::accepted(location(headers, uuid)),
    };
    Ok(Reply { ignored, ..reply })
}

pub(super) fn parse_body(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(Failure::argument("body", "", "a JSON object is needed")),
        Err(error) => Err(Failure::argument("body", "", format!("it is not JSON: {error}"))),
    }
}

/// Where the caller polls, seen from where it called: a TLS proxy in between says so in `X-Forwarded-Proto`.
fn location(headers: &HeaderMap, job: JobUuid) -> Value {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").unwrap_or("localhost:8080");
    let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    json!({ "location": format!("{scheme}://{host}{BASE}/api-jobs/{job}") })
}

/// How far a job is: 202 while it runs, then its result, and 404 once it is forgotten.
async fn poll(node: &Node, headers: &HeaderMap, text: &str) -> Result<Reply, Failure> {
    let job = known_job(node, text).await?;
    let result = job.result.unwrap_or_else(|| json!({}));
    Ok(match job.phase {
        JobPhase::Running | JobPhase::Undoing => Reply::accepted(location(headers, job.uuid)),
        JobPhase::Succeeded => Reply::ok(result),
        JobPhase::Failed => Reply { status: StatusCode::SERVICE_UNAVAILABLE, ..Reply::ok(result) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_polled_the_way_the_caller_came() {
        let job = JobUuid::random();
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("cloud.example.org"));
        let poll = |headers: &HeaderMap| location(headers, job)["location"].as_str().unwrap().to_owned();
        assert_eq!(poll(&headers), format!("http://cloud.example.org/zstack/v1/api-jobs/{job}"));
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        assert_eq!(poll(&headers), format!("https://cloud.example.org/zstack/v1/api-jobs/{job}"));
    }
}

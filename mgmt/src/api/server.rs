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
    header::{ALLOW, CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::{Value, json};

use super::{
    Call, Declaration, Handler, Method, Origin, Outcome, Principal, RawRequest, admission::admit, authenticate,
    carry_out, check, classic, known_job, live_session, named_session, not_yet, parse_body, parse_query_string,
    query_view, schema,
};
use crate::{
    failure::Failure,
    job::unknown_job,
    node::Node,
    operations,
    query::{self, Query},
    store::JobPhase,
};

/// The path below which the API stands.
pub const BASE: &str = "/zstack/v1";

/// The path below it at which jobs are asked for.
const JOBS: &str = "/api-jobs/";

/// When a client that was sent away because there is too much to do may come again.
pub const RETRY_AFTER_SECONDS: u64 = 1;

/// The node's HTTP application.
pub fn application(node: Arc<Node>) -> axum::Router {
    axum::Router::new()
        .route("/gantry/v1/join", axum::routing::post(crate::hosts::join_endpoint))
        .route("/openapi.json", axum::routing::get(super::openapi::serve))
        .merge(super::docs::routes())
        .merge(crate::console::routes())
        .fallback(handle)
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn_with_state(node.clone(), admit))
        .with_state(node)
}

/// An answer on its way out.
pub(super) struct Reply {
    status: StatusCode,
    body: ReplyBody,
}

enum ReplyBody {
    Value(Value),
    /// JSON as the store wrote it.
    Json(Vec<u8>),
}

impl Reply {
    fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body: ReplyBody::Value(body) }
    }

    pub(super) fn ok(body: Value) -> Self {
        Self::new(StatusCode::OK, body)
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
    let mut ignored = Vec::new();
    match answer(&node, from, &method, &uri, &headers, &body, &mut ignored).await {
        Ok(reply) => respond(reply, &ignored),
        Err(failure) => {
            let mut response = refusal(&method, &uri, &failure, &ignored);
            if failure.kind == ErrorKind::WrongMethod
                && let Some(methods) = below_base(&clean(&uri)).and_then(|path| allowed(&node, path))
                && let Ok(methods) = HeaderValue::from_str(&methods)
            {
                response.headers_mut().insert(ALLOW, methods);
            }
            response
        }
    }
}

/// The request's path; clients may write `//` for `/`.
fn clean(uri: &Uri) -> String {
    uri.path().split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// The part of a clean path that is below the API's base.
fn below_base(clean: &str) -> Option<&str> {
    clean.strip_prefix(BASE.trim_start_matches('/'))
}

/// The methods that a path takes, as HTTP's `Allow` lists them; `None` for a path that is not there.
fn allowed(node: &Node, path: &str) -> Option<String> {
    match node.router.allowed(path) {
        Some(methods) if path.starts_with(JOBS) => Some(format!("GET, {methods}")),
        methods => methods,
    }
}

/// The HTTP answer to a request that is refused.
pub(super) fn refusal(method: &HttpMethod, uri: &Uri, failure: &Failure, ignored: &[String]) -> Response {
    let status = StatusCode::from_u16(failure.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    tracing::info!(%method, path = uri.path(), code = failure.kind.code(), details = failure.details, "refused");
    let mut response = respond(Reply::new(status, failure.to_body()), ignored);
    if failure.kind == ErrorKind::Busy {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    }
    response
}

/// Turns a reply into the HTTP answer, which names what was ignored of the request.
fn respond(reply: Reply, ignored: &[String]) -> Response {
    let body = match reply.body {
        ReplyBody::Value(value) => Body::from(value.to_string()),
        ReplyBody::Json(json) => Body::from(json),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    if !ignored.is_empty()
        && let Ok(names) = HeaderValue::from_str(&ignored_names(ignored))
    {
        response.headers_mut().insert("x-gantry-ignored", names);
    }
    response
}

/// How many ignored names are repeated to the caller and the log, and how long each may be.
const IGNORED_NAMED: usize = 20;
const IGNORED_LENGTH: usize = 64;

/// Tells the log what was ignored of a call.
pub(super) fn note_ignored(declaration: &Declaration, ignored: &[String]) {
    if !ignored.is_empty() {
        let names = ignored_names(ignored);
        tracing::info!(api = declaration.name, names, "unknown parameters were let through");
    }
}

/// What was ignored, by names that the caller chose: no more than fits a header, in visible characters.
fn ignored_names(ignored: &[String]) -> String {
    let name = |name: &String| name.escape_default().take(IGNORED_LENGTH).collect::<String>();
    let mut names: Vec<String> = ignored.iter().take(IGNORED_NAMED).map(name).collect();
    if ignored.len() > IGNORED_NAMED {
        names.push("...".to_owned());
    }
    names.join(", ")
}

async fn answer(
    node: &Arc<Node>,
    from: SocketAddr,
    method: &HttpMethod,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
    ignored: &mut Vec<String>,
) -> Result<Reply, Failure> {
    let unknown = || Failure::new(ErrorKind::UnknownPath, format!("there is no operation at '{}'", uri.path()));
    let clean = clean(uri);
    if let Some(path) = classic::path(&clean) {
        return classic::answer(node, from.ip(), method, path, headers, body, ignored).await;
    }
    let path = below_base(&clean).ok_or_else(unknown)?;
    let wrong = || match allowed(node, path) {
        Some(methods) => {
            Failure::new(ErrorKind::WrongMethod, format!("'{path}' does not take {method}: it takes {methods}"))
        }
        None => unknown(),
    };
    let method = match method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        _ => return Err(wrong()),
    };
    if let (Method::Get, Some(job)) = (method, path.strip_prefix(JOBS)) {
        return poll(node, headers, job).await;
    }
    let body = parse_body(body)?;
    let (operation, path_parameters) = node.router.find(method, path, &body)?;
    let declaration = operation.declaration;
    let (session, principal) = match declaration.open {
        true => (None, Principal::Stranger),
        false => authenticate(node, headers).await.map(|(session, principal)| (Some(session), principal))?,
    };
    let _turn = node.turns.of_session(session.as_ref()).await?;
    let pairs = parse_query_string(uri.query().unwrap_or_default());

    let call = Call { operation, session, principal, from: from.ip(), headers };
    let queried = matches!(operation.handler, Handler::Query(_) | Handler::Planned) && declaration.is_query();
    if queried {
        let mut query = Query::parse(&pairs)?;
        *ignored = Query::unknown(&pairs).map(str::to_owned).collect();
        note_ignored(declaration, ignored);
        let view = query_view(node, &call).await?;
        let Handler::Query(resource) = operation.handler else { return Err(not_yet(declaration)) };
        for (_, uuid) in path_parameters {
            query.conditions.extend(Query::by_uuid(&uuid).conditions);
        }
        let json = node.store.read(move |tx| query::answer(tx, resource, &query, view)).await?;
        return Ok(Reply { status: StatusCode::OK, body: ReplyBody::Json(json) });
    }
    let path = path_parameters
        .into_iter()
        .map(|(name, value)| (name, percent_encoding::percent_decode_str(&value).decode_utf8_lossy().into_owned()))
        .collect();
    let checked = check(declaration, RawRequest { path, query: pairs, body })?;
    ignored.clone_from(&checked.ignored);
    Ok(match carry_out(node, call, checked).await? {
        Outcome::Reply(reply) => Reply::ok(with_schema(headers, Some(declaration), reply)),
        Outcome::Job(uuid) => Reply::new(StatusCode::ACCEPTED, location(headers, uuid)),
    })
}

/// The answer, with the classes of its objects where the caller wants to be told.
fn with_schema(headers: &HeaderMap, declaration: Option<&Declaration>, mut answer: Value) -> Value {
    if let Some(declaration) = declaration
        && schema::is_wanted(headers)
    {
        schema::add(operations::inventories(), declaration.reply, &mut answer);
    }
    answer
}

/// Where the caller polls, seen from where it called: a TLS proxy in between says so in `X-Forwarded-Proto`.
fn location(headers: &HeaderMap, job: JobUuid) -> Value {
    let origin = Origin::of(headers).map_or_else(|| "http://localhost:8080".to_owned(), |origin| origin.to_string());
    json!({ "location": format!("{origin}{BASE}/api-jobs/{job}") })
}

/// How far a job is: 202 while it runs, then its result, and 404 once it is forgotten.
async fn poll(node: &Node, headers: &HeaderMap, text: &str) -> Result<Reply, Failure> {
    let job = known_job(node, text).await?;
    // The id alone is enough, as the classic protocol asks for results; a session must be that of one who may know.
    if let Some(session) = named_session(headers)
        && let Ok((_, Principal::Account(account))) = live_session(node, session).await
        && account != job.account_uuid
    {
        return Err(unknown_job(text));
    }
    let result = job.result.unwrap_or_else(|| json!({}));
    Ok(match job.phase {
        JobPhase::Waiting | JobPhase::Running | JobPhase::Undoing => {
            Reply::new(StatusCode::ACCEPTED, location(headers, job.uuid))
        }
        JobPhase::Succeeded => {
            let declaration = node.job_operation(&job.api).map(|(declaration, _)| declaration);
            Reply::ok(with_schema(headers, declaration, result))
        }
        JobPhase::Failed => Reply::new(StatusCode::SERVICE_UNAVAILABLE, result),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_caller_made_up_fit_a_header() {
        assert_eq!(ignored_names(&["gloss".to_owned(), "a\r\nb: c".to_owned()]), "gloss, a\\r\\nb: c");
        let many = ignored_names(&vec!["\u{e9}".repeat(100); 100]);
        assert!(many.len() < 1400 && many.ends_with(", ...") && HeaderValue::from_str(&many).is_ok(), "{many}");
    }

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

//! The classic protocol, a second door to the same operations: `POST /zstack/api` takes a message, `GET
//! /zstack/api/result/{uuid}` says how far its job is.
//!
//! A message is an object with one key, the class of the message: `{"org.zstack.header.zone.APIQueryZoneMsg": {…}}`. Its
//! fields are the operation's parameters and the session. The answer is 200 with `state` and, once that is `Done`, the
//! reply as JSON in the text `result`, under the class of the reply; what failed says `"success": false` in there.

mod answer;
mod message;
mod names;
mod query;

use std::{net::IpAddr, sync::Arc};

use gantry_common::error::ErrorKind;
use http::{HeaderMap, Method as HttpMethod};
use serde_json::Value;

use self::message::Message;
use super::{
    Answer, Call, Handler, Operation, Outcome, Principal, carry_out, check_object, known_job, live_session, not_yet,
    query_view, server::Reply,
};
use crate::{clock::Timestamp, failure::Failure, node::Node};

/// The path below this door, if it is this door's: empty for messages.
pub fn path(clean: &str) -> Option<&str> {
    let rest = clean.strip_prefix("zstack/api")?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_start_matches('/'))
}

/// Answers a request at this door.
pub async fn answer(
    node: &Arc<Node>,
    from: IpAddr,
    method: &HttpMethod,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
    ignored: &mut Vec<String>,
) -> Result<Reply, Failure> {
    let wrong_method = |remedy: &str| Err(Failure::new(ErrorKind::WrongMethod, remedy));
    let answer = match (method.as_str(), path, path.strip_prefix("result/")) {
        ("POST" | "PUT", "", _) => take(node, from, headers, body, ignored).await?,
        (_, "", _) => return wrong_method("a message is sent with POST"),
        ("GET" | "PUT", _, Some(job)) => answer::of_job(&known_job(node, job).await?),
        (_, _, Some(_)) => return wrong_method("a result is asked for with GET"),
        _ => return Err(Failure::new(ErrorKind::UnknownPath, format!("there is nothing at '/zstack/api/{path}'"))),
    };
    Ok(Reply::ok(answer))
}

/// Takes a message. What fails from here on is part of the answer, but for a node that has too much to do.
async fn take(
    node: &Arc<Node>,
    from: IpAddr,
    headers: &HeaderMap,
    body: &[u8],
    ignored: &mut Vec<String>,
) -> Result<Value, Failure> {
    let began = Timestamp::now();
    let message = Message::parse(body)?;
    let operation = node.router.named(&message.name);
    let class = names::answer(&message, operation.map_or(Answer::Sync, |operation| operation.declaration.answer));
    let outcome = match operation {
        Some(operation) => carry(node, operation, message, from, headers, ignored).await,
        None => Err(Failure::new(
            ErrorKind::NotSupported,
            format!("this management node has no operation for the message {}", message.class),
        )),
    };
    match outcome {
        Ok(Outcome::Job(uuid)) => Ok(answer::processing(uuid, began)),
        Ok(Outcome::Reply(reply)) => Ok(answer::done(began, &class, &answer::success(reply))),
        Err(failure) if failure.kind == ErrorKind::Busy => Err(failure),
        Err(failure) => {
            tracing::info!(class, code = failure.kind.code(), details = failure.details, "refused");
            Ok(answer::done(began, &class, &answer::failure(failure.to_body())))
        }
    }
}

async fn carry(
    node: &Arc<Node>,
    operation: Operation,
    message: Message,
    from: IpAddr,
    headers: &HeaderMap,
    ignored: &mut Vec<String>,
) -> Result<Outcome, Failure> {
    let declaration = operation.declaration;
    let (session, principal) = match (&message.session, declaration.open) {
        (_, true) => (None, Principal::Stranger),
        (Some(session), false) => {
            live_session(node, session).await.map(|(session, principal)| (Some(session), principal))?
        }
        (None, false) => {
            let details = "the message needs \"session\": {\"uuid\": …}: log in first";
            return Err(Failure::new(ErrorKind::MissingSession, details));
        }
    };
    let _turn = node.turns.of_session(session.as_ref()).await?;
    let call = Call { operation, session, principal, from, headers };
    if declaration.is_query() && matches!(operation.handler, Handler::Query(_) | Handler::Planned) {
        let query = query::read(message.fields)?;
        let view = query_view(node, &call).await?;
        let Handler::Query(resource) = operation.handler else { return Err(not_yet(declaration)) };
        let mut reply = node.store.read(move |tx| crate::query::run_as(tx, resource, &query, view)).await?;
        if let Some(reply) = reply.as_object_mut() {
            // This protocol has none; its replies name their own class.
            reply.shift_remove("schema");
        }
        return Ok(Outcome::Reply(reply));
    }
    let checked = check_object(declaration, "the message", message.fields)?;
    ignored.clone_from(&checked.ignored);
    carry_out(node, call, checked).await
}

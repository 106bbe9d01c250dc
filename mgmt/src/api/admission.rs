//! What every request goes through: its whole body first, then a turn, then its answer or the deadline.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use bytes::BytesMut;
use gantry_common::error::ErrorKind;
use http::{
    Method,
    header::{CONTENT_LENGTH, EXPECT},
};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Limits, server::refusal};
use crate::{failure::Failure, node::Node};

/// How much of a body that is too large is read all the same, so that the client gets to reading why.
const DRAINED_BYTES: usize = 16 << 20;

/// Lets a request in.
pub async fn admit(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let limits = &node.config.limits;
    let (parts, body) = request.into_parts();
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let too_large = announced.is_some_and(|bytes| usize::try_from(bytes).is_ok_and(|bytes| bytes > limits.body_bytes));
    let body =
        if too_large && parts.headers.contains_key(EXPECT) { Err(oversize(limits)) } else { whole(body, limits).await };
    let request = match body {
        Ok(body) => Request::from_parts(parts, Body::from(body)),
        Err(failure) => return refusal(&parts.method, &parts.uri, &failure, &[]),
    };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let deadline = Instant::now() + limits.answer_deadline;
    let turn = match node.turns.of_request().await {
        Ok(turn) => turn,
        Err(failure) => return refusal(&method, &uri, &failure, &[]),
    };
    // A task of its own: a client that hangs up must not end a change between two of its parts.
    let mut work = tokio::spawn(async move {
        let response = next.run(request).await;
        drop(turn);
        response
    });
    match timeout_at(deadline, &mut work).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => refusal(&method, &uri, &Failure::new(ErrorKind::Internal, error.to_string()), &[]),
        Err(_) => {
            if method == Method::GET {
                work.abort();
            }
            refusal(&method, &uri, &late(&method, limits.answer_deadline), &[])
        }
    }
}

/// Reads the whole body. Of one that is too large nothing is kept.
async fn whole(mut body: Body, limits: &Limits) -> Result<Bytes, Failure> {
    let reading = async {
        let (mut all, mut read_bytes) = (BytesMut::new(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::argument("body", "", format!("it broke off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            read_bytes += data.len();
            if read_bytes <= limits.body_bytes {
                all.extend_from_slice(&data);
            } else if read_bytes - limits.body_bytes < DRAINED_BYTES {
                all.clear();
            } else {
                break;
            }
        }
        if read_bytes > limits.body_bytes { Err(oversize(limits)) } else { Ok(all.freeze()) }
    };
    match timeout(limits.body_patience, reading).await {
        Ok(read) => read,
        Err(_) => Err(Failure::new(
            ErrorKind::RequestTimeout,
            format!("the body did not arrive within {} s; nothing was done", limits.body_patience.as_secs_f32()),
        )),
    }
}

fn oversize(limits: &Limits) -> Failure {
    let details = format!("the body may have {} bytes at most; nothing was done", limits.body_bytes);
    Failure::new(ErrorKind::BodyTooLarge, details)
}

fn late(method: &Method, deadline: Duration) -> Failure {
    let what_now = if method == Method::GET {
        "ask again"
    } else {
        "what it began goes on. With an X-Job-UUID of its own, the call can be sent again: it is carried out once"
    };
    let details = format!("the request was not answered within {} s; {what_now}", deadline.as_secs_f32());
    Failure::new(ErrorKind::Timeout, details)
}

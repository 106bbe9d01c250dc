//! The digests of a file's chunks, for an agent that has some of these chunks.

use axum::{
    Extension,
    body::Body,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use gantry_common::{
    agent::{AgentError, Call},
    id::OperationId,
    role::Role,
};
use http::{HeaderName, HeaderValue, header::ETAG};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{Found, ImageQuery, LENGTH_HEADER, find, refuse};
use crate::{
    image::{chunk::ChunkList, offer::Offers},
    storage::blocking,
};

/// How many digests are sent at once: those of 64 MiB.
const DIGESTS_AT_ONCE: usize = 1024;

pub(super) async fn serve(
    State(offers): State<Offers>,
    role: Option<Extension<Role>>,
    Query(query): Query<ImageQuery>,
) -> Response {
    let role = role.map(|Extension(role)| role);
    let look = move || {
        let found = find(&offers, role, &query.path)?;
        let known = found.stored.as_ref().and_then(|(target, record)| ChunkList::read(target.as_path(), record));
        Ok((found, known))
    };
    match blocking(look).await {
        Ok((found, known)) => answer(found, known),
        Err(error) => refuse(&error),
    }
}

fn answer(found: Found, known: Option<ChunkList>) -> Response {
    let tag = HeaderValue::from_str(&format!("\"{}\"", found.opened.md5));
    let Ok(tag) = tag else {
        return refuse(&AgentError::Internal { reason: "a digest is not hexadecimal".into() });
    };
    let length = HeaderValue::from(found.opened.length_bytes);
    let body = match known {
        Some(list) => Body::from(list.0.into_flattened()),
        None => measured(found),
    };
    let headers = [(ETAG, tag), (HeaderName::from_static(LENGTH_HEADER), length)];
    (headers, body).into_response()
}

/// The digests as they become known: whoever waits for all of a large file would take this host for dead.
fn measured(found: Found) -> Body {
    let (sender, receiver) = mpsc::channel::<Result<Bytes, AgentError>>(4);
    tokio::task::spawn_blocking(move || {
        // Whoever asked is gone: nobody needs the rest.
        let send = |digests: &[[u8; 32]]| match sender.blocking_send(Ok(digests.as_flattened().to_vec().into())) {
            Ok(()) => Ok(()),
            Err(_) => Err(AgentError::Cancelled),
        };
        let call = Call::detached(OperationId::random());
        let measured = ChunkList::measure_in_parts(&found.opened.file, &call, DIGESTS_AT_ONCE, send);
        match (measured, found.stored) {
            (Ok(list), Some((target, record))) => {
                if let Err(error) = list.write(&target, &record.facts.md5, call.operation) {
                    tracing::warn!(%error, "the list of an image's chunks could not be kept; it is made again");
                }
            }
            (Ok(_), None) => {}
            // The connection breaks off, and the other agent asks again.
            (Err(error), _) => drop(sender.blocking_send(Err(error))),
        }
    });
    Body::from_stream(ReceiverStream::new(receiver))
}

//! The images of this host's image stores, and what is offered to a host, for other agents.

mod chunks;

use std::{fs, io::SeekFrom, path::Path};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use gantry_common::{agent::AgentError, role::Role};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE},
};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::{
    STORE_MARKER,
    offer::{Offers, Opened},
    record::{self, Record},
    source::open_regular,
};
use crate::storage::{StoragePath, StorageRoot, blocking};

/// Where images are served.
pub(crate) const PATH: &str = "/v1/images";
/// Where the digests of their chunks are, one after the other.
pub(crate) const CHUNKS_PATH: &str = "/v1/images/chunks";
/// How long the image is that the chunks are of.
pub(crate) const LENGTH_HEADER: &str = "x-gantry-length";
const BUFFER_BYTES: usize = 256 << 10;

#[derive(Debug, Deserialize)]
struct ImageQuery {
    path: String,
}

pub(crate) fn router(offers: Offers) -> Router {
    Router::new().route(PATH, get(serve)).route(CHUNKS_PATH, get(chunks::serve)).with_state(offers)
}

async fn serve(
    State(offers): State<Offers>,
    role: Option<Extension<Role>>,
    Query(query): Query<ImageQuery>,
    headers: HeaderMap,
) -> Response {
    let role = role.map(|Extension(role)| role);
    match blocking(move || find(&offers, role, &query.path)).await {
        Ok(found) => match send(found.opened, &headers).await {
            Ok(response) => response,
            Err(error) => refuse(&error),
        },
        Err(error) => refuse(&error),
    }
}

pub(crate) fn refuse(error: &AgentError) -> Response {
    let status = match error {
        AgentError::NotFound { .. } => StatusCode::NOT_FOUND,
        AgentError::InvalidArgument { .. } => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, error.to_string()).into_response()
}

/// What may be read, open.
pub(crate) struct Found {
    pub(crate) opened: Opened,
    /// Where it is and what it is, if it is an image of a store.
    stored: Option<(StoragePath, Record)>,
}

/// Opens what is offered to the caller at `path`, or the image of a store that is there.
fn find(offers: &Offers, role: Option<Role>, path: &str) -> Result<Found, AgentError> {
    if let Some(Role::Host(host)) = role
        && let Some(opened) = offers.open(Path::new(path), host)
    {
        return Ok(Found { opened, stored: None });
    }
    find_stored(path)
}

/// Opens the image at `path`, which must be whole and in an image store. Everything else on this host is not found.
pub(crate) fn find_stored(path: &str) -> Result<Found, AgentError> {
    let not_found = || AgentError::NotFound { what: "image".into(), name: path.escape_debug().to_string() };
    let real = fs::canonicalize(path).map_err(|_| not_found())?;
    let store = real.ancestors().skip(1).find(|directory| is_store(directory)).ok_or_else(not_found)?;
    let (Some(store), Some(text)) = (store.to_str(), real.to_str()) else {
        return Err(not_found());
    };
    let target = StorageRoot::parse("path", store)?.below("path", text)?;
    let record = record::read(&record::beside(&real))?.ok_or_else(not_found)?;
    let file = open_regular(&real)?;
    let length = file.metadata().map_err(|error| AgentError::file(&real, error))?.len();
    if length == record.facts.actual_bytes {
        let opened = Opened { file, length_bytes: length, md5: record.facts.md5.clone() };
        return Ok(Found { opened, stored: Some((target, record)) });
    }
    let reason = format!("it has {length} bytes and its record says {}", record.facts.actual_bytes);
    Err(AgentError::Corrupt { what: path.into(), reason })
}

fn is_store(directory: &Path) -> bool {
    fs::symlink_metadata(directory.join(STORE_MARKER)).is_ok_and(|metadata| metadata.is_file())
}

/// Sends the file, or the part of it that is asked for.
pub(crate) async fn send(opened: Opened, headers: &HeaderMap) -> Result<Response, AgentError> {
    let internal = |error: &dyn std::fmt::Display| AgentError::Internal { reason: error.to_string() };
    let Opened { file, length_bytes: total_bytes, md5 } = opened;
    let tag = HeaderValue::from_str(&format!("\"{md5}\"")).map_err(|error| internal(&error))?;
    let same = headers.get(IF_RANGE).is_none_or(|condition| condition == tag);
    let asked = headers.get(RANGE).filter(|_| same).and_then(|range| range.to_str().ok()).and_then(Range::parse);
    let bounds = match asked.map(|range| range.within(total_bytes)) {
        Some(None) => {
            let headers = [(CONTENT_RANGE, format!("bytes */{total_bytes}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
        Some(Some(bounds)) => Some(bounds),
        None => None,
    };
    let (first, length) = bounds.unwrap_or((0, total_bytes));
    let mut file = tokio::fs::File::from_std(file);
    file.seek(SeekFrom::Start(first)).await.map_err(|error| internal(&error))?;
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), BUFFER_BYTES));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(ETAG, tag);
    if bounds.is_some() {
        let range = format!("bytes {first}-{}/{total_bytes}", first + length - 1);
        headers.insert(CONTENT_RANGE, HeaderValue::from_str(&range).map_err(|error| internal(&error))?);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// The one range of a `Range` header. Several at once are not understood, and the whole is sent, as RFC 9110 allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    From { first: u64, last: Option<u64> },
    Last(u64),
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        match (first, last) {
            ("", last) => last.parse().ok().map(Self::Last),
            (first, "") => Some(Self::From { first: first.parse().ok()?, last: None }),
            (first, last) => {
                let (first, last) = (first.parse().ok()?, last.parse().ok()?);
                (first <= last).then_some(Self::From { first, last: Some(last) })
            }
        }
    }

    /// The first byte and the length, within a file of `total` bytes; `None` where nothing is left.
    fn within(self, total: u64) -> Option<(u64, u64)> {
        let (first, end) = match self {
            Self::From { first, last } => (first, last.map_or(total, |last| last.saturating_add(1).min(total))),
            Self::Last(length) => (total.saturating_sub(length), total),
        };
        (first < end).then(|| (first, end - first))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_cut_to_the_file() {
        let within = |text: &str| Range::parse(text).map(|range| range.within(100));
        assert_eq!(within("bytes=0-"), Some(Some((0, 100))));
        assert_eq!(within("bytes=40-49"), Some(Some((40, 10))));
        assert_eq!(within("bytes=90-1000"), Some(Some((90, 10))));
        assert_eq!(within("bytes=-10"), Some(Some((90, 10))));
        assert_eq!(within("bytes=-1000"), Some(Some((0, 100))));
        assert_eq!(within("bytes=100-"), Some(None));
        assert_eq!(within("bytes=-0"), Some(None));
        for text in ["", "bytes=", "bytes=-", "bytes=9-1", "bytes=0-1,3-4", "items=0-1"] {
            assert_eq!(within(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_range_reaches_beyond_the_file(first in any::<u64>(), last in any::<u64>(), total in any::<u64>()) {
            for text in [format!("bytes={first}-{last}"), format!("bytes={first}-"), format!("bytes=-{last}")] {
                if let Some((from, length)) = Range::parse(&text).and_then(|range| range.within(total)) {
                    prop_assert!(length > 0 && from.checked_add(length).is_some_and(|end| end <= total));
                }
            }
        }
    }
}

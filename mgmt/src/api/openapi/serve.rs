//! `/openapi.json`: rendered once, at the first request.

use std::{io::Write, sync::LazyLock};

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
};
use sha2::{Digest, Sha256};

/// The document in the forms that are sent.
struct Rendered {
    plain: Bytes,
    gzip: Option<Bytes>,
    tag: HeaderValue,
}

static RENDERED: LazyLock<Rendered> = LazyLock::new(|| {
    let plain = super::served().to_string().into_bytes();
    let digest: String = Sha256::digest(&plain).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let tag = HeaderValue::from_str(&format!("W/\"{digest}\"")).unwrap_or(HeaderValue::from_static("W/\"\""));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let gzip = encoder.write_all(&plain).and_then(|()| encoder.finish()).ok().map(Bytes::from);
    Rendered { plain: plain.into(), gzip, tag }
});

/// Answers with the document.
pub async fn serve(headers: HeaderMap) -> Response {
    // Rendering takes its time, once, and other calls must not wait for it.
    let Ok(rendered) = tokio::task::spawn_blocking(|| LazyLock::force(&RENDERED)).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = if headers.get_all(IF_NONE_MATCH).iter().any(|known| known == rendered.tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        match &rendered.gzip {
            Some(gzip) if takes_gzip(&headers) => {
                let mut response = gzip.clone().into_response();
                response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                response
            }
            _ => rendered.plain.clone().into_response(),
        }
    };
    let own = response.headers_mut();
    own.insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    own.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    own.insert(ETAG, rendered.tag.clone());
    own.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let named = |encoding: &str| {
        let mut parts = encoding.split(';').map(str::trim);
        parts.next() == Some("gzip") && !parts.any(|weight| weight.trim_start_matches("q=").parse() == Ok(0.0_f32))
    };
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(named)
}

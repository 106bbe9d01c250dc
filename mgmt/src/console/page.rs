//! The console's page. It loads nothing from anywhere else.

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderName, HeaderValue, header};

/// The page may load its own scripts and style, open a WebSocket to its own origin, and draw pictures that it was sent
/// (noVNC makes `data:` URLs of the pointer's shape and of JPEG tiles); no other page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page and its parts.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(super::PAGE, get(async || asset("text/html;charset=UTF-8", include_str!("page/console.html"))))
        .route("/console/console.css", get(async || asset("text/css;charset=UTF-8", include_str!("page/console.css"))))
        .route(
            "/console/console.js",
            get(async || asset("text/javascript;charset=UTF-8", include_str!("page/console.js"))),
        )
}

/// A file of the page.
pub fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // The token is in the page's address, though in a part that browsers send nowhere.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}

/// The same with another value of a header.
pub fn with_header(mut asset: Response, name: HeaderName, value: &'static str) -> Response {
    asset.headers_mut().insert(name, HeaderValue::from_static(value));
    asset
}

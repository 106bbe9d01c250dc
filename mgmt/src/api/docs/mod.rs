//! `/docs`: a page that shows `/openapi.json` to people. It loads nothing from anywhere else.

use axum::{Router, routing::get};
use http::{HeaderName, HeaderValue, header};

/// The page may load its own script, style and document, and nothing else; no other page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

type Asset = ([(HeaderName, HeaderValue); 4], &'static str);

/// The page and its parts.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/docs", get(async || asset("text/html;charset=UTF-8", include_str!("page.html"))))
        .route("/docs/page.css", get(async || asset("text/css;charset=UTF-8", include_str!("page.css"))))
        .route("/docs/page.js", get(async || asset("text/javascript;charset=UTF-8", include_str!("page.js"))))
}

fn asset(kind: &'static str, text: &'static str) -> Asset {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text)
}

//! The HTTP server of exported images. Anyone may connect: what a caller can take up is bounded.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

use super::{Notes, URL_PREFIX};
use crate::{
    image::serve::{Found, find_stored, send},
    storage::blocking,
};

/// Connections that are open at the same time; more of them wait.
const MAX_CONNECTIONS: usize = 256;
/// How long a request's head may take to arrive, and a connection may be without a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);
/// How long a client may take nothing of its answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);
const MAX_HEAD_BYTES: usize = 16 << 10;

/// A running server. It takes no more connections when this is dropped; downloads under way come to their end.
#[derive(Debug)]
pub(super) struct Listener {
    port: u16,
    _stop: DropGuard,
}

impl Listener {
    /// Serves what is noted in `notes` at `listen`.
    pub(super) async fn start(listen: SocketAddr, notes: Notes) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let port = listener.local_addr()?.port();
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, notes, stop.clone()));
        tracing::info!(%listen, "exported images are served");
        Ok(Self { port, _stop: stop.drop_guard() })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

async fn serve(listener: TcpListener, notes: Notes, stop: CancellationToken) {
    let router = Router::new().route(&format!("{URL_PREFIX}/{{token}}/{{name}}"), get(download)).with_state(notes);
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accept = async || {
        let place = connections.clone().acquire_owned().await.ok()?;
        Some((place, listener.accept().await))
    };
    while let Some(Some((place, accepted))) = stop.run_until_cancelled(accept()).await {
        match accepted {
            Ok((stream, from)) => drop(tokio::spawn(connection(stream, from, router.clone(), stop.clone(), place))),
            Err(error) => {
                // Out of file descriptors, most likely: it passes when connections close.
                tracing::warn!("a connection cannot be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_PATIENCE));
    let answer = move |request: http::Request<hyper::body::Incoming>| router.clone().oneshot(request.map(Body::new));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service_fn(answer));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%from, %error, "a connection broke off");
    }
}

async fn download(
    State(notes): State<Notes>,
    Path((token, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let look = move || match notes.get(&token)? {
        Some(path) if path.rsplit('/').next() == Some(&*name) => find_stored(&path).map(Some),
        _ => Ok(None),
    };
    match blocking(look).await {
        Ok(Some(Found { opened, .. })) => match send(opened, &headers).await {
            Ok(response) => response,
            Err(error) => failed(&error),
        },
        Ok(None) | Err(gantry_common::agent::AgentError::NotFound { .. }) => {
            (StatusCode::NOT_FOUND, "there is no such image\n").into_response()
        }
        Err(error) => failed(&error),
    }
}

/// Strangers learn nothing of this host's paths.
fn failed(error: &gantry_common::agent::AgentError) -> Response {
    tracing::error!("an exported image cannot be sent: {error}");
    (StatusCode::INTERNAL_SERVER_ERROR, "the image cannot be sent\n").into_response()
}

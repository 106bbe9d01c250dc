//! The transport: HTTP/2 with mutual TLS. The management node commands and follows the events; other hosts' agents may
//! only read images, and the files that are offered to them.

mod consoles;
pub mod events;
pub mod identity;
pub mod keys;
pub mod operations;
mod routes;
pub mod tls_files;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use gantry_common::{agent::HostAgent, certificate::CertificateFacts, role::Role};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use identity::Identity;
use operations::{Limits, Operations};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// How long a caller may take to prove who it is.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Callers that are proving who they are at the same time. More of them wait, and strangers cannot fill the memory.
const MAX_HANDSHAKES: usize = 128;

/// How often a silent connection is asked whether its other end is still there, and how long it may take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long commands under way may take to end, and again to react to being cancelled, when the agent stops.
const DRAIN_GRACE: Duration = Duration::from_secs(8);

/// How long connections may take to close when the agent stops.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// What may be under way to this agent of one stream, and of all streams of a connection together. A stream that is not
/// read, such as a console's whose guest hangs, must leave room for the others.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 2 * STREAM_WINDOW_BYTES * consoles::MOST as u32;

/// Serves one host's agent.
pub struct Server {
    identity: Arc<Identity>,
    operations: Operations,
    router: Router,
    stop_streams: CancellationToken,
    probes: mpsc::Receiver<oneshot::Sender<()>>,
    health: Health,
}

/// Asks a running server for a sign of life.
#[derive(Clone)]
pub struct Health {
    probes: mpsc::Sender<oneshot::Sender<()>>,
}

impl Health {
    /// Returns when the server's loop has answered; `false` when there is none any more.
    pub async fn probe(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.probes.send(answer).await.is_ok() && answered.await.is_ok()
    }
}

impl Server {
    /// A server for `agent`. `peer_routes` is what other hosts may read.
    pub fn new(agent: Arc<dyn HostAgent>, identity: Arc<Identity>, peer_routes: Router) -> Self {
        let operations = Operations::new(Limits::default());
        let stop_streams = CancellationToken::new();
        let node = routes::Node {
            agent,
            identity: Arc::clone(&identity),
            operations: operations.clone(),
            consoles: consoles::Places::default(),
            stopping: stop_streams.clone(),
        };
        let router = routes::router(node, peer_routes);
        let (sender, probes) = mpsc::channel(1);
        Self { identity, operations, router, stop_streams, probes, health: Health { probes: sender } }
    }

    /// A handle that tells whether the server is alive.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Serves until `shutdown`; then commands under way come to an end, and their callers get the outcome.
    pub async fn serve(mut self, listener: TcpListener, shutdown: CancellationToken) {
        let connections = TaskTracker::new();
        let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        let close = CancellationToken::new();
        loop {
            let (stream, address) = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(probe) = self.probes.recv() => {
                    // Who asked may have given up.
                    let _ = probe.send(());
                    continue;
                }
                accepted = accept(&listener, &handshakes) => accepted,
            };
            let connection = Connection {
                identity: Arc::clone(&self.identity),
                router: self.router.clone(),
                shutdown: shutdown.clone(),
                close: close.clone(),
            };
            connections.spawn(connection.serve(stream, address));
        }
        drop(listener);
        self.operations.drain(DRAIN_GRACE).await;
        self.stop_streams.cancel();
        connections.close();
        if timeout(CLOSE_GRACE, connections.wait()).await.is_err() {
            close.cancel();
            connections.wait().await;
        }
    }
}

/// A connection whose caller is yet to prove who it is.
struct Accepted {
    stream: TcpStream,
    /// Given back when the caller has.
    _handshake: tokio::sync::OwnedSemaphorePermit,
}

async fn accept(listener: &TcpListener, handshakes: &Arc<Semaphore>) -> (Accepted, SocketAddr) {
    loop {
        let Ok(permit) = Arc::clone(handshakes).acquire_owned().await else {
            // The semaphore is never closed.
            return std::future::pending().await;
        };
        match listener.accept().await {
            Ok((stream, address)) => return (Accepted { stream, _handshake: permit }, address),
            Err(error) => {
                // Out of file descriptors, most likely: it passes when connections close.
                tracing::warn!("a connection cannot be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

struct Connection {
    identity: Arc<Identity>,
    router: Router,
    shutdown: CancellationToken,
    close: CancellationToken,
}

impl Connection {
    async fn serve(self, accepted: Accepted, address: SocketAddr) {
        match timeout(HANDSHAKE_TIMEOUT, self.handshake(accepted)).await {
            Ok(Ok((stream, role))) => {
                tracing::debug!(%address, %role, "connected");
                self.answer(stream, role, address).await;
            }
            Ok(Err(error)) => tracing::warn!(%address, "a caller was refused: {error:#}"),
            Err(_) => tracing::warn!(%address, "a caller did not prove who it is in time"),
        }
    }

    async fn handshake(&self, accepted: Accepted) -> anyhow::Result<(TlsStream<TcpStream>, Role)> {
        accepted.stream.set_nodelay(true)?;
        let stream = TlsAcceptor::from(self.identity.server_config()).accept(accepted.stream).await?;
        let (_, tls) = stream.get_ref();
        let certificate = tls.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.ok_or_else(|| anyhow::anyhow!("it shows no certificate"))?;
        let role = CertificateFacts::from_der(certificate)?.role;
        Ok((stream, role))
    }

    async fn answer(self, stream: TlsStream<TcpStream>, role: Role, address: SocketAddr) {
        let router = self.router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(role);
            request
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new());
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .max_concurrent_streams(1024)
            .enable_connect_protocol()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
        tokio::pin!(connection);
        let mut stopping = false;
        let ended = loop {
            tokio::select! {
                ended = connection.as_mut() => break ended,
                () = self.close.cancelled() => return,
                () = self.shutdown.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        };
        match ended {
            Ok(()) => tracing::debug!(%address, %role, "disconnected"),
            Err(error) => tracing::info!(%address, %role, "connection lost: {error}"),
        }
    }
}

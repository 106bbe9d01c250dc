//! The HTTP server that hands a network's guests their user data.
//!
//! The socket is opened inside the network's namespace and served from the agent's own tasks: a socket stays in the
//! namespace it was opened in. A guest is known by its address, which the packet filter keeps it from changing.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, TcpListener},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use gantry_common::{agent::AgentError, id::L3NetworkUuid};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::{sync::Semaphore, task::JoinHandle};

use super::{
    paths::NetworkPaths,
    service_namespace::{USERDATA_ADDRESS, in_namespace},
    userdata,
};

const PORT: u16 = 80;
/// Connections a network's guests may have open together, and one guest alone.
const MOST_CONNECTIONS: usize = 256;
const MOST_CONNECTIONS_PER_GUEST: usize = 8;
const HEADER_DEADLINE: Duration = Duration::from_secs(5);
const CONNECTION_DEADLINE: Duration = Duration::from_secs(60);
/// The least that hyper allows for a request's head.
const REQUEST_BYTES: usize = 8192;

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(super) struct UserdataServer(JoinHandle<()>);

impl Drop for UserdataServer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl UserdataServer {
    /// Serves the network's guests from its namespace.
    pub(super) async fn start(paths: &NetworkPaths, l3_network: L3NetworkUuid) -> Result<Self, AgentError> {
        let listener = in_namespace(l3_network, || {
            let listener = TcpListener::bind((USERDATA_ADDRESS, PORT))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        })
        .await?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| AgentError::Network {
            operation: "serve user data".to_owned(),
            reason: error.to_string(),
        })?;
        let guests = Arc::new(Guests { paths: paths.clone(), l3_network, connections: Mutex::default() });
        Ok(Self(tokio::spawn(accept(listener, guests))))
    }

    /// Whether it still serves.
    pub(super) fn is_running(&self) -> bool {
        !self.0.is_finished()
    }
}

struct Guests {
    paths: NetworkPaths,
    l3_network: L3NetworkUuid,
    connections: Mutex<HashMap<Ipv4Addr, usize>>,
}

/// One of the connections that a guest may have; gives it back when dropped.
struct Place {
    guests: Arc<Guests>,
    address: Ipv4Addr,
}

impl Place {
    fn take(guests: &Arc<Guests>, address: Ipv4Addr) -> Option<Self> {
        let mut connections = guests.connections.lock();
        let count = connections.entry(address).or_default();
        if *count >= MOST_CONNECTIONS_PER_GUEST {
            return None;
        }
        *count += 1;
        Some(Self { guests: Arc::clone(guests), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.guests.connections.lock();
        if let Some(count) = connections.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                connections.remove(&self.address);
            }
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, guests: Arc<Guests>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // Connections end with the server.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&places).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely; trying again at once would only burn the processor.
                tracing::warn!(%error, "user data connection not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let IpAddr::V4(address) = peer.ip() else { continue };
        let Some(place) = Place::take(&guests, address) else { continue };
        connections.spawn(async move {
            let serve = service_fn(|request| {
                let response = respond(&place.guests, address, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_DEADLINE)
                .max_buf_size(REQUEST_BYTES)
                .serve_connection(TokioIo::new(stream), serve);
            // A guest that hangs up or dawdles concerns only itself.
            let _ = tokio::time::timeout(CONNECTION_DEADLINE, connection).await;
            drop(permit);
        });
    }
}

fn respond<B>(guests: &Guests, address: Ipv4Addr, request: &Request<B>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served\n".to_owned());
        response.headers_mut().insert(ALLOW, http::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match userdata::find(&guests.paths, guests.l3_network, address) {
        Ok(guest) => match guest.and_then(|guest| userdata::answer(&guest, request.uri().path())) {
            Some(answer) => text(StatusCode::OK, answer),
            None => text(StatusCode::NOT_FOUND, "not found\n".to_owned()),
        },
        Err(error) => {
            tracing::error!(%error, guest = %address, "user data not readable");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the host cannot read it\n".to_owned())
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

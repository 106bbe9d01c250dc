//! The front's connections: how many there are, and what each may take.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use gantry_common::error::ErrorKind;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{Limits, RETRY_AFTER_SECONDS};
use crate::failure::Failure;

/// Clients that are told at the same time that there are too many; more wait in the system's own queue.
const REFUSALS: usize = 32;

/// How long a client that is refused has to read so.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait where the system has no room for a connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// Serves the application until `stop` ends, and then until its requests are answered.
pub async fn serve(listener: TcpListener, application: Router, limits: Limits, stop: impl Future<Output = ()>) {
    let connections = Arc::new(Connections::new(&limits));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let (open, stopping) = (TaskTracker::new(), CancellationToken::new());
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_the_clients(&error) => continue,
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted");
                tokio::time::sleep(NO_ROOM).await;
                continue;
            }
        };
        match connections.take(from.ip()) {
            Ok(place) => {
                let serving = connection(stream, from, application.clone(), limits.clone(), stopping.clone());
                open.spawn(async move {
                    if let Err(error) = serving.await {
                        tracing::debug!(%from, %error, "a connection broke off");
                    }
                    drop(place);
                });
            }
            Err(why) => {
                tracing::warn!(%from, why, "a connection is refused");
                if let Ok(turn) = refusals.clone().acquire_owned().await {
                    tokio::spawn(async move {
                        let _ = timeout(REFUSAL_PATIENCE, refuse(stream, why)).await;
                        drop(turn);
                    });
                }
            }
        }
    }
    drop(listener);
    stopping.cancel();
    open.close();
    open.wait().await;
}

/// One connection, from its first request to its last; the first after `stop` is the last.
async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    application: Router,
    limits: Limits,
    stop: CancellationToken,
) -> hyper::Result<()> {
    // A key that is typed at a console, and the letter that appears, wait for no further ones.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%from, %error, "small answers of a connection may be late");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_patience));
    let answer = move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(from));
        application.clone().oneshot(request.map(Body::new))
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_patience)
        .max_header_size(limits.head_bytes)
        .serve_connection(TokioIo::new(Box::pin(stream)), service_fn(answer))
        // A connection that becomes a console's is none of these any more: a setting says how many consoles there may be.
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// Whether a connection broke before it was accepted, which says nothing of the next one.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Says that there are too many connections, whatever is asked.
async fn refuse(mut stream: TcpStream, why: &str) -> io::Result<()> {
    let body = Failure::new(ErrorKind::Busy, format!("{why}; nothing was done: try again later")).to_body().to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: {}\r\n\
         Retry-After: {RETRY_AFTER_SECONDS}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // A connection closed with something unread is reset, and the client may lose the answer.
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// The connections that are open.
struct Connections {
    all: Arc<Semaphore>,
    most_of_one: usize,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// Held by an open connection.
struct Place {
    _one_of_all: OwnedSemaphorePermit,
    address: IpAddr,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Connections {
    fn new(limits: &Limits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connections)),
            most_of_one: limits.connections_per_address,
            addresses: Arc::default(),
        }
    }

    fn take(&self, address: IpAddr) -> Result<Place, &'static str> {
        let address = address.to_canonical();
        let one_of_all =
            self.all.clone().try_acquire_owned().map_err(|_| "the node has as many connections as it may have")?;
        let mut addresses = self.addresses.lock();
        let here = addresses.entry(address).or_default();
        // A proxy on this machine brings everyone's calls.
        if *here >= self.most_of_one && !address.is_loopback() {
            return Err("this address has as many connections as it may have");
        }
        *here += 1;
        Ok(Place { _one_of_all: one_of_all, address, addresses: self.addresses.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock();
        if let Some(here) = addresses.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_a_proxy_here_has_them_all() {
        let connections = Connections::new(&Limits { connections: 5, connections_per_address: 2, ..Limits::default() });
        let take = |address: &str| connections.take(address.parse().unwrap());
        let mut held: Vec<Place> = ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"].map(|a| take(a).unwrap()).into();
        assert_eq!(take("10.0.0.1").err(), Some("this address has as many connections as it may have"));
        held.remove(0);
        held.push(take("10.0.0.1").unwrap());
        held.truncate(0);
        assert!(connections.addresses.lock().is_empty());
        held.extend((0..5).map(|_| take("127.0.0.1").unwrap()));
        assert_eq!(take("10.0.0.3").err(), Some("the node has as many connections as it may have"));
    }
}

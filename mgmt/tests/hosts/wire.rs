//! The node's authority, running agents, and a wire between the two that can be cut or held.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::any};
use gantry_agent::server::{Server, identity::Identity};
use gantry_common::id::HostUuid;
use gantry_mgmt::hosts::{
    link::{HostEndpoint, Link},
    pki::Authority,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::double::Double;

/// The longest silence of an agent that is there.
pub const MAX_SILENCE: Duration = Duration::from_secs(4);

pub fn authority() -> (TempDir, Arc<Authority>) {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::open_or_create(directory.path()).unwrap();
    (directory, authority)
}

pub fn identity(authority: &Authority, host: HostUuid) -> Arc<Identity> {
    let issued = authority.issue_host(host).unwrap();
    Arc::new(Identity::in_memory(host, &issued.certificate_pem, &issued.key_pem, &issued.ca_pem).unwrap())
}

/// An agent that runs in this process.
pub struct RunningAgent {
    pub host: HostUuid,
    pub double: Arc<Double>,
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<()>,
}

impl RunningAgent {
    pub async fn start(authority: &Authority) -> Self {
        let host = HostUuid::random();
        Self::start_as(identity(authority, host), "127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_as(identity: Arc<Identity>, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let double = Double::new();
        let peer_routes = Router::new().route("/v1/images/{name}", any(async || "image"));
        let (host, shutdown) = (identity.host(), CancellationToken::new());
        let server = Server::new(Arc::clone(&double) as _, identity, peer_routes);
        let task = tokio::spawn(server.serve(listener, shutdown.clone()));
        Self { host, double, address, shutdown, task }
    }

    pub fn endpoint(&self) -> HostEndpoint {
        self.endpoint_at(self.address)
    }

    pub fn endpoint_at(&self, address: SocketAddr) -> HostEndpoint {
        HostEndpoint { host: self.host, address: address.ip().to_string(), port: address.port() }
    }

    pub async fn link(&self, authority: &Arc<Authority>) -> Link {
        Link::connect(&self.endpoint(), authority.client_config().unwrap(), MAX_SILENCE).await.unwrap()
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Forwards,
    /// Nothing gets through and nobody is told: a host without power, or stopped.
    Holds,
    /// Connections are closed.
    Cut,
}

/// A proxy in front of an agent.
pub struct Proxy {
    pub address: SocketAddr,
    pub wire: watch::Sender<Wire>,
}

impl Proxy {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (wire, state) = watch::channel(Wire::Forwards);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(connect(near, target, state.clone()));
            }
        });
        Self { address, wire }
    }
}

async fn connect(near: TcpStream, target: SocketAddr, mut state: watch::Receiver<Wire>) {
    if *state.borrow() == Wire::Cut {
        return;
    }
    let far = TcpStream::connect(target).await.unwrap();
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let there = forward(near_in, far_out, state.clone());
    let back = forward(far_in, near_out, state.clone());
    tokio::select! {
        _ = async { tokio::join!(there, back) } => {}
        _ = state.wait_for(|wire| *wire == Wire::Cut) => {}
    }
}

async fn forward(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut state: watch::Receiver<Wire>,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read) = from.read(&mut buffer).await {
        if state.wait_for(|wire| *wire == Wire::Forwards).await.is_err() {
            return;
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            let _ = to.shutdown().await;
            return;
        }
    }
}

//! Where a node posts the results of its jobs to.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use gantry_common::id::JobUuid;
use parking_lot::Mutex;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::client::eventually;

/// One result as it came.
#[derive(Debug, Clone)]
pub struct Posted {
    pub job: JobUuid,
    pub success: String,
    pub body: Value,
}

type Inbox = Arc<Mutex<Vec<Posted>>>;

pub struct Receiver {
    pub address: SocketAddr,
    inbox: Inbox,
    gone: CancellationToken,
}

/// An address where nobody listens, and nobody else will: this machine has sixteen million of its own.
pub async fn nobody() -> SocketAddr {
    let [a, b, c, ..] = *JobUuid::random().as_uuid().as_bytes();
    let listener =
        tokio::net::TcpListener::bind((Ipv4Addr::new(127, a.clamp(2, 254), b, c.clamp(1, 254)), 0)).await.unwrap();
    listener.local_addr().unwrap()
}

pub fn url(address: SocketAddr) -> String {
    format!("http://{address}/results")
}

impl Receiver {
    pub async fn listen() -> Self {
        Self::listen_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn listen_at(address: SocketAddr) -> Self {
        let inbox = Inbox::default();
        let router = Router::new().route("/results", axum::routing::post(take)).with_state(Arc::clone(&inbox));
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let gone = CancellationToken::new();
        let leave = gone.clone().cancelled_owned();
        tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(leave).await });
        Self { address, inbox, gone }
    }

    pub fn url(&self) -> String {
        url(self.address)
    }

    pub fn posted(&self) -> Vec<Posted> {
        self.inbox.lock().clone()
    }

    pub async fn result_of(&self, job: JobUuid) -> Posted {
        eventually(&format!("the result of {job} arrives"), async || {
            self.inbox.lock().iter().find(|posted| posted.job == job).cloned()
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.gone.cancel();
    }
}

async fn take(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert!(header("content-type").starts_with("application/json"));
    inbox.lock().push(Posted {
        job: header("x-job-uuid").parse().unwrap(),
        success: header("x-job-success"),
        body: serde_json::from_slice(&body).unwrap(),
    });
    StatusCode::OK
}

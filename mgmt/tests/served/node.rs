//! A node with an empty inventory that serves its API on a port of its own for as long as the test runs.

use std::{net::SocketAddr, sync::Arc};

use gantry_mgmt::{
    api::{self, Limits},
    config::Overrides,
    node::{Node, Start},
    password,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const PASSWORD: &str = "a password of the tests";

pub struct ServedNode {
    pub node: Arc<Node>,
    pub address: SocketAddr,
    _data: tempfile::TempDir,
}

impl ServedNode {
    pub async fn start(limits: Limits) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let data = tempfile::tempdir().unwrap();
        let mut config = Overrides { data: Some(data.path().to_owned()), ..Overrides::default() }.finish();
        config.limits = limits.clone();
        let start = Start { config, admin_password: Some(PASSWORD.to_owned()), failpoint: None };
        let node = Node::open(start).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(api::serve(listener, api::application(node.clone()), limits, std::future::pending()));
        node.run().await.unwrap();
        Self { node, address, _data: data }
    }
}

/// The body of the call that logs the operator in.
pub fn login() -> Value {
    json!({ "logInByAccount": { "accountName": "admin", "password": right_digest() } })
}

/// What the operator's clients send for the password.
pub fn right_digest() -> String {
    digest(PASSWORD)
}

pub fn digest(password: &str) -> String {
    password::digest(password).expose().to_owned()
}

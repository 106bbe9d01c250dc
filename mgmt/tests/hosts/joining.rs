//! `gantry-agent join` against the node's side of it, over HTTP.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use gantry_agent::{
    config::Config,
    image::http_client,
    join::{JoinError, Joining},
    server::{identity::Identity, tls_files::TlsFiles},
};
use gantry_common::{
    agent::DescribeHost,
    error::ErrorKind,
    id::{HostUuid, NodeUuid, OperationId},
    join::{JOIN_PATH, JoinReply, JoinRequest, JoinToken},
};
use gantry_mgmt::hosts::{
    join::{KeyDigest, accept, new_token, verify},
    pki::Authority,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::wire::{RunningAgent, authority};

type Change = fn(&mut JoinReply);

/// A node with one token, which belongs to the key that used it first.
struct Node {
    authority: Arc<Authority>,
    node: NodeUuid,
    host: HostUuid,
    token: JoinToken,
    key: Mutex<Option<KeyDigest>>,
    asked: AtomicUsize,
    /// What somebody on the way does to the answer.
    change: Mutex<Option<Change>>,
    _directory: tempfile::TempDir,
}

impl Node {
    async fn start() -> (Arc<Self>, String) {
        let (directory, authority) = authority();
        let node = Arc::new(Self {
            authority,
            node: NodeUuid::random(),
            host: HostUuid::random(),
            token: new_token(),
            key: Mutex::new(None),
            asked: AtomicUsize::new(0),
            change: Mutex::new(None),
            _directory: directory,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().route(JOIN_PATH, post(answer)).with_state(Arc::clone(&node));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (node, server)
    }
}

async fn answer(State(node): State<Arc<Node>>, Json(request): Json<JoinRequest>) -> (StatusCode, Json<Value>) {
    node.asked.fetch_add(1, Ordering::SeqCst);
    let refuse = |reason: String| {
        let error = ErrorKind::PermissionDenied.with(reason);
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": error })))
    };
    if request.token_id != node.token.id() {
        return refuse("there is no such token".to_owned());
    }
    let key = match verify(&request, node.token.secret()) {
        Ok(key) => key,
        Err(error) => return refuse(error.to_string()),
    };
    if *node.key.lock().get_or_insert(key) != key {
        return refuse("the token is used up".to_owned());
    }
    let mut reply = accept(&node.authority, node.node, node.host, node.token.secret(), &request).unwrap();
    if let Some(change) = *node.change.lock() {
        change(&mut reply);
    }
    (StatusCode::OK, Json(serde_json::to_value(reply).unwrap()))
}

fn joining(token: &JoinToken, server: &str, directory: &Path) -> Joining {
    let mut template = Config::new(HostUuid::random(), NodeUuid::random());
    template.tls_dir = directory.join("gantry/tls");
    template.allow_emulation = true;
    let config_path = directory.join("gantry/agent.toml");
    Joining { token: token.clone(), server: server.parse().unwrap(), address: None, config_path, template }
}

async fn join(joining: Joining) -> Result<Config, JoinError> {
    joining.join(&http_client().unwrap()).await
}

#[tokio::test]
async fn a_host_that_joined_is_commanded_by_the_node() {
    let (node, server) = Node::start().await;
    let directory = tempfile::tempdir().unwrap();
    let config = join(joining(&node.token, &server, directory.path())).await.unwrap();
    assert_eq!((config.host_uuid, config.node_uuid), (node.host, node.node));
    assert_eq!(Config::load(&directory.path().join("gantry/agent.toml")).unwrap(), config);
    let identity = Identity::from_files(config.host_uuid, TlsFiles::new(&config.tls_dir)).unwrap();
    let agent = RunningAgent::start_as(Arc::new(identity), "127.0.0.1:0".parse().unwrap()).await;
    agent.link(&node.authority).await.call(OperationId::random(), &DescribeHost {}).await.unwrap();
}

#[tokio::test]
async fn joining_twice_by_the_same_token_changes_nothing_and_by_another_is_refused() {
    let (node, server) = Node::start().await;
    let directory = tempfile::tempdir().unwrap();
    let first = join(joining(&node.token, &server, directory.path())).await.unwrap();
    let certificate = fs::read(first.tls_dir.join("cert.pem")).unwrap();
    assert_eq!(join(joining(&node.token, &server, directory.path())).await.unwrap(), first);
    assert_eq!(node.asked.load(Ordering::SeqCst), 1);
    let error = join(joining(&new_token(), &server, directory.path())).await.unwrap_err();
    assert!(matches!(error, JoinError::Joined { .. }), "{error}");
    assert!(error.to_string().contains(&node.node.to_string()), "{error}");
    assert_eq!(fs::read(first.tls_dir.join("cert.pem")).unwrap(), certificate);
}

#[tokio::test]
async fn a_join_interrupted_at_any_file_is_finished_by_the_same_call() {
    // What is on the disk if the power fails before the file is written: nothing but the key, the configuration, the
    // authority, and everything but the key's last name.
    for written in [
        &["key.pending.pem"][..],
        &["key.pending.pem", "agent.toml"],
        &["key.pending.pem", "agent.toml", "ca.pem"],
        &["key.pending.pem", "agent.toml", "ca.pem", "cert.pem"],
    ] {
        let (node, server) = Node::start().await;
        let whole = tempfile::tempdir().unwrap();
        join(joining(&node.token, &server, whole.path())).await.unwrap();
        let broken = tempfile::tempdir().unwrap();
        fs::create_dir_all(broken.path().join("gantry/tls")).unwrap();
        for name in written {
            let below = if *name == "agent.toml" { "gantry" } else { "gantry/tls" };
            let from = if *name == "key.pending.pem" { "key.pem" } else { *name };
            fs::copy(whole.path().join(below).join(from), broken.path().join(below).join(name)).unwrap();
        }
        // The configuration names its own directory for the certificates.
        let path = broken.path().join("gantry/agent.toml");
        if let Ok(text) = fs::read_to_string(&path) {
            let [from, to] = [whole.path(), broken.path()].map(|path| path.display().to_string());
            fs::write(&path, text.replace(&from, &to)).unwrap();
        }
        let config = join(joining(&node.token, &server, broken.path())).await.unwrap();
        assert_eq!(config.host_uuid, node.host, "{written:?}");
        Identity::from_files(config.host_uuid, TlsFiles::new(&config.tls_dir)).unwrap();
        assert!(!config.tls_dir.join("key.pending.pem").exists());
    }
}

#[tokio::test]
async fn a_changed_answer_is_not_trusted_and_leaves_no_membership() {
    let (node, server) = Node::start().await;
    let changes: [Change; 3] = [
        |reply| reply.membership.host_uuid = HostUuid::random(),
        |reply| reply.membership.node_uuid = NodeUuid::random(),
        |reply| {
            let (_directory, attacker) = authority();
            reply.membership.ca_pem = attacker.ca_pem().to_owned();
        },
    ];
    let directory = tempfile::tempdir().unwrap();
    for change in changes {
        *node.change.lock() = Some(change);
        let error = join(joining(&node.token, &server, directory.path())).await.unwrap_err();
        assert!(matches!(error, JoinError::Reply { .. }), "{error}");
        assert!(!directory.path().join("gantry/agent.toml").exists());
        assert!(!directory.path().join("gantry/tls/cert.pem").exists());
    }
    *node.change.lock() = None;
    join(joining(&node.token, &server, directory.path())).await.unwrap();
}

#[tokio::test]
async fn a_second_host_cannot_use_the_token_and_is_told_so() {
    let (node, server) = Node::start().await;
    let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    join(joining(&node.token, &server, first.path())).await.unwrap();
    let error = join(joining(&node.token, &server, second.path())).await.unwrap_err();
    assert!(matches!(&error, JoinError::Refused { reason, .. } if reason == "the token is used up"), "{error}");
    assert!(!second.path().join("gantry/agent.toml").exists());
}

#[tokio::test]
async fn a_node_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = format!("http://{}", closed.local_addr().unwrap());
    let error = join(joining(&new_token(), &server, directory.path())).await.unwrap_err();
    assert!(matches!(error, JoinError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&format!("{server}{JOIN_PATH}")), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

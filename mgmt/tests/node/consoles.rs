use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use gantry_common::{
    agent::VmState,
    id::{AccountUuid, HostUuid, JobUuid, VmUuid},
};
use gantry_mgmt::{
    failure::Failure,
    resource::{VmInstance, VmInstanceState},
};
use http::Method;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, protocol::CloseFrame},
};

use super::{
    api::{Api, details},
    tenants::make_account,
    wire::RunningAgent,
    world::World,
};

const PATIENCE: Duration = Duration::from_secs(60);

type Viewer = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A node with one connected host on which one VM runs.
struct Site {
    api: Api,
    agent: RunningAgent,
    vm: VmUuid,
}

impl Site {
    async fn start() -> Self {
        let api = Api::start().await;
        let agent = RunningAgent::start(&api.node.authority).await;
        *agent.double.vm_state.lock() = Some(VmState::Running);
        let world = World::with_host(&api, agent.host).await;
        api.node.fleet.watch(agent.endpoint());
        api.node.fleet.wait_connected(agent.host, PATIENCE).await.unwrap();
        let vm = world.vm(&api, VmInstanceState::Stopped, Duration::ZERO).await;
        let site = Self { api, agent, vm };
        site.put(VmInstanceState::Running, Some(site.agent.host)).await;
        site
    }

    async fn put(&self, state: VmInstanceState, host_uuid: Option<HostUuid>) {
        let vm = self.vm;
        let change = self.api.node.store.write(move |tx| {
            let known = tx.get::<VmInstance>(vm)?.unwrap();
            tx.save(&VmInstance { state, host_uuid, ..known }).map_err(Failure::from)
        });
        assert!(change.await.unwrap());
    }

    async fn request(&self) -> Result<Value, Value> {
        let granted = self.api.post("/consoles", json!({ "vmInstanceUuid": self.vm })).await?;
        Ok(granted["inventory"].clone())
    }

    async fn token(&self) -> String {
        self.request().await.unwrap()["token"].as_str().unwrap().to_owned()
    }

    async fn connect(&self, token: &str) -> Viewer {
        let url = format!("ws://{}/websockify?token={token}", self.api.address);
        tokio_tungstenite::connect_async(url).await.unwrap().0
    }

    /// A console, from its viewer's side and from the VM's.
    async fn open(&self) -> (Viewer, DuplexStream) {
        let viewer = self.connect(&self.token().await).await;
        let (vm, screen) = timeout(PATIENCE, self.agent.double.screen()).await.unwrap();
        assert_eq!(vm, self.vm);
        (viewer, screen)
    }
}

/// Reads to the end, and answers why it came.
async fn end(mut viewer: Viewer) -> CloseFrame {
    let read = async {
        loop {
            match viewer.next().await.expect("it ended without a reason").unwrap() {
                Message::Close(why) => return why.unwrap(),
                _ => continue,
            }
        }
    };
    timeout(PATIENCE, read).await.expect("it does not end")
}

async fn refused(site: &Site, token: &str) -> String {
    let why = end(site.connect(token).await).await;
    assert_eq!(u16::from(why.code), 1008, "{why}");
    why.reason.to_string()
}

#[tokio::test]
async fn two_viewers_with_an_address_each_see_the_screen_and_type() {
    let site = Site::start().await;
    let (mut one, mut one_screen) = site.open().await;
    let (mut other, mut other_screen) = site.open().await;
    for (viewer, screen, key) in [(&mut one, &mut one_screen, b"1"), (&mut other, &mut other_screen, b"2")] {
        screen.write_all(b"RFB 003.008\n").await.unwrap();
        let message = timeout(PATIENCE, viewer.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(message, Message::binary(&b"RFB 003.008\n"[..]));
        viewer.send(Message::binary(&key[..])).await.unwrap();
        let mut typed = [0; 1];
        screen.read_exact(&mut typed).await.unwrap();
        assert_eq!(&typed, key);
    }
    assert_eq!(site.api.node.consoles.len(), 2);
    one.close(None).await.unwrap();
    // The VM's side hears of it.
    assert_eq!(one_screen.read(&mut [0]).await.unwrap(), 0);
    other_screen.write_all(b"still here").await.unwrap();
    assert_eq!(other.next().await.unwrap().unwrap(), Message::binary(&b"still here"[..]));
}

#[tokio::test]
async fn an_address_is_where_the_caller_reached_the_node_unless_the_proxy_has_one_of_its_own() {
    let site = Site::start().await;
    let granted = site.request().await.unwrap();
    let (token, port) = (granted["token"].as_str().unwrap(), site.api.address.port());
    assert_eq!(
        (&granted["scheme"], &granted["hostname"], &granted["port"]),
        (&json!("http"), &json!("127.0.0.1"), &json!(port))
    );
    assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    assert_eq!(granted["url"], json!(format!("http://127.0.0.1:{port}/console#token={token}&name=vm")));

    let agents = site.api.inventories("/consoles/agents").await;
    assert_eq!(agents.len(), 1);
    assert_eq!(
        (&agents[0]["type"], &agents[0]["status"]),
        (&json!("ManagementServerConsoleProxy"), &json!("Connected"))
    );
    let path = format!("/consoles/agents/{}", agents[0]["uuid"].as_str().unwrap());
    let update = async |address: &str| {
        let params = json!({ "consoleProxyOverriddenIp": address });
        site.api.act(&path, "updateConsoleProxyAgent", params).await
    };
    assert_eq!(
        update("console.example.org").await.unwrap()["inventory"]["consoleProxyOverriddenIp"],
        "console.example.org"
    );
    let granted = site.request().await.unwrap();
    assert_eq!((&granted["hostname"], &granted["port"]), (&json!("console.example.org"), &json!(port)));
    assert!(granted["url"].as_str().unwrap().starts_with(&format!("http://console.example.org:{port}/console#")));
    for wrong in ["0.0.0.0", "a b", "host:80", "http://host"] {
        let refused = update(wrong).await.unwrap_err();
        assert_eq!(refused["code"], "SYS.1007");
        assert!(details(&refused).contains(&format!("consoleProxyOverriddenIp '{wrong}'")), "{refused}");
    }
    assert_eq!(update("").await.unwrap()["inventory"].get("consoleProxyOverriddenIp"), None);
    assert_eq!(site.request().await.unwrap()["hostname"], "127.0.0.1");
}

#[tokio::test]
async fn a_token_opens_one_console_once() {
    let site = Site::start().await;
    let token = site.token().await;
    let mut viewer = site.connect(&token).await;
    let (_, _screen) = site.agent.double.screen().await;
    assert!(refused(&site, &token).await.contains("was used"));
    for wrong in ["", "0", &"0".repeat(32), &token[1..], &format!("{token}0")] {
        assert!(refused(&site, wrong).await.contains("request another one"));
    }
    viewer.send(Message::binary(&b"x"[..])).await.unwrap();

    // Of two at the same time, one gets in.
    let token = site.token().await;
    let (one, other) = tokio::join!(site.connect(&token), site.connect(&token));
    let (_, screen) = site.agent.double.screen().await;
    drop(screen);
    let codes = [u16::from(end(one).await.code), u16::from(end(other).await.code)];
    assert!(codes.contains(&1008) && codes.contains(&4001), "{codes:?}");
}

#[tokio::test]
async fn a_token_expires() {
    let site = Site::start().await;
    site.api.set("console", "vnc.token.timeout", "1").await.unwrap();
    let token = site.token().await;
    let began = Instant::now();
    while began.elapsed() <= Duration::from_millis(1001) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(refused(&site, &token).await.contains("has expired"));
}

#[tokio::test]
async fn a_token_ends_with_the_run_of_its_vm() {
    let site = Site::start().await;
    let token = site.token().await;
    site.put(VmInstanceState::Stopped, None).await;
    let refusal = site.request().await.unwrap_err();
    assert_eq!(refusal["code"], "SYS.1010");
    assert!(details(&refusal).contains("VM 'vm' is Stopped: it has a console only while it runs"), "{refusal}");
    site.put(VmInstanceState::Running, Some(site.agent.host)).await;
    assert!(refused(&site, &token).await.contains("has stopped since"));
}

#[tokio::test]
async fn an_account_opens_the_consoles_of_its_own_vms_and_of_no_others_and_only_for_as_long_as_they_are_its_own() {
    let site = Site::start().await;
    let operator = &site.api;
    let alice = make_account(operator, "alice").await.unwrap();
    let as_alice = operator.log_in_as("alice", "alice").await.unwrap();
    let params = json!({ "vmInstanceUuid": site.vm });
    assert_eq!(as_alice.post("/consoles", params.clone()).await.unwrap_err()["code"], "SYS.1009");
    assert_eq!(as_alice.call(Method::GET, "/consoles/agents", Value::Null).await.unwrap_err()["code"], "ID.1002");
    let all = json!({ "reconnectConsoleProxyAgent": {} });
    assert_eq!(as_alice.call(Method::PUT, "/consoles/agents", all).await.unwrap_err()["code"], "ID.1002");

    let give = async |account: AccountUuid| {
        let given = operator.post(&format!("/account/{account}/resources"), json!({ "resourceUuid": site.vm })).await;
        given.unwrap();
    };
    give(alice).await;
    let granted = async || as_alice.post("/consoles", params.clone()).await.unwrap()["inventory"]["token"].clone();
    let (used, kept) = (granted().await, granted().await);
    let _viewer = site.connect(used.as_str().unwrap()).await;
    timeout(PATIENCE, site.agent.double.screen()).await.unwrap();
    give(operator.node.admin).await;
    refused(&site, kept.as_str().unwrap()).await;
}

#[tokio::test]
async fn a_token_is_stored_nowhere_and_outlives_its_session() {
    let site = Site::start().await;
    let granted = site.request().await.unwrap();
    let token = granted["token"].as_str().unwrap();
    for entry in std::fs::read_dir(&site.api.node.config.data).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(32).any(|window| window == token.as_bytes()), "{}", path.display());
        }
    }
    site.api.log_out().await;
    let _viewer = site.connect(token).await;
    timeout(PATIENCE, site.agent.double.screen()).await.unwrap();
}

#[tokio::test]
async fn a_token_is_sealed_in_its_job_and_open_to_whoever_polls_or_is_posted_to() {
    let site = Site::start().await;
    let (post, posted) = tokio::sync::oneshot::channel();
    let post = Arc::new(Mutex::new(Some(post)));
    let receiver = axum::Router::new().fallback(async move |body: String| {
        post.lock().take().unwrap().send(body).unwrap();
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, receiver).await });

    let job = JobUuid::random();
    let call = reqwest::Client::new()
        .post(format!("http://{}/zstack/v1/consoles", site.api.address))
        .header("authorization", format!("OAuth {}", site.api.session()))
        .header("x-job-uuid", job.to_string())
        .header("x-web-hook", hook)
        .body(json!({ "params": { "vmInstanceUuid": site.vm } }).to_string());
    assert_eq!(call.send().await.unwrap().status(), 202);
    let posted: Value = serde_json::from_str(&timeout(PATIENCE, posted).await.unwrap().unwrap()).unwrap();
    let token = posted["inventory"]["token"].as_str().unwrap();
    assert_eq!(site.api.get(&format!("/api-jobs/{job}")).await, posted);
    let stored = site.api.node.store.read(move |tx| tx.job(job).map_err(Failure::from)).await.unwrap().unwrap();
    assert!(!stored.result.unwrap().to_string().contains(token));
    site.connect(token).await;
    timeout(PATIENCE, site.agent.double.screen()).await.unwrap();
}

#[tokio::test]
async fn a_viewer_is_told_why_its_console_ends() {
    let site = Site::start().await;
    let (viewer, screen) = site.open().await;
    *site.agent.double.vm_state.lock() = Some(VmState::Absent);
    drop(screen);
    assert_eq!(end(viewer).await.reason.as_str(), "The VM has stopped.");

    let why = end(site.connect(&site.token().await).await).await;
    assert!(why.reason.contains("cannot be opened") && why.reason.contains("not running"), "{why}");

    *site.agent.double.vm_state.lock() = Some(VmState::Running);
    let (viewer, _screen) = site.open().await;
    let agents = site.api.inventories("/consoles/agents").await;
    let agent = agents[0]["uuid"].as_str().unwrap();
    let body = json!({ "reconnectConsoleProxyAgent": { "agentUuids": [agent] } });
    let reconnected = site.api.call(Method::PUT, "/consoles/agents", body).await.unwrap();
    assert_eq!(reconnected["inventory"], json!({ agent: true }));
    assert!(end(viewer).await.reason.contains("reconnected by an operator"));
    let unknown = "0".repeat(32);
    let body = json!({ "reconnectConsoleProxyAgent": { "agentUuids": [unknown] } });
    let refused = site.api.call(Method::PUT, "/consoles/agents", body).await.unwrap_err();
    assert_eq!(refused["code"], "SYS.1009");

    let (viewer, _screen) = site.open().await;
    let agent = site.agent.host;
    site.api.node.fleet.forget(agent).await;
    assert!(end(viewer).await.reason.contains("connection to the VM's host was lost"));
}

#[tokio::test]
async fn there_are_only_so_many_consoles_and_a_text_is_no_rfb() {
    let site = Site::start().await;
    site.api.set("console", "proxy.maxConnections", "1").await.unwrap();
    let (mut viewer, _screen) = site.open().await;
    let why = end(site.connect(&site.token().await).await).await;
    assert_eq!((u16::from(why.code), why.reason.contains("1 consoles are open")), (1013, true), "{why}");
    viewer.send(Message::text("hello")).await.unwrap();
    assert_eq!(u16::from(end(viewer).await.code), 1003);
}

#[tokio::test]
async fn a_console_in_which_nothing_happens_is_closed() {
    let site = Site::start().await;
    site.api.set("console", "proxy.idleTimeout", "10").await.unwrap();
    let (viewer, _screen) = site.open().await;
    assert_eq!(end(viewer).await.reason.as_str(), "Nothing happened for 10 seconds: request another address.");
}

#[tokio::test]
async fn a_node_that_stops_says_so_to_every_viewer() {
    let site = Site::start().await;
    let (viewer, _screen) = site.open().await;
    let (why, ()) = tokio::join!(end(viewer), site.api.node.consoles.stop());
    assert_eq!(u16::from(why.code), 1001);
    assert!(site.api.node.consoles.is_empty());
    assert_eq!(u16::from(end(site.connect(&site.token().await).await).await.code), 1001);
}

#[tokio::test]
async fn the_page_loads_its_own_parts_alone_and_tells_nobody_where_it_was() {
    let site = Site::start().await;
    let get = async |path: &str| reqwest::get(format!("http://{}{path}", site.api.address)).await.unwrap();
    for path in [
        "/console",
        "/console/console.js",
        "/console/console.css",
        "/console/novnc-1.7.0/core/rfb.js",
        "/console/licence",
    ] {
        let answer = get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap();
        assert!(header("content-security-policy").starts_with("default-src 'none'; script-src 'self';"));
        assert!(!header("content-security-policy").contains("unsafe"));
        assert_eq!((header("referrer-policy"), header("x-content-type-options")), ("no-referrer", "nosniff"));
    }
    let page = get("/console").await.text().await.unwrap();
    assert!(!page.contains("<style") && !page.contains("javascript:") && !page.contains("//"), "{page}");
    assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=").count());
    assert_eq!(get("/websockify?token=x").await.status(), 400);
}

use gantry_common::id::HostUuid;
use gantry_mgmt::hosts::link::{ConnectError, HostEndpoint, Link};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpSocket},
};

use super::wire::{MAX_SILENCE, RunningAgent, authority};

async fn connect(endpoint: &HostEndpoint) -> ConnectError {
    let (_directory, authority) = authority();
    Link::connect(endpoint, authority.client_config().unwrap(), MAX_SILENCE).await.err().unwrap()
}

fn endpoint(port: u16) -> HostEndpoint {
    HostEndpoint { host: HostUuid::random(), address: "127.0.0.1".to_owned(), port }
}

#[tokio::test]
async fn an_agent_of_another_node_is_named_as_such() {
    let (_directory, other) = authority();
    let agent = RunningAgent::start(&other).await;
    let error = connect(&agent.endpoint()).await;
    assert!(matches!(error, ConnectError::OtherNode { .. }), "{error}");
}

#[tokio::test]
async fn an_agent_of_another_host_is_named_as_such() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    let endpoint = HostEndpoint { host: HostUuid::random(), ..agent.endpoint() };
    let error = Link::connect(&endpoint, authority.client_config().unwrap(), MAX_SILENCE).await.err().unwrap();
    let ConnectError::OtherHost { found, .. } = &error else { panic!("{error}") };
    assert!(found.contains(&agent.host.to_string()), "{error}");
}

#[tokio::test]
async fn a_port_without_a_listener_refuses() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = connect(&endpoint(socket.local_addr().unwrap().port())).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_unreachable() {
    let error = connect(&HostEndpoint { address: "host.invalid".to_owned(), ..endpoint(1) }).await;
    assert!(matches!(error, ConnectError::Unreachable { .. } | ConnectError::Timeout { .. }), "{error}");
    assert!(error.to_string().contains("host.invalid:1"), "{error}");
}

#[tokio::test]
async fn a_listener_that_says_nothing_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = connect(&endpoint(listener.local_addr().unwrap().port())).await;
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn what_is_no_agent_is_a_protocol_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    let error = connect(&endpoint(port)).await;
    assert!(matches!(error, ConnectError::Protocol { .. }), "{error}");
}

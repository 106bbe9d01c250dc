use std::sync::Arc;

use bytes::Bytes;
use gantry_common::{
    agent::{Call, DescribeHost, OPERATION_HEADER},
    certificate::CertificateFacts,
    id::{HostUuid, OperationId},
    role::Role,
};
use gantry_mgmt::hosts::pki::Authority;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::wire::{RunningAgent, authority, identity};

/// One request to the agent, over a connection of its own.
async fn request(
    agent: &RunningAgent,
    tls: Arc<ClientConfig>,
    method: Method,
    path: &str,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error>> {
    let name = Role::Host(agent.host).dns_name();
    let stream = TcpStream::connect(agent.address).await?;
    let stream = TlsConnector::from(tls).connect(ServerName::try_from(name.clone())?, stream).await?;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(format!("https://{name}{path}"))
        .header(OPERATION_HEADER, OperationId::random().to_string())
        .body(Full::<Bytes>::from("{}"))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

fn trusting(authority: &Authority) -> RootCertStore {
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_slice(authority.ca_pem().as_bytes()).unwrap()).unwrap();
    trusted
}

fn client() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = rustls::crypto::ring::default_provider();
    ClientConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions().unwrap()
}

#[tokio::test]
async fn a_peer_may_read_images_and_nothing_else() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    let peer = Arc::new(identity(&authority, HostUuid::random()).client_config().unwrap());
    for (method, path, expected) in [
        (Method::POST, "/v1/commands/describe_host", StatusCode::FORBIDDEN),
        (Method::POST, "/v1/commands/cancel_operation", StatusCode::FORBIDDEN),
        (Method::POST, "/v1/commands/install_certificate", StatusCode::FORBIDDEN),
        (Method::GET, "/v1/events", StatusCode::FORBIDDEN),
        (Method::GET, "/v1/images/a", StatusCode::OK),
        (Method::POST, "/v1/images/a", StatusCode::FORBIDDEN),
        (Method::DELETE, "/v1/images/a", StatusCode::FORBIDDEN),
        (Method::GET, "/v1/other", StatusCode::NOT_FOUND),
    ] {
        let (status, _) = request(&agent, Arc::clone(&peer), method.clone(), path).await.unwrap();
        assert_eq!(status, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn the_node_may_command() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    let facts = agent.link(&authority).await.call(OperationId::random(), &DescribeHost {}).await.unwrap();
    assert_eq!(facts.hostname, "double");
    // The double answers the same without a wire.
    let direct = gantry_common::agent::HostAgent::describe_host(
        &*agent.double,
        Call::detached(OperationId::random()),
        DescribeHost {},
    );
    assert_eq!(direct.await.unwrap(), facts);
}

#[tokio::test]
async fn a_node_of_another_authority_is_refused() {
    let (_directory, authority) = authority();
    let (_other_directory, other) = super::wire::authority();
    let agent = RunningAgent::start(&authority).await;
    let issued = other.issue_host(agent.host).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap()];
    assert_eq!(CertificateFacts::from_der(&chain[0]).unwrap().role, Role::Host(agent.host));
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
    let tls = client().with_root_certificates(trusting(&authority)).with_client_auth_cert(chain, key).unwrap();
    assert!(request(&agent, Arc::new(tls), Method::GET, "/v1/images/a").await.is_err());
}

#[tokio::test]
async fn a_caller_without_a_certificate_is_refused() {
    let (_directory, authority) = authority();
    let agent = RunningAgent::start(&authority).await;
    let tls = client().with_root_certificates(trusting(&authority)).with_no_client_auth();
    assert!(request(&agent, Arc::new(tls), Method::GET, "/v1/images/a").await.is_err());
}

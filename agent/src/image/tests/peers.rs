//! Images fetched from another agent over mutual TLS.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use gantry_common::{
    agent::{CacheImage, Peer},
    id::HostUuid,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::{ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::*;

const MIB: usize = 1 << 20;

/// A management node's authority.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }

    fn identity(&self, host: HostUuid) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![format!("{host}.host.gantry")]).unwrap();
        let certificate = certificate.signed_by(&key, &self.0).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    pub(super) fn client(&self, host: HostUuid) -> Arc<ClientConfig> {
        let (certificates, key) = self.identity(host);
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots())
            .with_client_auth_cert(certificates, key)
            .unwrap();
        Arc::new(config)
    }

    /// An agent that serves its images on a port of this machine; answers its address.
    pub(super) async fn serve(&self, host: HostUuid, protocols: &[&[u8]]) -> SocketAddr {
        self.serve_routes(host, protocols, images().serve()).await
    }

    /// An agent that serves these routes.
    pub(super) async fn serve_routes(&self, host: HostUuid, protocols: &[&[u8]], routes: Router) -> SocketAddr {
        let provider = Arc::new(ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(self.roots(), provider.clone()).build().unwrap();
        let (certificates, key) = self.identity(host);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(certificates, key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, routes) = (acceptor.clone(), routes.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let service = TowerToHyperService::new(routes);
                        // A client that leaves is no failure of the server.
                        let _ = auto::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    }
                });
            }
        });
        address
    }
}

/// Forwards to `target`; cuts the first connection after `cut_after` bytes from there. Answers its address and how many
/// connections it saw.
async fn cutting_proxy(target: SocketAddr, cut_after: u64) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let limit = if seen.fetch_add(1, Ordering::SeqCst) == 0 { cut_after } else { u64::MAX };
            tokio::spawn(async move {
                let mut server = TcpStream::connect(target).await.unwrap();
                let (client_reads, mut client_writes) = client.split();
                let (server_reads, mut server_writes) = server.split();
                let (mut client_reads, mut limited) = (client_reads, server_reads.take(limit));
                tokio::select! {
                    _ = copy(&mut client_reads, &mut server_writes) => (),
                    _ = copy(&mut limited, &mut client_writes) => (),
                }
                let _ = client_writes.shutdown().await;
            });
        }
    });
    (address, connections)
}

fn cache(store: &Store, primary: &Path, facts: &ImageFacts, host: HostUuid, address: SocketAddr) -> CacheImage {
    CacheImage {
        image: store.image,
        peer: Some(Peer { host, address: address.ip().to_string(), port: address.port() }),
        source_root: store.root().display().to_string(),
        source_path: store.path().display().to_string(),
        md5: facts.md5.clone(),
        format: facts.format,
        root: primary.display().to_string(),
        path: primary.join("imagecache/image").display().to_string(),
    }
}

/// A store with an image of `content`.
async fn store_with(content: &[u8]) -> (Store, ImageFacts) {
    let (store, directory) = (Store::new(), tempfile::tempdir().unwrap());
    let url = format!("file://{}", public_file(directory.path(), content).display());
    let facts = images().add_image(&call(), store.add(&url, ImageFormat::Raw)).await.unwrap();
    (store, facts)
}

#[tokio::test]
async fn an_image_comes_from_a_peer_once_for_all_who_ask_and_survives_a_cut_connection() {
    let content = noise(6 * MIB);
    let (store, facts) = store_with(&content).await;
    let authority = Authority::new();
    let host = HostUuid::random();
    for protocols in [&[&b"h2"[..], b"http/1.1"][..], &[b"h2"], &[b"http/1.1"], &[]] {
        let agent = authority.serve(host, protocols).await;
        let (address, connections) = cutting_proxy(agent, 3 * MIB as u64).await;
        let primary = tempfile::tempdir().unwrap();
        let images = Images { peers: authority.client(HostUuid::random()), ..images() };
        let callers = (0..4).map(|_| {
            let (images, command) = (images.clone(), cache(&store, primary.path(), &facts, host, address));
            tokio::spawn(async move { images.cache_image(&call(), command).await })
        });
        for outcome in futures_util::future::join_all(callers).await {
            assert_eq!(outcome.unwrap().unwrap(), facts);
        }
        assert_eq!(fs::read(primary.path().join("imagecache/image")).unwrap(), content);
        assert_eq!(connections.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_peer_without_the_hosts_certificate_is_not_believed() {
    let (store, facts) = store_with(&noise(MIB)).await;
    let authority = Authority::new();
    let (host, primary) = (HostUuid::random(), tempfile::tempdir().unwrap());
    let images = Images { peers: authority.client(HostUuid::random()), ..images() };
    for (agent, expected) in [
        (authority.serve(HostUuid::random(), &[b"h2"]).await, "certificate"),
        (Authority::new().serve(host, &[b"h2"]).await, "certificate"),
        (SocketAddr::from(([127, 0, 0, 1], 1)), "refused"),
    ] {
        let command = cache(&store, primary.path(), &facts, host, agent);
        let error = images.cache_image(&call(), command).await.unwrap_err();
        let AgentError::Transfer { url, reason } = error else { panic!("{error:?}") };
        assert!(url.contains(&host.to_string()) && reason.contains(expected), "{reason}");
        assert_eq!(reason.contains("gave up"), expected == "refused", "{reason}");
        assert_eq!(tree(primary.path()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_peer_gives_out_whole_images_of_its_stores_and_nothing_else() {
    let (store, facts) = store_with(&noise(MIB)).await;
    let authority = Authority::new();
    let (host, primary) = (HostUuid::random(), tempfile::tempdir().unwrap());
    let agent = authority.serve(host, &[b"h2"]).await;
    let images = Images { peers: authority.client(HostUuid::random()), ..images() };
    let plain = tempfile::tempdir().unwrap();
    let outside = public_file(plain.path(), &noise(MIB));
    std::os::unix::fs::symlink(&outside, store.root().join("link")).unwrap();
    fs::write(store.root().join("unrecorded"), "x").unwrap();
    for path in [
        PathBuf::from("/etc/passwd"),
        outside,
        store.root().join("link"),
        store.root().join("unrecorded"),
        store.root().join("absent"),
        store.root().join(STORE_MARKER),
        store.path().with_file_name("image.json"),
        store.path().join("../../../link"),
        "relative".into(),
        "".into(),
    ] {
        let command = CacheImage {
            source_path: path.display().to_string(),
            ..cache(&store, primary.path(), &facts, host, agent)
        };
        let error = images.cache_image(&call(), command).await.unwrap_err();
        let AgentError::Transfer { reason, .. } = error else { panic!("{path:?}: {error:?}") };
        assert!(reason.contains("404") || reason.contains("400"), "{path:?}: {reason}");
    }
    assert_eq!(tree(primary.path()), Vec::<String>::new());
}

#[tokio::test]
async fn an_image_that_is_not_the_expected_one_does_not_stay() {
    let (store, facts) = store_with(&noise(MIB)).await;
    let authority = Authority::new();
    let (host, primary) = (HostUuid::random(), tempfile::tempdir().unwrap());
    let agent = authority.serve(host, &[b"h2"]).await;
    let images = Images { peers: authority.client(HostUuid::random()), ..images() };
    let expected = ImageFacts { md5: "0".repeat(32), ..facts };
    let error = images.cache_image(&call(), cache(&store, primary.path(), &expected, host, agent)).await.unwrap_err();
    assert!(matches!(error, AgentError::Corrupt { .. }), "{error:?}");
    assert_eq!(tree(primary.path()), Vec::<String>::new());
}

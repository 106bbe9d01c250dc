//! Images on other agents' hosts.

use std::{net::SocketAddr, time::Duration};

use gantry_common::agent::{AgentError, Peer};
use reqwest::{Client, Url, redirect::Policy};
use rustls::ClientConfig;
use tokio::{net::lookup_host, time::timeout};

use super::download::{CONNECT_TIMEOUT, IDLE_TIMEOUT, Remote, reason};

const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The image at `path` on `peer`, fetched with the identity and the authority in `config`. The peer's certificate must
/// name its host: an address can change hands, a certificate cannot.
pub(crate) async fn remote(config: &ClientConfig, peer: &Peer, path: &str) -> Result<Remote, AgentError> {
    let host_name = format!("{}.host.gantry", peer.host);
    let name = format!("host {} at {}:{}", peer.host, peer.address.escape_debug(), peer.port);
    let failed = |reason: String| AgentError::Transfer { url: name.clone(), reason };

    let lookup = timeout(RESOLVE_TIMEOUT, lookup_host((peer.address.as_str(), peer.port)));
    let addresses: Vec<SocketAddr> = match lookup.await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(failed(format!("its address cannot be resolved: {error}"))),
        Err(_) => return Err(failed("its address was not resolved in time".into())),
    };
    let mut config = config.clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let client = Client::builder()
        .use_preconfigured_tls(config)
        .resolve_to_addrs(&host_name, &addresses)
        .https_only(true)
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(IDLE_TIMEOUT)
        .build()
        .map_err(|error| failed(reason(error)))?;
    let address = format!("https://{host_name}:{}{}", peer.port, super::serve::PATH);
    let url = Url::parse_with_params(&address, [("path", path)]).map_err(|error| failed(error.to_string()))?;
    Ok(Remote { client, url, name })
}

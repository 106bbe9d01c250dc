//! One HTTP/2 connection to one agent.

use std::{error::Error, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use gantry_common::{
    agent::{AgentError, CONSOLE_PROTOCOL, Command, Event, OPERATION_HEADER, console_path},
    certificate::CertificateFacts,
    id::{HostUuid, OperationId, VmUuid},
    role::Role,
};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::Incoming,
    client::conn::http2,
    ext::Protocol,
    upgrade::{self, Upgraded},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{CertificateError, ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, task::AbortHandle, time::timeout};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

/// How long connecting may take in all.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest reply and the longest line of the event stream. A snapshot of a thousand VMs has some hundred kilobytes.
const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// What may be under way of one stream, and of all streams together: a console whose viewer takes nothing must leave room for
/// replies and events. An agent opens 32 consoles at most.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 64 * STREAM_WINDOW_BYTES;

/// How long opening a console may take. The agent waits for libvirt for ten seconds.
const CONSOLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Where a host's agent answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEndpoint {
    /// The host, whose certificate the agent must show.
    pub host: HostUuid,
    /// Its address or name.
    pub address: String,
    /// Its agent's port.
    pub port: u16,
}

impl std::fmt::Display for HostEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // An IPv6 address needs brackets to be told from its port.
        if self.address.contains(':') {
            write!(f, "[{}]:{}", self.address, self.port)
        } else {
            write!(f, "{}:{}", self.address, self.port)
        }
    }
}

/// Why no connection to an agent came about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Nothing listens there.
    #[error("nothing listens on {endpoint}; check `systemctl status gantry-agent` on the host")]
    Refused {
        /// Where.
        endpoint: String,
    },
    /// No answer came in time.
    #[error("{endpoint} did not answer within {} s; check that the host is up and no firewall drops the port", CONNECT_TIMEOUT.as_secs())]
    Timeout {
        /// Where.
        endpoint: String,
    },
    /// The address is not known or not reachable.
    #[error("{endpoint} cannot be reached: {reason}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What the system said.
        reason: String,
    },
    /// The agent's certificate is from another authority.
    #[error("the agent on {endpoint} belongs to another management node: {reason}; remove the host there first")]
    OtherNode {
        /// Where.
        endpoint: String,
        /// What the check said.
        reason: String,
    },
    /// The agent is one of this node's, but on another host.
    #[error("the agent on {endpoint} is that of another host, {found}; check the host's address")]
    OtherHost {
        /// Where.
        endpoint: String,
        /// Whose certificate it showed.
        found: String,
    },
    /// The agent's certificate is not valid.
    #[error(
        "the certificate of the agent on {endpoint} is not valid: {reason}; check the host's clock, or add the host again"
    )]
    InvalidCertificate {
        /// Where.
        endpoint: String,
        /// What the check said.
        reason: String,
    },
    /// What answers does not speak as an agent does, or refuses this node.
    #[error("{endpoint} does not answer as an agent of this management node: {reason}")]
    Protocol {
        /// Where.
        endpoint: String,
        /// What went wrong.
        reason: String,
    },
}

/// Why a command has no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The agent refused or failed it.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The connection was lost before the outcome was known. Repeat it with the same operation id to learn it.
    #[error("the connection to the host was lost: {reason}")]
    Lost {
        /// How.
        reason: String,
    },
    /// There is no connection; the command was not sent.
    #[error("the host is not connected: {reason}")]
    NotConnected {
        /// Why not.
        reason: String,
    },
}

/// A connection to an agent. It closes when the last clone is dropped.
#[derive(Clone)]
pub struct Link {
    sender: http2::SendRequest<Full<Bytes>>,
    /// Begins every URI of a request.
    base: Arc<str>,
    certificate: CertificateFacts,
    closed: CancellationToken,
    driver: Arc<Driver>,
}

struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    /// Dials an agent. A connection that has been silent for half of `max_silence` is asked for a sign of life, and given
    /// up when none comes in the same time again. An agent's heartbeats keep it from ever being silent, so that no such
    /// frames go to a healthy host.
    pub async fn connect(
        endpoint: &HostEndpoint,
        tls: Arc<ClientConfig>,
        max_silence: Duration,
    ) -> Result<Self, ConnectError> {
        timeout(CONNECT_TIMEOUT, Self::dial(endpoint, tls, max_silence))
            .await
            .unwrap_or_else(|_| Err(ConnectError::Timeout { endpoint: endpoint.to_string() }))
    }

    async fn dial(
        endpoint: &HostEndpoint,
        tls: Arc<ClientConfig>,
        max_silence: Duration,
    ) -> Result<Self, ConnectError> {
        let protocol = |reason: String| ConnectError::Protocol { endpoint: endpoint.to_string(), reason };
        let name = Role::Host(endpoint.host).dns_name();
        let stream = TcpStream::connect((endpoint.address.as_str(), endpoint.port))
            .await
            .map_err(|error| tcp_error(endpoint, &error))?;
        stream.set_nodelay(true).map_err(|error| tcp_error(endpoint, &error))?;
        let server = ServerName::try_from(name.clone()).map_err(|error| protocol(error.to_string()))?;
        let stream =
            TlsConnector::from(tls).connect(server, stream).await.map_err(|error| tls_error(endpoint, &error))?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.ok_or_else(|| protocol("it shows no certificate".to_owned()))?;
        let certificate = CertificateFacts::from_der(certificate).map_err(|error| protocol(error.to_string()))?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(max_silence / 2)
            .keep_alive_timeout(max_silence / 2)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| protocol(text(&error)))?;
        let closed = CancellationToken::new();
        let guard = closed.clone().drop_guard();
        let driver = tokio::spawn(async move {
            let _guard = guard;
            if let Err(error) = connection.await {
                tracing::debug!("connection ended: {}", text(&error));
            }
        });
        let driver = Arc::new(Driver(driver.abort_handle()));
        Ok(Self { sender, base: format!("https://{name}").into(), certificate, closed, driver })
    }

    /// The certificate the agent showed.
    pub fn certificate(&self) -> &CertificateFacts {
        &self.certificate
    }

    /// Ends the connection, whoever else has a clone. Commands under way are [`CallError::Lost`].
    pub fn close(&self) {
        self.driver.0.abort();
    }

    /// Returns when the connection has ended.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Sends a command and waits for its outcome. Giving up waiting does not end the command.
    pub async fn call<C: Command>(&self, operation: OperationId, command: &C) -> Result<C::Reply, CallError> {
        let body = serde_json::to_vec(command).map_err(|error| internal(&error))?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/v1/commands/{}", self.base, C::NAME))
            .header(header::CONTENT_TYPE, "application/json")
            .header(OPERATION_HEADER, operation.to_string())
            .body(Full::from(body))
            .map_err(|error| internal(&error))?;
        let response = self.sender.clone().send_request(request).await.map_err(|error| lost(&error))?;
        let (status, body) = read(response).await.map_err(|error| lost(&*error))?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|error| internal(&error));
        }
        Err(refused(C::NAME, status, &body))
    }

    /// Opens a VM's console, which is a stream of this connection from then on.
    pub async fn open_console(&self, vm: VmUuid) -> Result<HostConsole, CallError> {
        let opening = async {
            let request = Request::builder()
                .method(Method::CONNECT)
                .uri(format!("{}{}", self.base, console_path(vm)))
                .extension(Protocol::from_static(CONSOLE_PROTOCOL))
                .body(Full::default())
                .map_err(|error| internal(&error))?;
            let response = self.sender.clone().send_request(request).await.map_err(|error| lost(&error))?;
            if response.status().is_success() {
                let stream = upgrade::on(response).await.map_err(|error| lost(&error))?;
                return Ok(HostConsole { stream: TokioIo::new(stream), closed: self.closed.clone() });
            }
            let (status, body) = read(response).await.map_err(|error| lost(&*error))?;
            Err(refused("the console", status, &body))
        };
        let late =
            || AgentError::Timeout { operation: "opening the console".into(), seconds: CONSOLE_TIMEOUT.as_secs() };
        timeout(CONSOLE_TIMEOUT, opening).await.unwrap_or_else(|_| Err(late().into()))
    }

    /// Subscribes to the agent's events.
    pub async fn events(&self) -> Result<EventReader, CallError> {
        let request = Request::builder()
            .uri(format!("{}/v1/events", self.base))
            .body(Full::default())
            .map_err(|error| internal(&error))?;
        let response = self.sender.clone().send_request(request).await.map_err(|error| lost(&error))?;
        if response.status() == StatusCode::OK {
            return Ok(EventReader { body: response.into_body(), buffer: BytesMut::new(), scanned: 0 });
        }
        let (status, body) = read(response).await.map_err(|error| lost(&*error))?;
        let reason = format!("the event stream was answered with {status}: {}", String::from_utf8_lossy(&body));
        Err(CallError::Agent(AgentError::Internal { reason }))
    }
}

/// A VM's console on its host.
pub struct HostConsole {
    /// What the VM and its viewer send to each other: RFB, the VNC protocol.
    pub stream: TokioIo<Upgraded>,
    closed: CancellationToken,
}

impl HostConsole {
    /// A token that is cancelled when the connection to the host has ended. The stream itself may outlive that: hyper keeps a
    /// connection that nobody else wants any more for as long as a stream of it is open.
    pub fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }
}

/// The agent's events as they come.
pub struct EventReader {
    body: Incoming,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no end of line.
    scanned: usize,
}

impl EventReader {
    /// The next event, or how the stream was lost. Nothing is missed when the future is dropped.
    pub async fn next(&mut self) -> Result<Event, String> {
        loop {
            if let Some(line) = self.line() {
                match serde_json::from_slice(&line) {
                    Ok(event) => return Ok(event),
                    // A newer agent may tell what this node does not know.
                    Err(error) => tracing::warn!("an event of the agent is not understood: {error}"),
                }
                continue;
            }
            if self.buffer.len() > MAX_MESSAGE_BYTES {
                return Err(format!("the agent sent a line of more than {MAX_MESSAGE_BYTES} bytes"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(text(&error)),
                None => return Err("the agent ended the event stream".to_owned()),
            }
        }
    }

    fn line(&mut self) -> Option<BytesMut> {
        let Some(end) = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n') else {
            self.scanned = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.scanned + end + 1);
        self.scanned = 0;
        if self.buffer.is_empty() {
            // The line of a large snapshot is not kept reserved for the small ones that follow.
            self.buffer = BytesMut::new();
        }
        Some(line)
    }
}

async fn read(response: Response<Incoming>) -> Result<(StatusCode, Bytes), Box<dyn Error + Send + Sync>> {
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_MESSAGE_BYTES).collect().await?.to_bytes();
    Ok((status, body))
}

fn tcp_error(endpoint: &HostEndpoint, error: &io::Error) -> ConnectError {
    let endpoint = endpoint.to_string();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused { endpoint },
        io::ErrorKind::TimedOut => ConnectError::Timeout { endpoint },
        _ => ConnectError::Unreachable { endpoint, reason: error.to_string() },
    }
}

fn tls_error(endpoint: &HostEndpoint, error: &io::Error) -> ConnectError {
    let endpoint = endpoint.to_string();
    let reason = error.to_string();
    let Some(rustls::Error::InvalidCertificate(check)) = error.get_ref().and_then(|error| error.downcast_ref()) else {
        return ConnectError::Protocol { endpoint, reason };
    };
    match check {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            ConnectError::OtherNode { endpoint, reason }
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            ConnectError::OtherHost { endpoint, found: presented.join(", ") }
        }
        CertificateError::NotValidForName => ConnectError::OtherHost { endpoint, found: "unknown".to_owned() },
        _ => ConnectError::InvalidCertificate { endpoint, reason },
    }
}

/// Why the agent refused something, as it says itself.
fn refused(what: &str, status: StatusCode, body: &[u8]) -> CallError {
    CallError::Agent(serde_json::from_slice(body).unwrap_or_else(|_| AgentError::Internal {
        reason: format!("{what} was answered with {status}: {}", String::from_utf8_lossy(body)),
    }))
}

fn lost(error: &(dyn Error + 'static)) -> CallError {
    CallError::Lost { reason: text(error) }
}

fn internal(error: &dyn Error) -> CallError {
    CallError::Agent(AgentError::Internal { reason: error.to_string() })
}

/// An error with all that led to it: hyper's own texts tell little.
fn text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    // rustls explains at length what it is when the other end was killed.
    if text.contains("close_notify") { "the agent ended without closing the connection".to_owned() } else { text }
}

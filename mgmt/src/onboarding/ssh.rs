//! The SSH connection: reaching the host, knowing it by its key, logging in with a password.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
use parking_lot::Mutex;
use russh::{
    Channel, Disconnect, MethodKind, MethodSet,
    client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse, Msg},
    keys::PublicKeyOrCertificate,
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{address::HostAddress, error::OnboardingError, host_key::HostKey};
use crate::secret::Secret;

/// How long a host may take to take up a TCP connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long the SSH key exchange may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(15);
/// How long a login may take. PAM makes a wrong password wait some seconds.
const LOGIN_DEADLINE: Duration = Duration::from_secs(30);
/// Data that the host does not acknowledge for this long ends the connection. The keepalives below cannot notice that:
/// they wait behind the data.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(20);
/// How long a goodbye may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// A host that does not answer this often in a row at this interval is gone.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_MAX: usize = 3;
/// A server that asks more often than this wants something other than a password.
const LOGIN_ROUNDS_MAX: usize = 8;

/// Where and as whom to log in.
#[derive(Debug, Clone)]
pub struct SshTarget {
    /// The host.
    pub address: HostAddress,
    /// sshd's port.
    pub port: u16,
    /// root, or a user that may use sudo.
    pub username: String,
    /// The user's password; sudo's too.
    pub password: Secret,
}

/// A logged-in connection.
pub(super) struct Ssh {
    handle: Handle<KeyCheck>,
    host_key: HostKey,
}

impl Ssh {
    pub(super) async fn connect(target: &SshTarget, pinned: Option<&HostKey>) -> Result<Self, OnboardingError> {
        let stream = reach(target).await?;
        let (mut handle, host_key) = handshake(target, stream, pinned).await?;
        match timeout(LOGIN_DEADLINE, login(&mut handle, target)).await {
            Ok(outcome) => outcome?,
            Err(_) => {
                return Err(OnboardingError::Deadline {
                    host: target.address.clone(),
                    during: "the login",
                    seconds: LOGIN_DEADLINE.as_secs(),
                });
            }
        }
        Ok(Self { handle, host_key })
    }

    pub(super) fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    pub(super) async fn open_channel(&self) -> Result<Channel<Msg>, russh::Error> {
        self.handle.channel_open_session().await
    }

    pub(super) async fn close(self) {
        // Whoever closes is done with the host; if the goodbye does not arrive, sshd notices the closed socket.
        let _ = timeout(CLOSE_DEADLINE, self.handle.disconnect(Disconnect::ByApplication, "", "en")).await;
    }
}

async fn reach(target: &SshTarget) -> Result<TcpStream, OnboardingError> {
    let SshTarget { address, port, .. } = target;
    let addresses: Vec<SocketAddr> = match address {
        HostAddress::Ip(ip) => vec![SocketAddr::new(*ip, *port)],
        HostAddress::Name(name) => match timeout(CONNECT_DEADLINE, lookup_host((name.as_str(), *port))).await {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(error)) => return Err(unresolved(address, error.to_string())),
            Err(_) => return Err(unresolved(address, "the name server did not answer".to_owned())),
        },
    };
    let mut failure = unresolved(address, "it has no address".to_owned());
    for socket_address in addresses {
        match timeout(CONNECT_DEADLINE, TcpStream::connect(socket_address)).await {
            Ok(Ok(stream)) => {
                return match prepare(&stream) {
                    Ok(()) => Ok(stream),
                    Err(error) => Err(unreachable(target, &error)),
                };
            }
            Ok(Err(error)) => failure = unreachable(target, &error),
            Err(_) => failure = no_answer(target),
        }
    }
    Err(failure)
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let milliseconds = u32::try_from(UNACKNOWLEDGED_MAX.as_millis()).unwrap_or(u32::MAX);
    setsockopt(stream, TcpUserTimeout, &milliseconds).map_err(io::Error::from)
}

fn unresolved(host: &HostAddress, reason: String) -> OnboardingError {
    OnboardingError::NameUnresolved { host: host.clone(), reason }
}

fn no_answer(target: &SshTarget) -> OnboardingError {
    OnboardingError::ConnectTimeout {
        host: target.address.clone(),
        port: target.port,
        seconds: CONNECT_DEADLINE.as_secs(),
    }
}

fn unreachable(target: &SshTarget, error: &io::Error) -> OnboardingError {
    let (host, port) = (target.address.clone(), target.port);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => OnboardingError::ConnectionRefused { host, port },
        io::ErrorKind::TimedOut => no_answer(target),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            OnboardingError::NoRoute { host, reason: error.to_string() }
        }
        _ => OnboardingError::ConnectFailed { host, port, reason: error.to_string() },
    }
}

/// Accepts the pinned key, or any key when none is pinned, and keeps what it saw.
struct KeyCheck {
    pinned: Option<HostKey>,
    seen: Arc<Mutex<Option<HostKey>>>,
}

impl client::Handler for KeyCheck {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let key = HostKey::of(&key.public_key());
        let accepted = self.pinned.as_ref().is_none_or(|pinned| *pinned == key);
        *self.seen.lock() = Some(key);
        Ok(accepted)
    }
}

async fn handshake(
    target: &SshTarget,
    stream: TcpStream,
    pinned: Option<&HostKey>,
) -> Result<(Handle<KeyCheck>, HostKey), OnboardingError> {
    let mut config = client::Config {
        keepalive_interval: Some(KEEPALIVE_INTERVAL),
        keepalive_max: KEEPALIVE_MAX,
        ..client::Config::default()
    };
    if let Some(pinned) = pinned {
        // A server has keys of several algorithms: the pinned one is asked for first.
        config.preferred.key.to_mut().sort_by_key(|algorithm| !pinned.is_of(algorithm));
    }
    let seen = Arc::new(Mutex::new(None));
    let check = KeyCheck { pinned: pinned.cloned(), seen: Arc::clone(&seen) };
    let outcome = timeout(HANDSHAKE_DEADLINE, client::connect_stream(Arc::new(config), stream, check)).await;
    let found = seen.lock().take();
    let host = target.address.clone();
    match (outcome, pinned, found) {
        (_, Some(pinned), Some(found)) if *pinned != found => {
            Err(OnboardingError::HostKeyChanged { host, pinned: Box::new(pinned.clone()), found: Box::new(found) })
        }
        (Ok(Ok(handle)), _, Some(found)) => Ok((handle, found)),
        (outcome, _, _) => {
            let reason = match outcome {
                Ok(Ok(_)) => "it showed no key".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("it did not end within {} s", HANDSHAKE_DEADLINE.as_secs()),
            };
            Err(OnboardingError::Handshake { host, port: target.port, reason })
        }
    }
}

/// How a login attempt ended.
enum Login {
    In,
    Refused { remaining: MethodSet, partial: bool },
}

async fn login(handle: &mut Handle<KeyCheck>, target: &SshTarget) -> Result<(), OnboardingError> {
    let lost = |_| OnboardingError::ConnectionLost { host: target.address.clone(), during: "logging in" };
    let mut outcome =
        match handle.authenticate_password(&target.username, target.password.expose()).await.map_err(lost)? {
            AuthResult::Success => Login::In,
            AuthResult::Failure { remaining_methods, partial_success } => {
                Login::Refused { remaining: remaining_methods, partial: partial_success }
            }
        };
    // Servers with `PasswordAuthentication no` often take the same password when they ask for it themselves.
    if let Login::Refused { remaining, partial: false } = &outcome
        && remaining.contains(&MethodKind::KeyboardInteractive)
        && !remaining.contains(&MethodKind::Password)
    {
        outcome = answer_questions(handle, target).await.map_err(lost)?;
    }
    let (host, username) = (target.address.clone(), target.username.clone());
    match outcome {
        Login::In => Ok(()),
        Login::Refused { remaining, partial: true } => {
            Err(OnboardingError::SecondFactor { host, username, methods: names(&remaining) })
        }
        // russh reports a server that hangs up in the middle as a refusal that leaves no method.
        Login::Refused { remaining, .. } if remaining.is_empty() => {
            Err(OnboardingError::ConnectionLost { host, during: "logging in" })
        }
        Login::Refused { remaining, .. }
            if !remaining.contains(&MethodKind::Password) && !remaining.contains(&MethodKind::KeyboardInteractive) =>
        {
            Err(OnboardingError::PasswordLoginOff { host, methods: names(&remaining) })
        }
        Login::Refused { .. } => Err(OnboardingError::WrongPassword { host, username }),
    }
}

async fn answer_questions(handle: &mut Handle<KeyCheck>, target: &SshTarget) -> Result<Login, russh::Error> {
    let mut response = handle.authenticate_keyboard_interactive_start(&target.username, None).await?;
    let mut answered = false;
    for _ in 0..LOGIN_ROUNDS_MAX {
        response = match response {
            KeyboardInteractiveAuthResponse::Success => return Ok(Login::In),
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                return Ok(Login::Refused { remaining: remaining_methods, partial: partial_success });
            }
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                // Only the first hidden question is for the password; whatever comes later is another factor.
                let answers = prompts
                    .iter()
                    .map(|prompt| {
                        let wanted = !prompt.echo && !answered;
                        answered |= wanted;
                        if wanted { target.password.expose().to_owned() } else { String::new() }
                    })
                    .collect();
                handle.authenticate_keyboard_interactive_respond(answers).await?
            }
        };
    }
    Ok(Login::Refused { remaining: MethodSet::from(&[MethodKind::KeyboardInteractive][..]), partial: true })
}

fn names(methods: &MethodSet) -> String {
    methods.iter().map(<&str>::from).collect::<Vec<_>>().join(", ")
}

//! The connections to all hosts: each watched host is dialled, followed, and dialled again when it is lost.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;
use gantry_common::{
    agent::{Command, Event, Progress, Snapshot},
    id::{HostUuid, OperationId, VmUuid},
};
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

pub use super::link::{CallError, ConnectError, HostConsole, HostEndpoint};
use super::{
    link::Link,
    pki::{Authority, PkiError},
    progress::ProgressBoard,
    watcher::{HostState, Watcher},
};
use crate::{clock::Timestamp, settings::Settings};

/// Hosts that are dialled at the same time, so that thousands of them do not wait for each other's handshakes.
const MAX_DIALS: usize = 128;

/// The wait after a fault of the observer, which may come at once again.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// What happens to hosts. For one host the calls come one after the other, in the order of what happened.
#[async_trait]
pub trait FleetObserver: Send + Sync + 'static {
    /// The host is there, and this is all it sees. Commands can be sent to it from now on, from within this call too.
    async fn connected(&self, host: HostUuid, snapshot: &Snapshot);

    /// The host told something: any event but progress and heartbeats.
    async fn event(&self, host: HostUuid, event: Event);

    /// The host's certificate, valid until the given moment, is due and could not be renewed.
    async fn renewal_failed(&self, _host: HostUuid, _until: Timestamp, _reason: &str) {}

    /// The host was lost, or could not be reached. While it stays away this comes again only with another reason.
    async fn disconnected(&self, host: HostUuid, reason: &str);
}

/// All watched hosts. Dropping it ends every connection.
pub struct Fleet {
    shared: Arc<Shared>,
    hosts: Mutex<HashMap<HostUuid, Watched>>,
    stopped: CancellationToken,
}

/// What the tasks of all hosts have in common.
pub(super) struct Shared {
    pub tls: Arc<ClientConfig>,
    pub authority: Arc<Authority>,
    pub observer: Arc<dyn FleetObserver>,
    pub settings: Arc<Settings>,
    pub dials: Semaphore,
    pub progress: ProgressBoard,
}

struct Watched {
    endpoint: HostEndpoint,
    state: watch::Receiver<HostState>,
    redial: Arc<Notify>,
    cancelled: CancellationToken,
    task: JoinHandle<()>,
}

/// A host did not connect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The host is not watched.
    #[error("host {0} is not watched")]
    NotWatched(HostUuid),
    /// The host did not connect in time.
    #[error("the host did not connect within {} s: {reason}", timeout.as_secs_f32())]
    Timeout {
        /// How long was waited.
        timeout: Duration,
        /// What the last attempt said.
        reason: String,
        /// The last attempt's error, if an attempt has failed.
        last: Option<ConnectError>,
    },
}

impl Fleet {
    /// A fleet without hosts. The hosts' certificates are those of `authority`, which also renews them.
    pub fn new(
        authority: Arc<Authority>,
        observer: Arc<dyn FleetObserver>,
        settings: Arc<Settings>,
    ) -> Result<Self, PkiError> {
        let shared = Shared {
            tls: authority.client_config()?,
            authority,
            observer,
            settings,
            dials: Semaphore::new(MAX_DIALS),
            progress: ProgressBoard::default(),
        };
        Ok(Self { shared: Arc::new(shared), hosts: Mutex::default(), stopped: CancellationToken::new() })
    }

    /// Keeps a connection to the host from now on. A host that is watched at the same endpoint already stays as it is;
    /// one at another endpoint is dialled anew.
    pub fn watch(&self, endpoint: HostEndpoint) {
        let mut hosts = self.hosts.lock();
        let before = match hosts.remove(&endpoint.host) {
            Some(watched) if watched.endpoint == endpoint && !watched.task.is_finished() => {
                hosts.insert(endpoint.host, watched);
                return;
            }
            Some(watched) => {
                watched.cancelled.cancel();
                Some(watched.task)
            }
            None => None,
        };
        let (sender, state) = watch::channel(HostState::new());
        let redial = Arc::new(Notify::new());
        let cancelled = self.stopped.child_token();
        let watcher = Watcher {
            shared: Arc::clone(&self.shared),
            endpoint: endpoint.clone(),
            state: sender,
            redial: Arc::clone(&redial),
            cancelled: cancelled.clone(),
        };
        let task = tokio::spawn(async move {
            // The observer hears of one connection after the other. A former task that panicked has ended, too.
            if let Some(before) = before {
                let _ = before.await;
            }
            while AssertUnwindSafe(watcher.run()).catch_unwind().await.is_err() {
                tracing::error!(host = %watcher.endpoint.host, "following the host panicked; it is dialled anew");
                tokio::time::sleep(AFTER_PANIC).await;
            }
        });
        hosts.insert(endpoint.host, Watched { endpoint, state, redial, cancelled, task });
    }

    /// Whether the host's agent answers at an endpoint. What is watched stays as it is.
    pub async fn try_endpoint(&self, endpoint: &HostEndpoint) -> Result<(), ConnectError> {
        let max_silence = self.shared.settings.now().host_max_silence;
        Link::connect(endpoint, Arc::clone(&self.shared.tls), max_silence).await.map(drop)
    }

    /// Ends the connection to the host. When this returns the observer hears nothing of it any more; so it must not be
    /// waited for from within the observer.
    pub async fn forget(&self, host: HostUuid) {
        let watched = self.hosts.lock().remove(&host);
        if let Some(watched) = watched {
            watched.cancelled.cancel();
            // A task that panicked has ended, too.
            let _ = watched.task.await;
        }
    }

    /// Dials a host that is away now instead of when its turn comes.
    pub fn redial_now(&self, host: HostUuid) {
        if let Some(watched) = self.hosts.lock().get(&host) {
            watched.redial.notify_one();
        }
    }

    /// Whether commands can be sent to the host.
    pub fn is_connected(&self, host: HostUuid) -> bool {
        self.hosts.lock().get(&host).is_some_and(|watched| watched.state.borrow().link().is_some())
    }

    /// The number of hosts to which commands can be sent.
    pub fn connected_hosts(&self) -> usize {
        self.hosts.lock().values().filter(|watched| watched.state.borrow().link().is_some()).count()
    }

    /// Waits until the host is connected and the observer's `connected` has returned.
    pub async fn wait_connected(&self, host: HostUuid, timeout: Duration) -> Result<(), WaitError> {
        let state = self.hosts.lock().get(&host).map(|watched| watched.state.clone());
        let mut state = state.ok_or(WaitError::NotWatched(host))?;
        let connected = tokio::time::timeout(timeout, state.wait_for(HostState::is_announced)).await;
        match connected.map(|state| state.is_ok()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(WaitError::NotWatched(host)),
            Err(_) => {
                let state = state.borrow();
                Err(WaitError::Timeout { timeout, reason: state.reason(), last: state.connect_error() })
            }
        }
    }

    /// Sends a command to the host and waits for its outcome. After [`CallError::Lost`] the caller may send it again
    /// with the same operation id: it is carried out once.
    pub async fn call<C: Command>(
        &self,
        host: HostUuid,
        operation: OperationId,
        command: C,
    ) -> Result<C::Reply, CallError> {
        self.link(host)?.call(operation, &command).await
    }

    /// Opens the console of a VM that runs on the host. It is a stream of the host's connection and ends with it.
    pub async fn open_console(&self, host: HostUuid, vm: VmUuid) -> Result<HostConsole, CallError> {
        self.link(host)?.open_console(vm).await
    }

    fn link(&self, host: HostUuid) -> Result<Link, CallError> {
        let hosts = self.hosts.lock();
        let Some(watched) = hosts.get(&host) else {
            return Err(CallError::NotConnected { reason: format!("host {host} is not watched") });
        };
        let state = watched.state.borrow();
        state.link().ok_or_else(|| CallError::NotConnected { reason: state.reason() })
    }

    /// Follows the progress of a command, whichever host carries it out. Follow before the command is sent, so that no
    /// progress is missed.
    pub fn progress(&self, operation: OperationId) -> watch::Receiver<Option<Progress>> {
        self.shared.progress.follow(operation)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

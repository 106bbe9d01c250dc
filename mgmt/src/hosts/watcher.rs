//! The task of one host: dial, tell the observer what comes, dial again.

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use gantry_common::{
    agent::{Event, Snapshot},
    certificate::CertificateFacts,
};
use rand::Rng;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    fleet::Shared,
    link::{ConnectError, EventReader, HostEndpoint, Link},
    renewal,
};
use crate::clock::Timestamp;

/// How long an agent may take to look at everything it has.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(15);

/// Events that wait for the observer. When they are this many, no more are read.
const MAX_QUEUED: usize = 1024;

const FIRST_DELAY: Duration = Duration::from_millis(200);

/// How often at least it is looked whether the host's certificate is due, for clocks that are set.
const RENEWAL_CHECK: Duration = Duration::from_secs(24 * 3600);

/// When a renewal that failed is tried again.
const RENEWAL_RETRY: Duration = Duration::from_secs(600);

/// Whether a host is there.
#[derive(Clone)]
pub(super) enum HostState {
    /// It was not dialled yet.
    Dialling,
    /// The last attempt failed.
    Unreachable(ConnectError),
    /// It was there.
    Lost(String),
    /// Commands can be sent.
    Connected {
        link: Link,
        /// Whether the observer has been told.
        announced: bool,
    },
}

impl HostState {
    pub fn new() -> Self {
        Self::Dialling
    }

    pub fn link(&self) -> Option<Link> {
        match self {
            Self::Connected { link, .. } => Some(link.clone()),
            _ => None,
        }
    }

    pub fn is_announced(&self) -> bool {
        matches!(self, Self::Connected { announced: true, .. })
    }

    /// Why commands cannot be sent.
    pub fn reason(&self) -> String {
        match self {
            Self::Dialling => "it is being dialled".to_owned(),
            Self::Unreachable(error) => error.to_string(),
            Self::Lost(reason) => reason.clone(),
            Self::Connected { .. } => "its first snapshot is being taken in".to_owned(),
        }
    }

    pub fn connect_error(&self) -> Option<ConnectError> {
        match self {
            Self::Unreachable(error) => Some(error.clone()),
            _ => None,
        }
    }
}

/// The task of one host.
pub(super) struct Watcher {
    pub shared: Arc<Shared>,
    pub endpoint: HostEndpoint,
    pub state: watch::Sender<HostState>,
    pub redial: Arc<Notify>,
    pub cancelled: CancellationToken,
}

/// How a connection ended.
enum End {
    Forgotten,
    Lost(String),
}

impl Watcher {
    /// Runs until the host is forgotten.
    pub async fn run(&self) {
        self.state.send_replace(HostState::Dialling);
        let mut backoff = Backoff::default();
        // What the observer was told last, so that it hears the same only once.
        let mut told = None;
        while !self.cancelled.is_cancelled() {
            let dialled = tokio::select! {
                () = self.cancelled.cancelled() => return,
                dialled = self.dial() => dialled,
            };
            let reason = match dialled {
                Ok((link, events, snapshot)) => {
                    tracing::info!(host = %self.endpoint.host, endpoint = %self.endpoint, "host connected");
                    told = None;
                    let since = Instant::now();
                    let end = self.follow(link, events, snapshot).await;
                    backoff.connected_for(since.elapsed(), self.longest_delay());
                    match end {
                        End::Forgotten => return,
                        End::Lost(reason) => reason,
                    }
                }
                Err(error) => {
                    let reason = error.to_string();
                    self.state.send_replace(HostState::Unreachable(error));
                    reason
                }
            };
            if told.as_ref() != Some(&reason) {
                tracing::info!(host = %self.endpoint.host, "host disconnected: {reason}");
                self.shared.observer.disconnected(self.endpoint.host, &reason).await;
                told = Some(reason);
            }
            tokio::select! {
                () = self.cancelled.cancelled() => return,
                () = sleep(backoff.next(self.longest_delay())) => {}
                () = self.redial.notified() => backoff = Backoff::default(),
            }
        }
    }

    /// The longest silence of a host that is there: its heartbeats come every second.
    fn max_silence(&self) -> Duration {
        self.shared.settings.now().host_max_silence
    }

    fn longest_delay(&self) -> Duration {
        self.shared.settings.now().host_reconnect_interval
    }

    /// Connects, subscribes, and reads the first snapshot.
    async fn dial(&self) -> Result<(Link, EventReader, Box<Snapshot>), ConnectError> {
        let protocol = |reason: String| ConnectError::Protocol { endpoint: self.endpoint.to_string(), reason };
        let (link, mut events) = {
            let _permit = self.shared.dials.acquire().await;
            let link = Link::connect(&self.endpoint, Arc::clone(&self.shared.tls), self.max_silence()).await?;
            let events = timeout(self.max_silence(), link.events())
                .await
                .map_err(|_| ConnectError::Timeout { endpoint: self.endpoint.to_string() })?
                .map_err(|error| protocol(error.to_string()))?;
            (link, events)
        };
        let snapshot = async {
            loop {
                match events.next().await? {
                    Event::Snapshot(snapshot) => return Ok(snapshot),
                    // Looking at everything may take longer than the silence a stream keeps.
                    Event::Heartbeat | Event::Progress(_) => {}
                    other => return Err(format!("its event stream begins with {other:?} instead of a snapshot")),
                }
            }
        };
        let snapshot = timeout(SNAPSHOT_TIMEOUT, snapshot)
            .await
            .map_err(|_| protocol(format!("no snapshot came within {} s", SNAPSHOT_TIMEOUT.as_secs())))?;
        Ok((link, events, snapshot.map_err(protocol)?))
    }

    /// Tells the observer what the agent tells, until the connection ends. Reading goes on while the observer is busy,
    /// so that a lost host is noticed in any case.
    async fn follow(&self, link: Link, mut events: EventReader, snapshot: Box<Snapshot>) -> End {
        let host = self.endpoint.host;
        self.state.send_replace(HostState::Connected { link: link.clone(), announced: false });
        let observer = Arc::clone(&self.shared.observer);
        let mut delivery: Slot<()> = Some(Box::pin(async move { observer.connected(host, &snapshot).await }));
        let mut queued = VecDeque::new();
        let mut silent_until = Instant::now() + self.max_silence();
        let mut renewal: Slot<Result<CertificateFacts, String>> = None;
        let mut certificate = *link.certificate();
        let mut look_at_certificate = Instant::now();

        let end = loop {
            if delivery.is_none()
                && let Some(event) = queued.pop_front()
            {
                let observer = Arc::clone(&self.shared.observer);
                delivery = Some(Box::pin(async move { observer.event(host, event).await }));
            }
            let reads = queued.len() < MAX_QUEUED;
            if !reads {
                silent_until = Instant::now() + self.max_silence();
            }
            tokio::select! {
                () = self.cancelled.cancelled() => break End::Forgotten,
                () = finished(&mut delivery) => self.announce(),
                read = timeout_at(silent_until, events.next()), if reads => {
                    silent_until = Instant::now() + self.max_silence();
                    match read {
                        Ok(Ok(Event::Heartbeat)) => {}
                        Ok(Ok(Event::Progress(progress))) => self.shared.progress.publish(progress),
                        Ok(Ok(event)) => queued.push_back(event),
                        Ok(Err(reason)) => break End::Lost(reason),
                        Err(_) => {
                            let silence = self.max_silence().as_secs();
                            break End::Lost(format!("nothing was heard of it for {silence} s"));
                        }
                    }
                }
                () = link.closed(), if !reads => break End::Lost("the connection broke".to_owned()),
                () = sleep_until(look_at_certificate), if renewal.is_none() => {
                    let left = renewal::due_in(&certificate);
                    if left.is_zero() {
                        let authority = Arc::clone(&self.shared.authority);
                        renewal = Some(Box::pin(renewal::renew(authority, link.clone(), host)));
                    } else {
                        look_at_certificate = Instant::now() + left.min(RENEWAL_CHECK);
                    }
                }
                renewed = finished(&mut renewal) => {
                    let wait = match renewed {
                        Ok(renewed) => {
                            certificate = renewed;
                            RENEWAL_CHECK
                        }
                        Err(reason) => {
                            let until = Timestamp::from(certificate.not_after);
                            self.shared.observer.renewal_failed(host, until, &reason).await;
                            RENEWAL_RETRY
                        }
                    };
                    look_at_certificate = Instant::now() + wait;
                }
            }
        };
        self.state.send_replace(HostState::Lost(match &end {
            End::Forgotten => "it is not watched any more".to_owned(),
            End::Lost(reason) => reason.clone(),
        }));
        // Commands under way end now: they would wait for a host that may be gone.
        link.close();
        // What the observer has begun it ends; what is still queued, the next snapshot says better.
        if let Some(delivery) = delivery {
            delivery.await;
        }
        end
    }

    fn announce(&self) {
        self.state.send_if_modified(|state| match state {
            HostState::Connected { announced, .. } => !std::mem::replace(announced, true),
            _ => false,
        });
    }
}

/// Work under way, if there is any.
type Slot<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// Waits for the work in the slot, and empties it. Waits for ever while there is none.
async fn finished<T>(slot: &mut Slot<T>) -> T {
    let Some(work) = slot else { return std::future::pending().await };
    let result = work.await;
    *slot = None;
    result
}

/// The waits between attempts: short at first, then longer, and never the same for many hosts at once.
struct Backoff {
    delay: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { delay: FIRST_DELAY }
    }
}

impl Backoff {
    fn next(&mut self, longest: Duration) -> Duration {
        let delay = self.delay.min(longest);
        self.delay = delay * 2;
        delay.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// A connection that held starts the waits anew; one that broke at once does not.
    fn connected_for(&mut self, held: Duration, longest: Duration) {
        if held >= longest {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_start_anew_after_a_connection_that_held() {
        let longest = Duration::from_secs(5);
        let mut backoff = Backoff::default();
        assert!(backoff.next(longest) <= FIRST_DELAY);
        for _ in 0..10 {
            backoff.next(longest);
        }
        let wait = backoff.next(longest);
        assert!(wait <= longest && wait >= longest / 2);
        assert!(backoff.next(longest / 5) <= longest / 5, "a bound that was lowered holds at once");
        backoff.connected_for(Duration::ZERO, longest);
        assert!(backoff.next(longest) > FIRST_DELAY);
        backoff.connected_for(longest, longest);
        assert!(backoff.next(longest) <= FIRST_DELAY);
    }
}

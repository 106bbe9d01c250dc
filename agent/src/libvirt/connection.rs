//! The agent's standing connection to libvirtd: where domain events come from, and how the agent knows whether
//! libvirtd is there.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::ffi::{Connection, DomainEvent, Subscription};

/// The system instance of libvirt's QEMU driver.
pub const SYSTEM_URI: &str = "qemu:///system";

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(3);
/// Opening takes milliseconds; libvirtd may be starting up, or hang.
const OPEN_DEADLINE: Duration = Duration::from_secs(30);
/// libvirtd counts as gone when it has not answered for three of these.
const KEEPALIVE_SECONDS: i32 = 3;

/// Whether libvirtd is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It has not been reached yet, or it went away.
    Down {
        /// What the connection or the attempt at one said.
        reason: String,
    },
    /// It answers. Each connection has the next number.
    Up {
        /// The connection's number, from 1.
        connection: u64,
    },
}

/// The standing connection. It is opened again, with growing pauses, whenever it ends; guests do not notice.
#[derive(Debug)]
pub struct EventConnection {
    link: watch::Receiver<Link>,
    keeper: JoinHandle<()>,
}

impl EventConnection {
    /// Keeps a connection to `uri` open from now on. What happens to domains goes to `events`; what happened while
    /// there was no connection is lost, so that every [`Link::Up`] calls for a look at everything.
    pub fn keep(uri: &str, events: mpsc::UnboundedSender<DomainEvent>) -> Self {
        let (link_sender, link) = watch::channel(Link::Down { reason: "not connected yet".into() });
        let keeper = tokio::spawn(keep_open(uri.to_owned(), events, link_sender));
        Self { link, keeper }
    }

    /// Whether libvirtd is there, now and from now on.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }
}

impl Drop for EventConnection {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn keep_open(uri: String, events: mpsc::UnboundedSender<DomainEvent>, link: watch::Sender<Link>) {
    let uri: Arc<str> = uri.into();
    let mut connection = 0;
    let mut retry = FIRST_RETRY;
    loop {
        let (closed, mut when_closed) = mpsc::unbounded_channel();
        let (uri, events) = (uri.clone(), events.clone());
        let opening = tokio::task::spawn_blocking(move || subscribe(&uri, &events, closed));
        let reason = match timeout(OPEN_DEADLINE, opening).await {
            Ok(Ok(Ok(subscription))) => {
                connection += 1;
                retry = FIRST_RETRY;
                tracing::info!(connection, "connected to libvirtd");
                link.send_replace(Link::Up { connection });
                let reason = when_closed.recv().await.unwrap_or("the connection ended").to_owned();
                // Taking callbacks off a broken connection is local, but it waits for the event thread.
                drop(tokio::task::spawn_blocking(move || drop(subscription)));
                reason
            }
            Ok(Ok(Err(error))) => error.message().to_owned(),
            Ok(Err(panicked)) => panicked.to_string(),
            Err(_) => format!("no answer within {} s", OPEN_DEADLINE.as_secs()),
        };
        let changed = link.send_if_modified(|link| {
            let down = Link::Down { reason: reason.clone() };
            std::mem::replace(link, down.clone()) != down
        });
        if changed {
            tracing::warn!(reason, "libvirtd is not reachable; guests are not affected");
        }
        sleep(retry).await;
        retry = (retry * 2).min(LAST_RETRY);
    }
}

fn subscribe(
    uri: &str,
    events: &mpsc::UnboundedSender<DomainEvent>,
    closed: mpsc::UnboundedSender<&'static str>,
) -> Result<Subscription, virt::error::Error> {
    let events = events.clone();
    let subscription = Subscription::new(
        Connection::open(uri)?,
        move |event| {
            // A receiver that is gone means that the agent ends.
            let _ = events.send(event);
        },
        move |reason| {
            let _ = closed.send(reason);
        },
    )?;
    // A driver inside this process (`test:///`) has no keepalive and needs none.
    let _ = subscription.connection().set_keep_alive(KEEPALIVE_SECONDS, 3);
    Ok(subscription)
}

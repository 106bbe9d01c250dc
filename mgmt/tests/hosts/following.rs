use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use gantry_common::{
    agent::{DescribeHost, Event, MeasureVolume, Snapshot},
    id::{HostUuid, OperationId},
};
use gantry_mgmt::hosts::fleet::{CallError, ConnectError, Fleet, FleetObserver, HostEndpoint, WaitError};
use tokio::sync::{Semaphore, mpsc};

use super::wire::{Proxy, RunningAgent, Wire, authority, identity};

/// Longer than anything here takes, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, PartialEq)]
enum Seen {
    Connected(HostUuid),
    Event(HostUuid, u64),
    Disconnected(HostUuid, String),
}

/// Writes down what it is told. With a closed gate it does not return from events.
struct Recorder {
    seen: mpsc::UnboundedSender<Seen>,
    gate: Semaphore,
}

#[async_trait]
impl FleetObserver for Recorder {
    async fn connected(&self, host: HostUuid, snapshot: &Snapshot) {
        assert_eq!(snapshot.facts.hostname, "double");
        self.seen.send(Seen::Connected(host)).unwrap();
    }

    async fn event(&self, host: HostUuid, event: Event) {
        drop(self.gate.acquire().await.unwrap());
        let Event::Vm(observation) = event else { panic!("{event:?} is not for the observer") };
        self.seen.send(Seen::Event(host, observation.revision)).unwrap();
    }

    async fn disconnected(&self, host: HostUuid, reason: &str) {
        self.seen.send(Seen::Disconnected(host, reason.to_owned())).unwrap();
    }
}

struct Watching {
    fleet: Fleet,
    seen: mpsc::UnboundedReceiver<Seen>,
    recorder: Arc<Recorder>,
    authority: Arc<gantry_mgmt::hosts::pki::Authority>,
    _directory: tempfile::TempDir,
}

impl Watching {
    fn new() -> Self {
        let (directory, authority) = authority();
        let (sender, seen) = mpsc::unbounded_channel();
        let recorder = Arc::new(Recorder { seen: sender, gate: Semaphore::new(1) });
        let fleet = Fleet::new(Arc::clone(&authority), Arc::clone(&recorder) as _, Arc::default()).unwrap();
        Self { fleet, seen, recorder, authority, _directory: directory }
    }

    async fn next(&mut self) -> Seen {
        tokio::time::timeout(PATIENCE, self.seen.recv()).await.unwrap().unwrap()
    }

    async fn disconnection(&mut self) -> String {
        match self.next().await {
            Seen::Disconnected(_, reason) => reason,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn events_come_in_their_order_after_the_snapshot() {
    let mut watching = Watching::new();
    let agent = RunningAgent::start(&watching.authority).await;
    watching.fleet.watch(agent.endpoint());
    watching.fleet.wait_connected(agent.host, PATIENCE).await.unwrap();
    assert!(watching.fleet.is_connected(agent.host));
    assert_eq!(watching.next().await, Seen::Connected(agent.host));
    for revision in 0..500 {
        agent.double.tell(revision);
    }
    for revision in 0..500 {
        assert_eq!(watching.next().await, Seen::Event(agent.host, revision));
    }
}

#[tokio::test]
async fn a_host_without_power_is_noticed_and_found_again() {
    let mut watching = Watching::new();
    let agent = RunningAgent::start(&watching.authority).await;
    let proxy = Proxy::to(agent.address).await;
    watching.fleet.watch(agent.endpoint_at(proxy.address));
    assert_eq!(watching.next().await, Seen::Connected(agent.host));
    proxy.wire.send_replace(Wire::Holds);
    watching.disconnection().await;
    let error = watching.fleet.call(agent.host, OperationId::random(), DescribeHost {}).await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected { .. }), "{error}");
    assert!(!watching.fleet.is_connected(agent.host));
    proxy.wire.send_replace(Wire::Forwards);
    while watching.next().await != Seen::Connected(agent.host) {}
    watching.fleet.wait_connected(agent.host, PATIENCE).await.unwrap();
    watching.fleet.call(agent.host, OperationId::random(), DescribeHost {}).await.unwrap();
}

#[tokio::test]
async fn a_command_to_a_host_that_loses_power_is_lost_and_not_hanging() {
    let mut watching = Watching::new();
    let agent = RunningAgent::start(&watching.authority).await;
    let proxy = Proxy::to(agent.address).await;
    watching.fleet.watch(agent.endpoint_at(proxy.address));
    assert_eq!(watching.next().await, Seen::Connected(agent.host));
    let pause = gantry_common::agent::PauseVm { vm: gantry_common::id::VmUuid::random() };
    let call = watching.fleet.call(agent.host, OperationId::random(), pause);
    let hold = async {
        agent.double.begun.notified().await;
        proxy.wire.send_replace(Wire::Holds);
    };
    let (outcome, ()) = tokio::join!(call, hold);
    assert!(matches!(outcome, Err(CallError::Lost { .. })), "{outcome:?}");
}

#[tokio::test]
async fn an_agent_that_restarts_is_found_again() {
    let mut watching = Watching::new();
    let agent = RunningAgent::start(&watching.authority).await;
    let (host, address) = (agent.host, agent.address);
    watching.fleet.watch(agent.endpoint());
    assert_eq!(watching.next().await, Seen::Connected(host));
    agent.stop().await;
    watching.disconnection().await;
    let reason = watching.disconnection().await;
    assert!(reason.contains("nothing listens"), "{reason}");
    let _again = RunningAgent::start_as(identity(&watching.authority, host), address).await;
    watching.fleet.redial_now(host);
    assert_eq!(watching.next().await, Seen::Connected(host));
}

#[tokio::test]
async fn a_busy_observer_keeps_nobody_from_noticing_the_loss() {
    let mut watching = Watching::new();
    let agent = RunningAgent::start(&watching.authority).await;
    let host = agent.host;
    watching.fleet.watch(agent.endpoint());
    assert_eq!(watching.next().await, Seen::Connected(host));
    let busy = watching.recorder.gate.acquire().await.unwrap();
    agent.double.tell(1);
    agent.double.tell(2);
    watching.fleet.call(host, OperationId::random(), DescribeHost {}).await.unwrap();
    agent.stop().await;
    while watching.fleet.is_connected(host) {
        tokio::task::yield_now().await;
    }
    drop(busy);
    // The event that the observer was busy with comes to its end before it hears of the loss.
    assert_eq!(watching.next().await, Seen::Event(host, 1));
    watching.disconnection().await;
}

#[tokio::test]
async fn a_forgotten_host_is_not_heard_of_again() {
    let mut watching = Watching::new();
    let agent = RunningAgent::start(&watching.authority).await;
    watching.fleet.watch(agent.endpoint());
    watching.fleet.wait_connected(agent.host, PATIENCE).await.unwrap();
    watching.fleet.forget(agent.host).await;
    assert_eq!(watching.next().await, Seen::Connected(agent.host));
    assert!(!watching.fleet.is_connected(agent.host));
    // The agent notices that its event stream has lost its reader.
    while agent.double.told.receiver_count() != 0 {
        tokio::task::yield_now().await;
    }
    assert!(watching.seen.try_recv().is_err());
    let again = watching.fleet.wait_connected(agent.host, PATIENCE).await;
    assert_eq!(again, Err(WaitError::NotWatched(agent.host)));
}

#[tokio::test]
async fn waiting_for_a_host_that_is_not_there_tells_why() {
    let mut watching = Watching::new();
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let host = HostUuid::random();
    let port = closed.local_addr().unwrap().port();
    watching.fleet.watch(HostEndpoint { host, address: "127.0.0.1".to_owned(), port });
    watching.disconnection().await;
    let error = watching.fleet.wait_connected(host, Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(error, WaitError::Timeout { last: Some(ConnectError::Refused { .. }), .. }), "{error}");
}

#[tokio::test]
async fn a_host_that_moved_is_followed_to_its_new_address() {
    let mut watching = Watching::new();
    let agent = RunningAgent::start(&watching.authority).await;
    let proxy = Proxy::to(agent.address).await;
    watching.fleet.watch(agent.endpoint_at(proxy.address));
    assert_eq!(watching.next().await, Seen::Connected(agent.host));
    watching.fleet.watch(agent.endpoint());
    assert_eq!(watching.next().await, Seen::Connected(agent.host));
    proxy.wire.send_replace(Wire::Cut);
    watching.fleet.call(agent.host, OperationId::random(), DescribeHost {}).await.unwrap();
}

#[tokio::test]
async fn progress_reaches_who_follows_the_command() {
    let mut watching = Watching::new();
    let agent = RunningAgent::start(&watching.authority).await;
    watching.fleet.watch(agent.endpoint());
    assert_eq!(watching.next().await, Seen::Connected(agent.host));
    let operation = OperationId::random();
    let mut progress = watching.fleet.progress(operation);
    let measure = MeasureVolume { root: "/root".to_owned(), path: "/root/a".to_owned() };
    let call = watching.fleet.call(agent.host, operation, measure);
    let seen = tokio::select! {
        outcome = call => panic!("{outcome:?}"),
        seen = progress.wait_for(Option::is_some) => *seen.unwrap(),
    };
    assert_eq!(seen.map(|seen| (seen.operation, seen.done_bytes, seen.total_bytes)), Some((operation, 1, Some(2))));
}

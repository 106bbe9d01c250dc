//! Three machines with agents of their own, which outlive the node.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use gantry_agent::server::identity::Identity;
use gantry_common::id::HostUuid;
use gantry_mgmt::hosts::{fleet::WaitError, link::HostEndpoint, pki::Authority};
use tokio::runtime::Runtime;

use super::{
    double::Thing,
    life::Life,
    wire::{RunningAgent, identity},
};

pub const MACHINES: usize = 3;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Hosts {
    pub agents: Vec<RunningAgent>,
    /// The agents outlive every node.
    _runtime: Runtime,
}

impl Hosts {
    pub fn start(authority: &Authority) -> Self {
        let runtime = Runtime::new().unwrap();
        let agents = (0..MACHINES).map(|index| {
            let uuid = HostUuid::random();
            let identity: Arc<Identity> = identity(authority, uuid);
            let address: SocketAddr = format!("{}:0", address(index)).parse().unwrap();
            runtime.block_on(RunningAgent::start_as(identity, address))
        });
        let agents = agents.collect();
        Self { agents, _runtime: runtime }
    }

    pub fn uuids(&self) -> Vec<HostUuid> {
        self.agents.iter().map(|agent| agent.host).collect()
    }

    pub fn port(&self, index: usize) -> u16 {
        self.agents[index].address.port()
    }

    /// Gives the machines what they have, and has them do what they are told.
    pub fn reset(&self, things: &[BTreeSet<Thing>]) {
        for (agent, things) in self.agents.iter().zip(things) {
            *agent.double.things.lock() = Some(things.clone());
            agent.double.refuses.store(false, Ordering::SeqCst);
            self.limit(agent.host, u64::MAX, false);
        }
    }

    /// Bounds what a machine removes.
    pub fn limit(&self, host: HostUuid, removes: u64, holds: bool) {
        let double = &self.agents.iter().find(|agent| agent.host == host).unwrap().double;
        double.removes.store(removes, Ordering::SeqCst);
        double.holds.store(holds, Ordering::SeqCst);
        double.held.store(false, Ordering::SeqCst);
    }

    pub fn is_any_held(&self) -> bool {
        self.agents.iter().any(|agent| agent.double.held.load(Ordering::SeqCst))
    }

    pub fn things(&self, index: usize) -> BTreeSet<Thing> {
        self.agents[index].double.things.lock().clone().unwrap()
    }

    /// Has the node connect to a machine. One that only had to give up what it owed may be forgotten with that.
    pub fn connect(&self, life: &Life, index: usize) {
        let agent = &self.agents[index];
        life.block_on(async {
            life.node.fleet.watch(HostEndpoint {
                host: agent.host,
                address: agent.address.ip().to_string(),
                port: agent.address.port(),
            });
            match life.node.fleet.wait_connected(agent.host, PATIENCE).await {
                Ok(()) | Err(WaitError::NotWatched(_)) => {}
                Err(error) => panic!("{error}"),
            }
        });
    }
}

pub fn address(index: usize) -> String {
    format!("127.0.0.{}", index + 2)
}

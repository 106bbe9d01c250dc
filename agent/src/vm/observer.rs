//! Numbered looks at VMs. Every look is fresh; a number is given out and its look taken under one lock, so that the
//! order of the numbers is the order of the looks.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gantry_common::{
    agent::{AgentError, Event, ForeignDomain, Observation, VmState},
    id::VmUuid,
};
use tokio::sync::{Mutex, broadcast};

use super::look::{Everything, Sight, look_at, look_at_everything};
use crate::libvirt::Executor;

/// A look takes about a millisecond; libvirtd may be starting up.
const LOOK_DEADLINE: Duration = Duration::from_secs(10);

/// Looks at VMs and tells the node.
#[derive(Debug)]
pub struct Observer {
    looks: Executor,
    sink: broadcast::Sender<Event>,
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    /// The last look's number.
    revision: u64,
    /// The VMs that the latest looks at them found here.
    present: BTreeSet<VmUuid>,
    /// Somebody else's domains, as the node was last told.
    foreign: Vec<ForeignDomain>,
}

/// Everything that was seen at one moment.
#[derive(Debug)]
pub struct Overview {
    /// Gantry's VMs.
    pub vms: Vec<Observation>,
    /// The other domains.
    pub foreign: Vec<ForeignDomain>,
    /// The look's number.
    pub revision: u64,
}

impl Observer {
    /// An observer that looks by way of `looks` and tells `sink`.
    pub fn new(looks: Executor, sink: broadcast::Sender<Event>) -> Self {
        // Microseconds grow faster than an agent looks: a restarted agent begins above its predecessor's last number.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let revision = u64::try_from(now.as_micros()).unwrap_or(u64::MAX / 2);
        Self { looks, sink, memory: Mutex::new(Memory { revision, present: BTreeSet::new(), foreign: Vec::new() }) }
    }

    /// The executor of looks, for other questions that no domain can hold up.
    pub fn executor(&self) -> &Executor {
        &self.looks
    }

    /// What the node is told, from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.sink.subscribe()
    }

    /// Tells the node something else.
    pub fn tell(&self, event: Event) {
        // Without a node on the line there is nobody to tell; it gets a snapshot when it comes.
        let _ = self.sink.send(event);
    }

    /// Looks without telling.
    pub async fn sight(&self, vm: VmUuid) -> Result<Sight, AgentError> {
        self.looks.call("look", LOOK_DEADLINE, move |connection| look_at(connection, vm)).await
    }

    /// Looks at `vm` and tells the node.
    pub async fn observe(&self, vm: VmUuid) -> Result<Observation, AgentError> {
        let mut memory = self.memory.lock().await;
        let state = self.sight(vm).await?.state();
        if state == VmState::Absent {
            memory.present.remove(&vm);
        } else {
            memory.present.insert(vm);
        }
        let observation = memory.number(vm, state);
        self.tell(Event::Vm(observation.clone()));
        Ok(observation)
    }

    /// Looks at the domain that an event named and tells the node what it needs to know. Answers whether the domain
    /// was one of Gantry's VMs and has ended.
    pub async fn follow(&self, domain: VmUuid, attached: bool) -> Result<bool, AgentError> {
        let mut memory = self.memory.lock().await;
        let sight = self.sight(domain).await?;
        let ended = match &sight {
            Sight::Ours(_) => {
                memory.present.insert(domain);
                false
            }
            Sight::Nothing | Sight::Foreign { .. } => memory.present.remove(&domain) || attached,
        };
        if ended || matches!(sight, Sight::Ours(_)) {
            let observation = memory.number(domain, sight.state());
            self.tell(Event::Vm(observation));
        }
        let text = domain.hyphenated();
        if matches!(sight, Sight::Foreign { .. }) || memory.foreign.iter().any(|foreign| foreign.uuid == text) {
            let everything = self.look_at_everything().await?;
            if memory.foreign != everything.foreign {
                memory.foreign.clone_from(&everything.foreign);
                self.tell(Event::ForeignDomains { domains: everything.foreign });
            }
        }
        Ok(ended)
    }

    /// Looks at everything.
    pub async fn overview(&self) -> Result<Overview, AgentError> {
        let mut memory = self.memory.lock().await;
        let everything = self.look_at_everything().await?;
        memory.revision += 1;
        let revision = memory.revision;
        memory.present = everything.ours.iter().map(|(vm, _)| *vm).collect();
        let vms = everything.ours.into_iter().map(|(vm, state)| Observation { vm, state, revision }).collect();
        Ok(Overview { vms, foreign: everything.foreign, revision })
    }

    /// Those of `vms` that the latest look did not find here.
    pub async fn missing(&self, vms: Vec<VmUuid>) -> Vec<VmUuid> {
        let memory = self.memory.lock().await;
        vms.into_iter().filter(|vm| !memory.present.contains(vm)).collect()
    }

    /// The number of the last look.
    pub async fn revision(&self) -> u64 {
        self.memory.lock().await.revision
    }

    async fn look_at_everything(&self) -> Result<Everything, AgentError> {
        self.looks.call("look at everything", LOOK_DEADLINE, look_at_everything).await
    }
}

impl Memory {
    fn number(&mut self, vm: VmUuid, state: VmState) -> Observation {
        self.revision += 1;
        Observation { vm, state, revision: self.revision }
    }
}

//! What the agent tells on its own.

use serde::{Deserialize, Serialize};

use super::{HostFacts, Observation};
use crate::id::OperationId;

/// One line of the event stream `GET /v1/events` (newline-delimited JSON).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum Event {
    /// Everything the agent sees. Sent first on every stream, again at intervals, and when libvirt comes back.
    Snapshot(Box<Snapshot>),
    /// A VM changed, or was looked at.
    Vm(Observation),
    /// The domains that were not made by Gantry changed.
    ForeignDomains {
        /// All of them, as they are now.
        domains: Vec<ForeignDomain>,
    },
    /// A long command's progress.
    Progress(Progress),
    /// libvirtd went away. Guests keep running; a snapshot follows when it is back.
    LibvirtLost {
        /// What the connection said.
        reason: String,
    },
    /// Nothing happened for a while; the stream is alive.
    Heartbeat,
}

/// Everything the agent sees at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The host's facts.
    pub facts: HostFacts,
    /// Every VM of Gantry's that libvirt knows on this host. A VM that is not listed does not run here.
    /// `None` while libvirtd cannot be asked.
    pub vms: Option<Vec<Observation>>,
    /// Domains that somebody else made. The agent leaves them alone.
    pub foreign: Vec<ForeignDomain>,
    /// The observation number at which this snapshot was taken: it says nothing about later observations.
    pub revision: u64,
}

/// A domain that Gantry did not make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignDomain {
    /// libvirt's uuid, with hyphens.
    pub uuid: String,
    /// libvirt's name.
    pub name: String,
    /// Virtual processors, which it takes from the host's capacity.
    pub cpu_num: u32,
    /// Memory, which it takes from the host's capacity.
    pub memory_bytes: u64,
}

/// How far a long command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The command.
    pub operation: OperationId,
    /// Bytes handled so far.
    pub done_bytes: u64,
    /// Bytes in all, where that is known.
    pub total_bytes: Option<u64>,
}

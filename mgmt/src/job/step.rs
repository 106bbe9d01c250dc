//! What an operation by job consists of.

use std::{collections::BTreeSet, future::Future};

use futures_util::future::BoxFuture;
use gantry_common::id::{AccountUuid, JobUuid, SessionUuid};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::Run;
use crate::{
    api::{Declared, Origin},
    failure::Failure,
    node::Node,
    store::{Claim, Tx},
};

/// An operation that is carried out by job.
pub trait JobOperation: Declared {
    /// What the steps find out and later steps need. It is stored with every step's outcome.
    type State: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static;

    /// The ids of the resources that no other job may work on at the same time.
    fn locks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Finds further such ids that the parameters do not name: the VM of a network interface. Asked when the call is
    /// accepted, so that the job takes its place in all its lines in the order of the calls, and as what it claims in its
    /// turn: by then it may be another VM, and the job's own steps may take the VM from the record.
    const FIND_LOCKS: Option<FindLocks<Self>> = None;

    /// Whether it also works on resources that only the inventory tells; see [`JobOperation::claim`].
    const CLAIMS: bool = false;

    /// What the job has for itself from its begin to its end, besides its locks: asked for when its turn has come, and again
    /// when it has stood in line for what it said.
    ///
    /// # Errors
    /// There is nothing to work on: the job ends with this.
    fn claim(&self, tx: &Tx<'_>, _node: &Node) -> Result<Vec<Claim>, Failure> {
        let found = Self::FIND_LOCKS.map_or(Ok(Vec::new()), |find| find(self, tx))?;
        let found: BTreeSet<String> = found.into_iter().collect();
        Ok(found.into_iter().map(|resource| Claim { resource, goes: false }).collect())
    }

    /// The steps, in order.
    fn steps() -> Vec<Step<Self>>;

    /// The reply once all steps are done; empty unless said otherwise.
    fn reply(&self, _tx: &Tx<'_>, _state: &Self::State) -> Result<Value, Failure> {
        Ok(Value::Object(serde_json::Map::new()))
    }
}

/// Looks in the inventory for the ids of resources that no other job may work on at the same time.
pub type FindLocks<O> = fn(&O, &Tx<'_>) -> Result<Vec<String>, Failure>;

/// A step that only writes to the inventory.
pub type Record<O> = fn(&Tx<'_>, &mut Recording<'_, O>) -> Result<(), Failure>;

/// A step that works on hosts; it answers the state it leaves.
pub type Remote<O> =
    Box<dyn Fn(Run<O>) -> BoxFuture<'static, Result<<O as JobOperation>::State, Failure>> + Send + Sync>;

/// What a recording step has at hand.
pub struct Recording<'a, O: JobOperation> {
    /// The node.
    pub node: &'a Node,
    /// The job.
    pub job: JobUuid,
    /// Who called.
    pub account_uuid: AccountUuid,
    /// The session of the call, where it had one.
    pub session_uuid: Option<SessionUuid>,
    /// Where the caller reached the node; nothing for the node's own jobs.
    pub origin: Option<&'a Origin>,
    /// What was asked.
    pub params: &'a O,
    /// What the steps have found out so far.
    pub state: &'a mut O::State,
}

/// What a step does, and how that is undone.
pub struct Step<O: JobOperation> {
    /// What it is called in logs, progress and errors.
    pub name: &'static str,
    pub(super) act: Act<O>,
    pub(super) undo: Option<Act<O>>,
    pub(super) can_be_cancelled: bool,
    pub(super) in_parts: bool,
}

pub(super) enum Act<O: JobOperation> {
    Record(Record<O>),
    Remote(Remote<O>),
}

impl<O: JobOperation> Act<O> {
    fn remote<F, Fut>(work: F) -> Self
    where
        F: Fn(Run<O>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O::State, Failure>> + Send + 'static,
    {
        Self::Remote(Box::new(move |run| Box::pin(work(run))))
    }
}

impl<O: JobOperation> Step<O> {
    /// A step that only writes to the inventory, in one transaction with its outcome.
    pub fn record(name: &'static str, act: Record<O>) -> Self {
        Self { name, act: Act::Record(act), undo: None, can_be_cancelled: false, in_parts: false }
    }

    /// A step that works on hosts. It must be idempotent: after a crash it is done again.
    pub fn remote<F, Fut>(name: &'static str, act: F) -> Self
    where
        F: Fn(Run<O>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O::State, Failure>> + Send + 'static,
    {
        Self { name, act: Act::remote(act), undo: None, can_be_cancelled: false, in_parts: false }
    }

    /// Lets the job be cancelled until this step, which works on hosts, is done; also while it is being done, if its
    /// commands can be broken off. All that was done by then must be undone by the steps' undoing.
    #[must_use]
    pub fn cancellable(mut self) -> Self {
        self.can_be_cancelled = true;
        self
    }

    /// The step, which works on hosts, consists of parts of which each stays done: it can be cancelled between two of them,
    /// and the error that it then answers with says what was done.
    #[must_use]
    pub fn in_parts(mut self) -> Self {
        self.can_be_cancelled = true;
        self.in_parts = true;
        self
    }

    /// Undoes the step by writing to the inventory.
    #[must_use]
    pub fn undo_record(mut self, undo: Record<O>) -> Self {
        self.undo = Some(Act::Record(undo));
        self
    }

    /// Undoes the step by working on hosts. It must be idempotent and bear that the step got only half-way.
    #[must_use]
    pub fn undo_remote<F, Fut>(mut self, undo: F) -> Self
    where
        F: Fn(Run<O>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O::State, Failure>> + Send + 'static,
    {
        self.undo = Some(Act::remote(undo));
        self
    }
}

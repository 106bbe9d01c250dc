//! What an operation by job consists of.

use std::{future::Future, sync::Arc};

use futures_util::future::BoxFuture;
use gantry_common::{
    agent::Command,
    id::{AccountUuid, HostUuid, JobUuid, OperationId},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{api::Declared, failure::Failure, node::Node, store::Tx};

/// An operation that is carried out by job.
pub trait JobOperation: Declared {
    /// What the steps find out and later steps need. It is stored with every step's outcome.
    type State: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static;

    /// The ids of the resources that no other job may work on at the same time.
    fn locks(&self) -> Vec<String> {
        Vec::new()
    }

    /// The steps, in order.
    fn steps() -> Vec<Step<Self>>;

    /// The reply once all steps are done; empty unless said otherwise.
    fn reply(&self, _tx: &Tx<'_>, _state: &Self::State) -> Result<Value, Failure> {
        Ok(Value::Object(serde_json::Map::new()))
    }
}

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
    /// What was asked.
    pub params: &'a O,
    /// What the steps have found out so far.
    pub state: &'a mut O::State,
}

/// What a step on hosts has at hand.
pub struct Run<O: JobOperation> {
    /// The node.
    pub node: Arc<Node>,
    /// The job.
    pub job: JobUuid,
    /// What was asked.
    pub params: Arc<O>,
    /// What the steps have found out so far.
    pub state: O::State,
    pub(super) step: String,
}

impl<O: JobOperation> Run<O> {
    /// The id of a command of this step. It is the same after a restart, so that the agent knows a repeat.
    pub fn operation(&self, label: &str) -> OperationId {
        let digest = Sha256::digest(format!("{}/{}/{label}", self.job, self.step));
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        OperationId::from(Uuid::from_bytes(bytes))
    }

    /// Has a machine's agent carry out a command; `label` tells the commands of one step apart.
    pub async fn call<C: Command + Clone>(
        &self,
        machine: HostUuid,
        label: &str,
        command: C,
    ) -> Result<C::Reply, Failure> {
        self.node.call(machine, self.operation(label), command).await
    }

    /// The same for a command that takes long: its progress becomes the job's.
    pub async fn call_long<C: Command + Clone>(
        &self,
        machine: HostUuid,
        label: &str,
        command: C,
    ) -> Result<C::Reply, Failure> {
        let operation = self.operation(label);
        let mut progress = self.node.fleet.progress(operation);
        let (jobs, job) = (&self.node.jobs, self.job);
        let follow = async {
            while progress.changed().await.is_ok() {
                if let Some(seen) = *progress.borrow_and_update() {
                    jobs.progress.bytes(job, seen.done_bytes, seen.total_bytes);
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            reply = self.node.call(machine, operation, command) => reply,
            () = follow => unreachable_future().await,
        }
    }
}

/// Following progress never ends by itself.
async fn unreachable_future<T>() -> T {
    std::future::pending().await
}

/// What a step does, and how that is undone.
pub struct Step<O: JobOperation> {
    /// What it is called in logs, progress and errors.
    pub name: &'static str,
    pub(super) act: Act<O>,
    pub(super) undo: Option<Act<O>>,
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
        Self { name, act: Act::Record(act), undo: None }
    }

    /// A step that works on hosts. It must be idempotent: after a crash it is done again.
    pub fn remote<F, Fut>(name: &'static str, act: F) -> Self
    where
        F: Fn(Run<O>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O::State, Failure>> + Send + 'static,
    {
        Self { name, act: Act::remote(act), undo: None }
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

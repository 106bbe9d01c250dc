//! What a step on hosts has at hand: its commands, each under an id of its own, with progress and cancelling.

use std::sync::Arc;

use gantry_common::{
    agent::Command,
    id::{AccountUuid, HostUuid, JobUuid, OperationId},
};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{JobOperation, Part};
use crate::{api::Origin, failure::Failure, node::Node};

/// What a step on hosts has at hand.
pub struct Run<O: JobOperation> {
    /// The node.
    pub node: Arc<Node>,
    /// The job.
    pub job: JobUuid,
    /// Who called.
    pub account_uuid: AccountUuid,
    /// Where the caller reached the node.
    pub origin: Option<Origin>,
    /// What was asked.
    pub params: Arc<O>,
    /// What the steps have found out so far.
    pub state: O::State,
    /// Cancelled when the job is and this step can be broken off. Commands heed it; other work may.
    pub cancelled: CancellationToken,
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
        self.node.call_until(machine, self.operation(label), command, &self.cancelled).await
    }

    /// The same for a command that takes long and is all that its step does: its progress becomes the job's.
    pub async fn call_long<C: Command + Clone>(
        &self,
        machine: HostUuid,
        label: &str,
        command: C,
    ) -> Result<C::Reply, Failure> {
        self.call_part(machine, label, command, Part::WHOLE).await
    }

    /// The same for one of several such commands of a step.
    pub async fn call_part<C: Command + Clone>(
        &self,
        machine: HostUuid,
        label: &str,
        command: C,
        part: Part,
    ) -> Result<C::Reply, Failure> {
        let operation = self.operation(label);
        let mut progress = self.node.fleet.progress(operation);
        let (jobs, job) = (&self.node.jobs, self.job);
        let mut follow = Box::pin(async {
            while progress.changed().await.is_ok() {
                if let Some(seen) = *progress.borrow_and_update() {
                    jobs.progress.bytes(job, seen.done_bytes, seen.total_bytes, part);
                }
            }
        });
        let mut reply = Box::pin(self.node.call_until(machine, operation, command, &self.cancelled));
        tokio::select! {
            reply = &mut reply => reply,
            () = &mut follow => reply.await,
        }
    }
}

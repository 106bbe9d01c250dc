//! 11.3: the progress of jobs, and, beyond the published reference, cancelling them.

use gantry_common::id::JobUuid;
use serde_json::{Value, json};

use super::long_job::message_name;
use crate::{
    api::{Admits, Caller, Operation, Principal, SyncOperation, sync},
    failure::Failure,
    job::{self, StepProgress, TaskProgress},
    operation,
    store::{JobPhase, JobRecord},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![sync::<GetTaskProgress>(), sync::<CancelJob>()]
}

operation! {
    /// How far a job is. One that has ended has no progress any more.
    GetTaskProgress, "11.3.1", Get "/task-progresses/{apiId}", Sync -> { inventories: [{
        taskUuid: Uuid, taskId: Uuid, taskName: String, type: String, content: String, opaque: Json, time: i64,
        currentStep: i64, totalSteps: i64, subTasks: [Json]
    }] }; {
        /// The job.
        api_id: JobUuid;
        /// Whether the steps before the one being done are asked for, too.
        all: Option<bool>;
    }
}

impl SyncOperation for GetTaskProgress {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let job = self.api_id;
        let record = caller.node.store.read(move |tx| tx.job(job).map_err(Failure::from)).await?;
        // Another account's job is as good as none.
        let Some(record) = record.filter(|record| match caller.principal {
            Principal::Account(account) => account == record.account_uuid,
            Principal::Operator(_) | Principal::Stranger => true,
        }) else {
            return Ok(json!({ "inventories": [] }));
        };
        let Some(progress) = caller.node.jobs.progress(job) else {
            let inventories: Vec<Value> = if record.phase.has_ended() { vec![] } else { vec![without_steps(&record)] };
            return Ok(json!({ "inventories": inventories }));
        };
        let skipped = if self.all == Some(true) { 0 } else { progress.steps.len().saturating_sub(1) };
        let steps: Vec<Value> = progress.steps.iter().skip(skipped).map(|step| shown(job, &progress, step)).collect();
        Ok(json!({ "inventories": steps }))
    }
}

/// What a client sees of a step: a percentage where bytes are counted, else its name.
fn shown(job: JobUuid, progress: &TaskProgress, step: &StepProgress) -> Value {
    let mut opaque = json!({ "step": step.name });
    if let Some(bytes) = step.bytes {
        opaque["doneBytes"] = json!(bytes.done_bytes);
        if let Some(total_bytes) = bytes.total_bytes {
            opaque["totalBytes"] = json!(total_bytes);
        }
    }
    let percent = step.bytes.and_then(|bytes| bytes.percent());
    json!({
        // The reference's example and its table name this field differently.
        "taskUuid": job,
        "taskId": job,
        "taskName": message_name(progress.api),
        "type": if percent.is_some() { "Progress" } else { "Task" },
        "content": percent.map_or_else(|| step.name.to_owned(), |percent| percent.to_string()),
        "opaque": opaque,
        "time": step.time.millis(),
        "currentStep": step.number,
        "totalSteps": progress.total_steps,
        "subTasks": [],
    })
}

/// A job that is at none of its steps.
fn without_steps(record: &JobRecord) -> Value {
    let content = match record.phase {
        JobPhase::Waiting => "waiting for the jobs before it",
        JobPhase::Undoing => "undoing",
        JobPhase::Running | JobPhase::Succeeded | JobPhase::Failed => "running",
    };
    json!({
        "taskUuid": record.uuid,
        "taskId": record.uuid,
        "taskName": message_name(&record.api),
        "type": "Task",
        "content": content,
        "time": record.accepted_date.millis(),
        "subTasks": [],
    })
}

operation! {
    /// Cancels a job: what it has done is undone, and it ends as cancelled. Not part of the published reference.
    CancelJob, "2.5", Delete "/api-jobs/{uuid}", Sync, admits Some(Admits::Accounts); {
        /// The job.
        uuid: JobUuid;
    }
}

impl SyncOperation for CancelJob {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let account = caller.principal.account().unwrap_or(caller.node.admin);
        job::cancel(&caller.node, self.uuid, account).await?;
        Ok(json!({}))
    }
}

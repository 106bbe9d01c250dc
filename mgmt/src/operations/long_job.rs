//! 11.8: long jobs, operations that are submitted by name and then run on their own.

use gantry_common::{
    error::ErrorKind,
    id::{JobUuid, LongJobUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::making::{made, make, put_tags, require};
use crate::{
    api::{
        Checked, Declaration, Handler, JsonText, Operation, ParameterKind, Principal, check_object, job, may, may_with,
        query,
    },
    audit::{self, CallSource},
    clock::Timestamp,
    failure::Failure,
    job::{Accepted, JobHandler, JobOperation, Recording, Run, Step, accept, cancel},
    node::Node,
    operation,
    resource::{LongJob, LongJobState},
    store::Tx,
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![job::<SubmitLongJob>(), job::<DeleteLongJob>(), query::<QueryLongJob>(LongJob::declaration)]
}

/// The published name of an operation's message, such as `APIAddImageMsg`.
pub fn message_name(operation: &str) -> String {
    format!("API{operation}Msg")
}

/// The operation that a job's name means: the message's name, with its package or without, or the operation's own.
fn operation_name(job_name: &str) -> &str {
    let simple = job_name.rsplit('.').next().unwrap_or(job_name);
    simple.strip_prefix("API").and_then(|name| name.strip_suffix("Msg")).unwrap_or(simple)
}

operation! {
    /// Submits an operation that is then run as a job of its own.
    SubmitLongJob, "11.8.1", Post "/longjobs", Job -> LongJob; {
        /// The long job's name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The operation: `APIAddImageMsg` or `AddImage`.
        job_name: String, max_length 255;
        /// Its parameters.
        job_data: JsonText;
        /// The id it gets.
        resource_uuid: Option<LongJobUuid>;
        /// The resource it is about.
        target_resource_uuid: Option<String>, max_length 32;
    }
}

/// What was recorded: the long job, and the job that is to carry it out.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Submitting {
    recorded: Option<(LongJobUuid, JobUuid)>,
}

impl SubmitLongJob {
    /// The operation's declaration and handler, and its checked parameters.
    fn read(&self, node: &Node) -> Result<(&'static Declaration, JobHandler, Checked), Failure> {
        let refuse = |remedy: &str| Failure::argument("jobName", &self.job_name, remedy);
        let name = operation_name(&self.job_name);
        if ["SubmitLongJob", "DeleteLongJob"].contains(&name) {
            return Err(refuse("a long job cannot be about long jobs"));
        }
        let (declaration, handler) = node.job_operation(name).ok_or_else(|| {
            refuse("name an operation that answers by job, such as AddImage, as APIAddImageMsg or AddImage")
        })?;
        let data = self.job_data.clone().into_object().ok_or_else(|| {
            Failure::argument("jobData", "", "a JSON object is needed: the operation's parameters by their names")
        })?;
        Ok((declaration, handler, check_object(declaration, "jobData", data)?))
    }
}

impl JobOperation for SubmitLongJob {
    type State = Submitting;

    fn locks(&self) -> Vec<String> {
        self.resource_uuid.iter().map(ToString::to_string).collect()
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("record the long job", record).undo_record(|tx, run| match run.state.recorded {
                Some((long_job, _)) => Ok(tx.delete::<LongJob>(long_job)?),
                None => Ok(()),
            }),
            Step::remote("start its job", |run: Run<Self>| async move {
                let Some((_, job)) = run.state.recorded else { return Ok(run.state) };
                let (admin, account) = (run.node.admin, run.account_uuid);
                let principal = move |tx: &Tx<'_>| Principal::of(tx, admin, account).map_err(Failure::from);
                let principal = run.node.store.read(principal).await?;
                let origin = CallSource { principal, session: None, from: None };
                let (declaration, handler, checked) = run.params.read(&run.node)?;
                let written = audit::begin(declaration, &origin, &checked.parameters, Some(job));
                // The same id after a restart: it is started once.
                let accepted = Accepted {
                    uuid: job,
                    declaration,
                    handler,
                    parameters: checked.parameters,
                    principal,
                    session_uuid: None,
                    audit: Some(written),
                    webhook: None,
                    origin: run.origin.clone(),
                };
                accept(&run.node, accepted).await?;
                Ok(run.state)
            })
            .undo_remote(|run: Run<Self>| async move {
                if let Some((_, job)) = run.state.recorded
                    && let Err(failure) = cancel(&run.node, job, run.account_uuid).await
                {
                    // It was not started, or it is too late.
                    tracing::info!(%job, error = %failure, "the job of a long job that failed is not cancelled");
                }
                Ok(run.state)
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Submitting) -> Result<Value, Failure> {
        made::<LongJob>(tx, state.recorded.map(|(long_job, _)| long_job))
    }
}

fn record(tx: &Tx<'_>, run: &mut Recording<'_, SubmitLongJob>) -> Result<(), Failure> {
    let params = run.params;
    let (declaration, handler, checked) = params.read(run.node)?;
    let principal = Principal::of(tx, run.node.admin, run.account_uuid)?;
    may(principal, Operation { declaration, handler: Handler::Job(handler) })?;
    may_with(tx, principal, declaration, &checked.parameters)?;
    if !checked.ignored.is_empty() {
        let fields = checked.ignored.join(", ");
        tracing::info!(api = declaration.name, fields, "unknown fields of a long job were let through");
    }
    let (uuid, job, now) =
        (params.resource_uuid.unwrap_or_else(LongJobUuid::random), JobUuid::random(), Timestamp::now());
    make(
        tx,
        &LongJob {
            uuid,
            name: params.name.clone(),
            description: params.description.clone(),
            api_id: job,
            job_name: params.job_name.clone(),
            job_data: Value::Object(without_secrets(declaration, checked.parameters)).to_string(),
            job_result: None,
            target_resource_uuid: params.target_resource_uuid.clone(),
            management_node_uuid: run.node.uuid,
            create_date: now,
            last_op_date: now,
            state: LongJobState::Waiting,
        },
    )?;
    put_tags::<LongJob>(tx, uuid, &params.system_tags, &params.user_tags)?;
    run.state.recorded = Some((uuid, job));
    Ok(())
}

/// What may be shown of parameters.
fn without_secrets(declaration: &Declaration, mut parameters: Map<String, Value>) -> Map<String, Value> {
    for parameter in declaration.parameters.iter().filter(|parameter| parameter.kind == ParameterKind::Secret) {
        if let Some(secret) = parameters.get_mut(&parameter.name) {
            *secret = json!("******");
        }
    }
    parameters
}

operation! {
    /// Deletes a long job that has ended. What it did stays.
    DeleteLongJob, "11.8.2", Delete "/longjobs/{uuid}", Job; {
        /// The long job.
        uuid: LongJobUuid;
    }
}

impl JobOperation for DeleteLongJob {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("delete the long job", |tx, run| {
            let long_job = require::<LongJob>(tx, "uuid", run.params.uuid)?;
            if !long_job.state.has_ended() {
                let details = format!(
                    "long job '{}' is {}: wait for its end, or cancel its job '{}', then it can be deleted",
                    long_job.uuid, long_job.state, long_job.api_id
                );
                return Err(Failure::new(ErrorKind::StateForbids, details));
            }
            Ok(tx.delete::<LongJob>(long_job.uuid)?)
        })]
    }
}

operation! {
    /// Queries long jobs.
    QueryLongJob, "11.8.3", Get "/longjobs" | "/longjobs/{uuid}", Sync -> [LongJob]; {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_known_by_its_name_and_by_its_messages_name() {
        for name in ["AddImage", "APIAddImageMsg", "org.zstack.header.image.APIAddImageMsg"] {
            assert_eq!(operation_name(name), "AddImage");
        }
        assert_eq!(operation_name(&message_name("AddImage")), "AddImage");
        assert_eq!(operation_name("APIVersion"), "APIVersion");
    }
}

//! Accepting a call: its job is stored before the caller hears of it.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use gantry_common::{
    error::ErrorKind,
    id::{JobUuid, SessionUuid},
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    Ticket,
    runner::{drive, give_up},
    same_call,
};
use crate::{
    api::{Declaration, Origin, ParameterKind, Principal, may_with},
    clock::Timestamp,
    failure::Failure,
    job::JobOperation,
    node::Node,
    resource::AuditedCall,
    store::{JobPhase, JobRecord},
};

/// Finds the ids of the resources that a stored job works on.
type FindResources = fn(Arc<Node>, Value) -> BoxFuture<'static, Result<Vec<String>, Failure>>;

/// How the jobs of one operation are driven.
#[derive(Clone, Copy)]
pub struct JobHandler {
    resources: FindResources,
    can_be_cancelled_from: fn(usize) -> bool,
    drive: fn(Arc<Node>, Ticket, JobRecord),
}

impl JobHandler {
    /// The handler of an operation.
    pub fn of<O: JobOperation>() -> Self {
        Self {
            resources: |node, stored| Box::pin(resources::<O>(node, stored)),
            can_be_cancelled_from: |step| O::steps().iter().skip(step).any(|step| step.can_be_cancelled),
            drive: drive::<O>,
        }
    }

    /// Whether a job whose next step is this one comes to a step that can be cancelled.
    pub(super) fn can_be_cancelled_from(&self, step: usize) -> bool {
        (self.can_be_cancelled_from)(step)
    }
}

/// The ids of the resources that a job works on.
async fn resources<O: JobOperation>(node: Arc<Node>, stored: Value) -> Result<Vec<String>, Failure> {
    let operation = unseal::<O>(&node, &stored)?;
    let mut resources = operation.locks();
    if let Some(find) = O::FIND_LOCKS {
        resources.extend(node.store.read(move |tx| find(&operation, tx)).await?);
    }
    Ok(resources)
}

/// A checked call that is to become a job.
pub struct Accepted {
    /// The job's id.
    pub uuid: JobUuid,
    /// The operation.
    pub declaration: &'static Declaration,
    /// How it is driven.
    pub handler: JobHandler,
    /// Its parameters.
    pub parameters: Map<String, Value>,
    /// On whose behalf it is called.
    pub principal: Principal,
    /// The session it is called in, where it is.
    pub session_uuid: Option<SessionUuid>,
    /// What is written down of the call; nothing of what the node does by itself.
    pub audit: Option<AuditedCall>,
    /// Where the result is posted to.
    pub webhook: Option<String>,
    /// Where the caller reached the node.
    pub origin: Option<Origin>,
}

/// Stores the job and starts it. The same call under an id that is known is the same job: nothing is started.
///
/// # Errors
/// The id is that of another call, the principal may not do this with what the parameters name, or the job could not be
/// stored.
pub async fn accept(node: &Arc<Node>, accepted: Accepted) -> Result<JobUuid, Failure> {
    // A task of its own: a caller that hangs up must not leave a stored job that nobody drives.
    let task = tokio::spawn(store_and_start(node.clone(), accepted));
    task.await.unwrap_or_else(|error| Err(Failure::new(ErrorKind::Internal, error.to_string())))
}

async fn store_and_start(node: Arc<Node>, accepted: Accepted) -> Result<JobUuid, Failure> {
    let (principal, declaration) = (accepted.principal, accepted.declaration);
    let account_uuid = principal.account().unwrap_or(node.admin);
    let call_digest = same_call::digest(&node, &accepted);
    let mut parameters = accepted.parameters;
    seal(&node, accepted.declaration, &mut parameters)?;
    choose_id(accepted.declaration, &mut parameters);
    let params = Value::Object(parameters);
    // The place in line is taken first: its number is stored with the job and keeps the order over a restart.
    let ticket = node.jobs.queues.queue((accepted.handler.resources)(node.clone(), params.clone()).await?);
    let record = JobRecord {
        uuid: accepted.uuid,
        number: ticket.number(),
        api: accepted.declaration.name.to_owned(),
        params,
        call_digest,
        account_uuid,
        session_uuid: accepted.session_uuid,
        webhook: accepted.webhook,
        origin: accepted.origin,
        phase: JobPhase::Waiting,
        step: 0,
        state: Value::Null,
        cancelled_by: None,
        result: None,
        accepted_date: Timestamp::now(),
        finished_date: None,
    };
    let stored = record.clone();
    let (audit, most_audits) = (accepted.audit, node.settings.now().audit_max);
    let known = node
        .store
        .write(move |tx| {
            let known = tx.job(stored.uuid)?;
            if known.is_none() {
                if let Value::Object(parameters) = &stored.params {
                    may_with(tx, principal, declaration, parameters)?;
                }
                tx.insert_job(&stored)?;
                if let Some(audit) = &audit {
                    tx.record_audit(audit, most_audits)?;
                }
            }
            Ok::<_, Failure>(known)
        })
        .await?;
    let uuid = record.uuid;
    if let Some(known) = known {
        return same_call::require_same(&known, &record).map(|()| uuid);
    }
    if let Some(failpoint) = &node.jobs.failpoint {
        failpoint.reached(&record.api, 0);
    }
    (accepted.handler.drive)(node, ticket, record);
    Ok(uuid)
}

/// How long to wait before it is looked whether a job of the node's own has ended, at first and at the most.
const LOOK: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Runs an operation that the node itself asks for, and waits for its end.
///
/// # Errors
/// Why the job failed, or that it could not be stored.
pub async fn run<O: JobOperation>(node: &Arc<Node>, parameters: Map<String, Value>) -> Result<(), Failure> {
    let accepted = Accepted {
        uuid: JobUuid::random(),
        declaration: O::declaration(),
        handler: JobHandler::of::<O>(),
        parameters,
        principal: Principal::Operator(node.admin),
        session_uuid: None,
        audit: None,
        webhook: None,
        origin: None,
    };
    let uuid = accept(node, accepted).await?;
    let mut wait = LOOK.0;
    loop {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LOOK.1);
        let job = node.store.read(move |tx| tx.job(uuid).map_err(Failure::from)).await?;
        match job {
            Some(job) if !job.phase.has_ended() => {}
            Some(job) if job.phase == JobPhase::Succeeded => return Ok(()),
            Some(job) => {
                let result = job.result.unwrap_or_default();
                let details = result["error"]["details"].as_str().unwrap_or("the job failed");
                return Err(Failure::new(ErrorKind::Refused, details));
            }
            None => return Err(Failure::new(ErrorKind::Refused, "the job was forgotten before its end was seen")),
        }
    }
}

/// Takes up every job that had not ended when the node did, each at the place it had.
pub async fn resume_jobs(node: &Arc<Node>) -> Result<usize, Failure> {
    let open = node.store.read(|tx| tx.open_jobs().map_err(Failure::from)).await?;
    let count = open.len();
    for record in open {
        let Some(handler) = node.job_handler(&record.api) else {
            let details =
                format!("{} was accepted by a version of the node that knew it; this one does not", record.api);
            give_up(node, &record, &Failure::new(ErrorKind::NotSupported, details)).await;
            continue;
        };
        let uuid = record.uuid;
        let claims = node.store.read(move |tx| tx.claims_of(uuid).map_err(Failure::from)).await?;
        match (handler.resources)(node.clone(), record.params.clone()).await {
            Ok(mut resources) => {
                resources.extend(claims.into_iter().map(|claim| claim.resource));
                let ticket = node.jobs.queues.queue_again(record.number, resources);
                (handler.drive)(node.clone(), ticket, record);
            }
            Err(failure) => give_up(node, &record, &failure).await,
        }
    }
    Ok(count)
}

/// The parameters that are stored sealed.
fn secrets(declaration: &Declaration) -> impl Iterator<Item = &str> {
    let is_secret = |kind| matches!(kind, ParameterKind::Secret | ParameterKind::Json);
    declaration.parameters.iter().filter(move |p| is_secret(p.kind)).map(|p| p.name.as_str())
}

/// The parameter by which a caller may choose the id of what is made.
const CHOSEN_ID: &str = "resourceUuid";

/// Chooses the id of what is made, where the caller did not: so the job stands in its line before there is anything.
fn choose_id(declaration: &Declaration, parameters: &mut Map<String, Value>) {
    let may_be_chosen =
        declaration.parameters.iter().any(|p| p.name == CHOSEN_ID && p.kind == ParameterKind::Uuid && !p.required);
    if may_be_chosen && parameters.get(CHOSEN_ID).is_none_or(Value::is_null) {
        parameters.insert(CHOSEN_ID.to_owned(), json!(Uuid::new_v4().simple().to_string()));
    }
}

fn seal(node: &Node, declaration: &Declaration, parameters: &mut Map<String, Value>) -> Result<(), Failure> {
    for name in secrets(declaration) {
        if let Some(Value::String(plain)) = parameters.get(name) {
            let sealed = node.seal.seal(plain).map_err(|error| Failure::new(ErrorKind::Internal, error.to_string()))?;
            parameters.insert(name.to_owned(), json!(sealed));
        }
    }
    Ok(())
}

/// Brings what is sealed in a job's result to light, for the caller.
pub fn open_result(node: &Node, job: &mut JobRecord) -> Result<(), Failure> {
    let Some(result) = &mut job.result else { return Ok(()) };
    node.seal.open_within(result).map_err(|error| Failure::new(ErrorKind::Internal, error.to_string()))
}

/// A stored job's parameters with their secrets opened.
pub(super) fn unseal<O: JobOperation>(node: &Node, stored: &Value) -> Result<O, Failure> {
    let Value::Object(mut parameters) = stored.clone() else {
        return Err(Failure::new(ErrorKind::Internal, "a stored job has no parameters"));
    };
    for name in secrets(O::declaration()) {
        if let Some(Value::String(sealed)) = parameters.get(name) {
            let plain = node.seal.open(sealed).map_err(|error| Failure::new(ErrorKind::Internal, error.to_string()))?;
            parameters.insert(name.to_owned(), json!(plain));
        }
    }
    crate::api::typed::<O>(parameters)
}

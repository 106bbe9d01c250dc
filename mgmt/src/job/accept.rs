//! Accepting a call: its job is stored before the caller hears of it.

use std::sync::Arc;

use gantry_common::{
    error::ErrorKind,
    id::{AccountUuid, JobUuid},
};
use serde_json::{Map, Value, json};

use super::drive;
use crate::{
    api::{Declaration, ParameterKind},
    clock::Timestamp,
    failure::Failure,
    job::JobOperation,
    node::Node,
    store::{JobPhase, JobRecord},
};

/// How the jobs of one operation are driven.
#[derive(Clone, Copy)]
pub struct JobHandler {
    drive: fn(Arc<Node>, JobRecord),
}

impl JobHandler {
    /// The handler of an operation.
    pub fn of<O: JobOperation>() -> Self {
        fn start<O: JobOperation>(node: Arc<Node>, record: JobRecord) {
            tokio::spawn(drive::<O>(node, record));
        }
        Self { drive: start::<O> }
    }
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
    /// Who called.
    pub account_uuid: AccountUuid,
    /// Where the result is posted to.
    pub webhook: Option<String>,
}

/// Stores the job and starts it. A job id that is known already is the same call again: nothing is started.
pub async fn accept(node: &Arc<Node>, accepted: Accepted) -> Result<JobUuid, Failure> {
    let mut parameters = accepted.parameters;
    seal(node, accepted.declaration, &mut parameters)?;
    let record = JobRecord {
        uuid: accepted.uuid,
        api: accepted.declaration.name.to_owned(),
        params: Value::Object(parameters),
        account_uuid: accepted.account_uuid,
        webhook: accepted.webhook,
        phase: JobPhase::Running,
        step: 0,
        state: Value::Null,
        result: None,
        accepted_date: Timestamp::now(),
        finished_date: None,
    };
    let stored = record.clone();
    let known = node
        .store
        .write(move |tx| {
            let known = tx.job(stored.uuid)?;
            if known.is_none() {
                tx.insert_job(&stored)?;
            }
            Ok::<_, Failure>(known)
        })
        .await?;
    match known {
        Some(known) if known.api != record.api => Err(Failure::argument(
            "X-Job-UUID",
            record.uuid,
            format!("it is the id of an earlier {}: use a new one for each call", known.api),
        )),
        Some(_) => Ok(record.uuid),
        None => {
            let uuid = record.uuid;
            if let Some(failpoint) = &node.jobs.failpoint {
                failpoint.reached(&record.api, 0);
            }
            (accepted.handler.drive)(node.clone(), record);
            Ok(uuid)
        }
    }
}

/// Runs an operation that the node itself asks for, and waits for its end.
pub async fn run<O: JobOperation>(node: &Arc<Node>, parameters: Value) -> Result<Value, Failure> {
    let record = JobRecord {
        uuid: JobUuid::random(),
        api: O::declaration().name.to_owned(),
        params: parameters,
        account_uuid: node.admin,
        webhook: None,
        phase: JobPhase::Running,
        step: 0,
        state: Value::Null,
        result: None,
        accepted_date: Timestamp::now(),
        finished_date: None,
    };
    let (uuid, stored) = (record.uuid, record.clone());
    node.store.write(move |tx| tx.insert_job(&stored).map_err(Failure::from)).await?;
    drive::<O>(node.clone(), record).await;
    let ended = node.store.read(move |tx| tx.job(uuid).map_err(Failure::from)).await?;
    let result = ended.as_ref().and_then(|job| job.result.clone()).unwrap_or_default();
    if ended.is_some_and(|job| job.phase == JobPhase::Succeeded) {
        return Ok(result);
    }
    let details = result["error"]["details"].as_str().unwrap_or("its end could not be stored").to_owned();
    Err(Failure::new(ErrorKind::Refused, details))
}

/// Takes up every job that had not ended when the node did.
pub async fn resume_jobs(node: &Arc<Node>) -> Result<usize, Failure> {
    let open = node.store.read(|tx| tx.open_jobs().map_err(Failure::from)).await?;
    let count = open.len();
    for record in open {
        match node.job_handler(&record.api) {
            Some(handler) => (handler.drive)(node.clone(), record),
            None => {
                let failure = Failure::new(
                    ErrorKind::NotSupported,
                    format!("{} was accepted by a version of the node that knew it; this one does not", record.api),
                );
                tracing::error!(job = %record.uuid, api = record.api, "an open job is of an unknown operation");
                let body = failure.to_body();
                node.store
                    .write(move |tx| tx.finish_job(record.uuid, JobPhase::Failed, &body).map_err(Failure::from))
                    .await?;
            }
        }
    }
    Ok(count)
}

fn secrets(declaration: &Declaration) -> impl Iterator<Item = &str> {
    declaration.parameters.iter().filter(|p| p.kind == ParameterKind::Secret).map(|p| p.name.as_str())
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

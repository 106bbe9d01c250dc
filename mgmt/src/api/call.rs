//! Carrying out a call, whichever door it came through.

use std::{net::IpAddr, sync::Arc};

use gantry_common::{error::ErrorKind, id::JobUuid};
use http::{HeaderMap, Uri};
use serde_json::{Map, Value};

use super::{
    Answer, Caller, Checked, Declaration, Handler, Operation, Principal, SyncHandler, may, may_with, only_seen,
    server::note_ignored,
};
use crate::{
    failure::Failure,
    job::{self, Accepted},
    node::Node,
    query::View,
    resource::Session,
    store::{JobRecord, on_behalf_of},
};

/// A call on its way to its operation.
pub struct Call<'a> {
    /// What is called.
    pub operation: Operation,
    /// The caller's session; `None` only for operations that are open to all.
    pub session: Option<Session>,
    /// On whose behalf it is made.
    pub principal: Principal,
    /// Where the call comes from.
    pub from: IpAddr,
    /// The request's headers: they may choose the job's id and name who is told of its end.
    pub headers: &'a HeaderMap,
}

/// What became of a call.
pub enum Outcome {
    /// It is answered.
    Reply(Value),
    /// It is stored as a job, which is under way.
    Job(JobUuid),
}

/// Carries out a call with checked parameters: at once, or as a job.
pub async fn carry_out(node: &Arc<Node>, call: Call<'_>, checked: Checked) -> Result<Outcome, Failure> {
    let Call { operation, session, principal, from, headers } = call;
    let declaration = operation.declaration;
    let Checked { parameters, ignored } = checked;
    note_ignored(declaration, &ignored);
    may(principal, operation)?;
    match (operation.handler, declaration.answer) {
        (Handler::Planned, _) => Err(not_yet(declaration)),
        (Handler::Sync(handler), _) => {
            let caller = Caller { node: node.clone(), session, principal, from };
            Ok(Outcome::Reply(answer(caller, declaration, handler, parameters).await?))
        }
        (Handler::Job(handler), Answer::Job) => {
            let accepted = Accepted {
                uuid: job_uuid(headers)?,
                declaration,
                handler,
                parameters,
                principal,
                session_uuid: session.map(|session| session.uuid),
                webhook: webhook(headers)?,
            };
            Ok(Outcome::Job(job::accept(node, accepted).await?))
        }
        _ => Err(Failure::new(ErrorKind::Internal, format!("{} is declared wrongly", declaration.name))),
    }
}

/// Has a call answered at once; an account is told only what it sees.
async fn answer(
    caller: Caller,
    declaration: &'static Declaration,
    handler: SyncHandler,
    parameters: Map<String, Value>,
) -> Result<Value, Failure> {
    let (node, principal) = (caller.node.clone(), caller.principal);
    let Principal::Account(account) = principal else { return handler(caller, parameters).await };
    let named = parameters.clone();
    node.store.read(move |tx| may_with(tx, principal, declaration, &named)).await?;
    let reply = on_behalf_of(account, handler(caller, parameters)).await?;
    node.store.read(move |tx| only_seen(tx, principal, declaration, reply)).await
}

/// Whose eyes a query sees with.
///
/// # Errors
/// The principal may not ask it.
pub fn query_view(principal: Principal, query: Operation) -> Result<View, Failure> {
    may(principal, query)?;
    principal.view().ok_or_else(|| Failure::new(ErrorKind::MissingSession, "a query needs a session: log in first"))
}

/// Why an operation that is only declared is not carried out.
pub fn not_yet(declaration: &Declaration) -> Failure {
    let (name, section) = (declaration.name, declaration.section);
    Failure::new(
        ErrorKind::NotYet,
        format!(
            "{name} (section {section} of the reference) is not carried out by this version: the call was good, nothing was done"
        ),
    )
}

/// The job of that id, as a caller wrote it.
pub async fn known_job(node: &Node, text: &str) -> Result<JobRecord, Failure> {
    let unknown = || job::unknown_job(text);
    let uuid: JobUuid = text.parse().map_err(|_| unknown())?;
    node.store.read(move |tx| tx.job(uuid).map_err(Failure::from)).await?.ok_or_else(unknown)
}

/// The caller's `X-Job-UUID`, or a new one.
fn job_uuid(headers: &HeaderMap) -> Result<JobUuid, Failure> {
    let Some(header) = headers.get("x-job-uuid") else { return Ok(JobUuid::random()) };
    let text = header.to_str().unwrap_or_default();
    let uuid: Option<JobUuid> = text.parse().ok();
    uuid.filter(|uuid| uuid.as_uuid().get_version_num() == 4)
        .ok_or_else(|| Failure::argument("X-Job-UUID", text, "a version 4 uuid without hyphens is needed"))
}

fn webhook(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let Some(header) = headers.get("x-web-hook") else { return Ok(None) };
    let text = header.to_str().unwrap_or_default();
    match text.parse::<Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => {
            Ok(Some(text.to_owned()))
        }
        _ => Err(Failure::argument("X-Web-Hook", text, "an http or https URL is needed")),
    }
}

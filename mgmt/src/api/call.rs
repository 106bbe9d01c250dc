//! Carrying out a call, whichever door it came through.

use std::{net::IpAddr, sync::Arc};

use gantry_common::{error::ErrorKind, id::JobUuid};
use http::{HeaderMap, Uri};
use serde_json::{Map, Value};

use super::{
    Answer, Caller, Checked, Declaration, Handler, Operation, Origin, Principal, SyncHandler, may, may_with, only_seen,
    server::note_ignored,
};
use crate::{
    audit::{self, CallSource},
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

impl Call<'_> {
    fn source(&self) -> CallSource {
        let session = self.session.as_ref().map(|session| session.uuid);
        CallSource { principal: self.principal, session, from: Some(self.from) }
    }

    /// Whether it may be made at all. A call that may not is written down.
    async fn admit(&self, node: &Node, parameters: &Map<String, Value>) -> Result<(), Failure> {
        let admitted = may(self.principal, self.operation);
        if let Err(failure) = &admitted {
            let refused = audit::begin(self.operation.declaration, &self.source(), parameters, None);
            audit::refused(node, refused, failure).await;
        }
        admitted
    }
}

/// Carries out a call with checked parameters: at once, or as a job.
pub async fn carry_out(node: &Arc<Node>, call: Call<'_>, checked: Checked) -> Result<Outcome, Failure> {
    let declaration = call.operation.declaration;
    let Checked { parameters, ignored } = checked;
    note_ignored(declaration, &ignored);
    call.admit(node, &parameters).await?;
    match (call.operation.handler, declaration.answer) {
        (Handler::Planned, _) => Err(not_yet(declaration)),
        (Handler::Sync(handler), _) => Ok(Outcome::Reply(answer(node, call, handler, parameters).await?)),
        (Handler::Job(handler), Answer::Job) => {
            let uuid = job_uuid(call.headers)?;
            let written = audit::begin(declaration, &call.source(), &parameters, Some(uuid));
            let accepted = Accepted {
                uuid,
                declaration,
                handler,
                parameters,
                principal: call.principal,
                session_uuid: call.session.as_ref().map(|session| session.uuid),
                audit: Some(written.clone()),
                webhook: webhook(call.headers)?,
                origin: Origin::of(call.headers),
            };
            match job::accept(node, accepted).await {
                Ok(uuid) => Ok(Outcome::Job(uuid)),
                Err(failure) => {
                    audit::refused(node, written, &failure).await;
                    Err(failure)
                }
            }
        }
        _ => Err(Failure::new(ErrorKind::Internal, format!("{} is declared wrongly", declaration.name))),
    }
}

/// Has a call answered at once; an account is told only what it sees.
async fn answer(
    node: &Arc<Node>,
    call: Call<'_>,
    handler: SyncHandler,
    parameters: Map<String, Value>,
) -> Result<Value, Failure> {
    let (declaration, principal) = (call.operation.declaration, call.principal);
    let written = audit::begin(declaration, &call.source(), &parameters, None);
    let caller = Caller { node: node.clone(), session: call.session, principal, from: call.from };
    let outcome = match principal {
        Principal::Account(account) => {
            let named = parameters.clone();
            let admitted = node.store.read(move |tx| may_with(tx, principal, declaration, &named)).await;
            if let Err(failure) = admitted {
                audit::refused(node, written, &failure).await;
                return Err(failure);
            }
            match on_behalf_of(account, handler(caller, parameters)).await {
                Ok(reply) => node.store.read(move |tx| only_seen(tx, principal, declaration, reply)).await,
                Err(failure) => Err(failure),
            }
        }
        Principal::Operator(_) | Principal::Stranger => handler(caller, parameters).await,
    };
    if declaration.writes {
        audit::answered(node, declaration, written, &outcome).await;
    }
    outcome
}

/// Whose eyes a query sees with.
///
/// # Errors
/// The principal may not ask it.
pub async fn query_view(node: &Node, query: &Call<'_>) -> Result<View, Failure> {
    query.admit(node, &Map::new()).await?;
    let needed = || Failure::new(ErrorKind::MissingSession, "a query needs a session: log in first");
    query.principal.view().ok_or_else(needed)
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
    let mut job = node.store.read(move |tx| tx.job(uuid).map_err(Failure::from)).await?.ok_or_else(unknown)?;
    job::open_result(node, &mut job)?;
    Ok(job)
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

//! Carrying out a call, whichever door it came through.

use std::{net::IpAddr, sync::Arc};

use gantry_common::{error::ErrorKind, id::JobUuid};
use http::{HeaderMap, Uri};
use serde_json::Value;

use super::{Answer, Caller, Checked, Declaration, Handler, Operation, Origin, server::note_ignored};
use crate::{
    failure::Failure,
    job::{self, Accepted},
    node::Node,
    resource::Session,
    store::JobRecord,
};

/// A call on its way to its operation.
pub struct Call<'a> {
    /// What is called.
    pub operation: Operation,
    /// The caller's session; `None` only for operations that are open to all.
    pub session: Option<Session>,
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
    let Call { operation, session, from, headers } = call;
    let declaration = operation.declaration;
    let Checked { parameters, ignored } = checked;
    note_ignored(declaration, &ignored);
    match (operation.handler, declaration.answer) {
        (Handler::Planned, _) => Err(not_yet(declaration)),
        (Handler::Sync(handler), _) => {
            let caller = Caller { node: node.clone(), session, from };
            Ok(Outcome::Reply(handler(caller, parameters).await?))
        }
        (Handler::Job(handler), Answer::Job) => {
            let accepted = Accepted {
                uuid: job_uuid(headers)?,
                declaration,
                handler,
                parameters,
                account_uuid: session.map_or(node.admin, |session| session.account_uuid),
                webhook: webhook(headers)?,
                origin: Origin::of(headers),
            };
            Ok(Outcome::Job(job::accept(node, accepted).await?))
        }
        _ => Err(Failure::new(ErrorKind::Internal, format!("{} is declared wrongly", declaration.name))),
    }
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

//! Further resources for a job that finds in the inventory what it comes to work on.
//!
//! A job that wants more than it stood in line for gives its place up and stands in all the lines again, so that no two
//! jobs can wait for each other. What it has in the end is stored: after a restart it has the same at once.

use std::sync::Arc;

use gantry_common::error::ErrorKind;

use super::{JobOperation, Ticket, accept::unseal, runner::insist, webhook};
use crate::{
    failure::Failure,
    node::Node,
    store::{Claim, JobPhase, JobRecord, Tx},
};

/// How an attempt to claim went.
enum Attempt {
    /// The job has all it wants.
    Claimed,
    /// It has to stand in line for these, too.
    Wants(Vec<Claim>),
    /// It was cancelled while it waited.
    Over,
}

/// Claims what the job's operation wants to claim. `None` where the job has ended: it was cancelled, or there is nothing to
/// work on.
pub(super) async fn claim<O: JobOperation>(node: &Arc<Node>, mut ticket: Ticket, record: &JobRecord) -> Option<Ticket> {
    if !(O::CLAIMS || O::FIND_LOCKS.is_some()) || record.phase != JobPhase::Waiting {
        return Some(ticket);
    }
    loop {
        let wanted = match attempt::<O>(node, &ticket, record).await {
            Ok(Attempt::Claimed) => return Some(ticket),
            Ok(Attempt::Wants(wanted)) => wanted,
            Ok(Attempt::Over) => return None,
            Err(failure) => {
                refuse(node, record, &failure).await;
                return None;
            }
        };
        let mut resources = ticket.resources().to_vec();
        resources.extend(wanted.into_iter().map(|claim| claim.resource));
        drop(ticket);
        ticket = node.jobs.queues.queue(resources);
        ticket.turn().await;
    }
}

async fn attempt<O: JobOperation>(node: &Arc<Node>, ticket: &Ticket, record: &JobRecord) -> Result<Attempt, Failure> {
    let params = unseal::<O>(node, &record.params)?;
    let (uuid, held, judge) = (record.uuid, ticket.resources().to_vec(), node.clone());
    node.store
        .write(move |tx| {
            if tx.job_standing(uuid)?.is_none_or(|standing| standing.phase.has_ended()) {
                return Ok(Attempt::Over);
            }
            let wanted = params.claim(tx, &judge)?;
            if wanted.iter().any(|claim| held.binary_search(&claim.resource).is_err()) {
                return Ok(Attempt::Wants(wanted));
            }
            tx.set_claims(uuid, &wanted)?;
            Ok(Attempt::Claimed)
        })
        .await
}

/// Ends a job that has nothing to begin with.
async fn refuse(node: &Arc<Node>, record: &JobRecord, failure: &Failure) {
    tracing::info!(job = %record.uuid, api = record.api, error = %failure, "job refused");
    let (uuid, body) = (record.uuid, failure.to_body());
    let end = move |tx: &Tx<'_>| match tx.job_standing(uuid)? {
        Some(standing) if !standing.phase.has_ended() => Ok(tx.finish_job(uuid, JobPhase::Failed, &body)?),
        _ => Ok::<_, Failure>(()),
    };
    insist("ending a job", || node.store.write(end.clone())).await;
    webhook::post(node, uuid);
}

/// The failure of a job that meets what it did not claim.
pub fn unclaimed(what: &str) -> Failure {
    Failure::new(ErrorKind::Busy, format!("{what} came to it meanwhile: call again"))
}

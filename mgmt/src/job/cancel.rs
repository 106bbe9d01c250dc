//! Cancelling a job: the wish is stored, so that a restart does not lose it, and honoured at the first step that allows it.
//!
//! Whoever's wish was taken can rely on it that the job does not succeed: it ends as cancelled, or with the error that it
//! met before.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use gantry_common::{
    error::ErrorKind,
    id::{AccountUuid, JobUuid},
};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::webhook;
use crate::{
    api::Principal,
    failure::Failure,
    node::Node,
    store::{JobPhase, JobRecord, Tx},
};

/// Whether a running job is to be cancelled, and by whom.
#[derive(Default)]
pub(super) struct Wish {
    by: OnceLock<AccountUuid>,
    token: CancellationToken,
}

impl Wish {
    pub fn make(&self, by: AccountUuid) {
        self.by.get_or_init(|| by);
        self.token.cancel();
    }

    /// Who wants it.
    pub fn by(&self) -> Option<AccountUuid> {
        self.by.get().copied()
    }

    /// Cancelled with the job.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }
}

/// The jobs that run.
#[derive(Default)]
pub(super) struct Wishes {
    running: Mutex<HashMap<JobUuid, Arc<Wish>>>,
}

impl Wishes {
    /// A job begins to run; `by` wants it cancelled since before the node's restart.
    pub fn begin(&self, job: JobUuid, by: Option<AccountUuid>) -> Arc<Wish> {
        let wish = Arc::new(Wish::default());
        if let Some(by) = by {
            wish.make(by);
        }
        self.running.lock().insert(job, wish.clone());
        wish
    }

    pub fn end(&self, job: JobUuid) {
        self.running.lock().remove(&job);
    }

    fn make(&self, job: JobUuid, by: AccountUuid) {
        if let Some(wish) = self.running.lock().get(&job) {
            wish.make(by);
        }
    }
}

/// The error of a cancelled job.
pub(super) fn cancelled(api: &str, by: AccountUuid) -> Failure {
    Failure::new(ErrorKind::Cancelled, format!("{api} was cancelled by account {by}; what it had done is undone"))
}

/// The error of a job that was cancelled between two parts of what it does: `failure` says how far it is.
pub(super) fn cancelled_between_parts(api: &str, by: AccountUuid, failure: &Failure) -> Failure {
    let cancelled = Failure::new(ErrorKind::Cancelled, format!("{api} was cancelled by account {by}: {failure}"));
    if failure.kind == ErrorKind::Cancelled { cancelled } else { cancelled.caused_by(failure) }
}

/// What cancelling came to.
enum Cancelled {
    /// The job had not begun and has ended.
    Ended,
    /// It runs, and will be undone.
    Wanted,
    /// It is cancelled already.
    Before,
}

/// Cancels a job for an account. Done again, it changes nothing.
///
/// # Errors
/// There is no such job of the account, it has ended, or it is past the point up to which it can be undone.
pub async fn cancel(node: &Arc<Node>, job: JobUuid, by: AccountUuid) -> Result<(), Failure> {
    // A task of its own: a caller that hangs up must not leave a wish that the running job does not hear of.
    let task = tokio::spawn(make_wish(node.clone(), job, by));
    task.await.unwrap_or_else(|error| Err(Failure::new(ErrorKind::Internal, error.to_string())))
}

async fn make_wish(node: Arc<Node>, job: JobUuid, by: AccountUuid) -> Result<(), Failure> {
    let judge = node.clone();
    match node.store.write(move |tx| decide(&judge, tx, job, by)).await? {
        Cancelled::Ended => webhook::post(&node, job),
        Cancelled::Wanted => node.jobs.wishes.make(job, by),
        Cancelled::Before => return Ok(()),
    }
    tracing::info!(%job, account = %by, "cancelled");
    Ok(())
}

fn decide(node: &Node, tx: &Tx<'_>, uuid: JobUuid, by: AccountUuid) -> Result<Cancelled, Failure> {
    let job = tx.job(uuid)?.ok_or_else(|| unknown_job(uuid))?;
    if job.account_uuid != by && !matches!(Principal::of(tx, node.admin, by)?, Principal::Operator(_)) {
        return Err(unknown_job(uuid));
    }
    if job.cancelled_by.is_some() {
        return Ok(Cancelled::Before);
    }
    match job.phase {
        JobPhase::Waiting => {
            tx.want_job_cancelled(uuid, by)?;
            tx.finish_job(uuid, JobPhase::Failed, &cancelled(&job.api, by).to_body())?;
            Ok(Cancelled::Ended)
        }
        JobPhase::Running if can_be_cancelled(node, &job) => {
            tx.want_job_cancelled(uuid, by)?;
            Ok(Cancelled::Wanted)
        }
        phase => Err(Failure::new(ErrorKind::StateForbids, too_late(&job, phase))),
    }
}

fn can_be_cancelled(node: &Node, job: &JobRecord) -> bool {
    node.job_handler(&job.api).is_some_and(|handler| handler.can_be_cancelled_from(job.step as usize))
}

fn too_late(job: &JobRecord, phase: JobPhase) -> String {
    let JobRecord { uuid, api, .. } = job;
    match phase {
        JobPhase::Succeeded | JobPhase::Failed => format!("job '{uuid}' ({api}) has {phase} already"),
        JobPhase::Undoing => format!("job '{uuid}' ({api}) has failed and is being undone already"),
        JobPhase::Waiting | JobPhase::Running => format!(
            "job '{uuid}' ({api}) has nothing left to do that can be broken off: wait for its end, then undo what it did"
        ),
    }
}

/// The error for a job id that names none.
pub fn unknown_job(job: impl std::fmt::Display) -> Failure {
    Failure::new(ErrorKind::UnknownPath, format!("there is no job '{job}': it never was or has expired"))
}

//! Posting a job's result to the address its caller named, until it arrives or too much time has passed.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use gantry_common::id::JobUuid;
use tokio::sync::Semaphore;

use super::{accept::open_result, runner::insist};
use crate::{
    clock::Timestamp,
    failure::Failure,
    node::Node,
    notification::Notice,
    resource::NotificationType,
    store::{JobPhase, JobRecord},
};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How long to wait between attempts, at first and at the most.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// How many results are posted at the same time. A receiver that hangs holds one of these up, not the jobs.
const SLOTS: usize = 64;

/// What posts results.
pub(super) struct Poster {
    client: reqwest::Client,
    slots: Semaphore,
}

impl Poster {
    pub fn new() -> reqwest::Result<Self> {
        // A redirect would turn the post into a reading that carries nothing.
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(ATTEMPT).build()?;
        Ok(Self { client, slots: Semaphore::new(SLOTS) })
    }
}

/// Posts an ended job's result in the background, if its caller asked for that.
pub(super) fn post(node: &Arc<Node>, job: JobUuid) {
    tokio::spawn(deliver(node.clone(), job));
}

/// Goes on posting what had not arrived when the node ended.
pub async fn resume_posting(node: &Arc<Node>) -> Result<(), Failure> {
    for job in node.store.read(|tx| tx.jobs_to_post().map_err(Failure::from)).await? {
        post(node, job);
    }
    Ok(())
}

/// Tries until the result has arrived or it is too late. While it waits it keeps nothing but the job's id.
async fn deliver(node: Arc<Node>, job: JobUuid) {
    let mut wait = WAIT.0;
    while attempt(&node, job, wait).await.is_continue() {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAIT.1);
    }
}

/// Posts once; goes on where another attempt after `wait` may help.
async fn attempt(node: &Arc<Node>, uuid: JobUuid, wait: Duration) -> ControlFlow<()> {
    let Ok(_slot) = node.jobs.poster.slots.acquire().await else { return ControlFlow::Break(()) };
    let read = || node.store.read(move |tx| Ok(tx.job(uuid)?));
    let Some(mut job) = insist("reading a result to post", read).await else { return ControlFlow::Break(()) };
    let Some(url) = job.webhook.clone() else { return ControlFlow::Break(()) };
    let sent = match open_result(node, &mut job) {
        Ok(()) => send(&node.jobs.poster.client, &url, &job).await,
        Err(failure) => Err(failure.details),
    };
    if let Err(why) = sent {
        let deadline = job.finished_date.unwrap_or_else(Timestamp::now).plus(node.settings.now().webhook_give_up);
        if Timestamp::now().plus(wait) <= deadline {
            tracing::warn!(job = %uuid, why, "a job's result did not arrive; it is posted again");
            return ControlFlow::Continue(());
        }
        tracing::error!(job = %uuid, why, "a job's result never arrived: given up");
        Notice::new(
            NotificationType::Warning,
            "the result of job %s did not arrive at its webhook and is given up: %s",
            [uuid.to_string(), why],
        )
        .tell(node)
        .await;
    }
    insist("noting a posted result", || node.store.write(move |tx| Ok(tx.job_posted(uuid)?))).await;
    ControlFlow::Break(())
}

/// Posts the result, or says why it did not arrive; the address may hold secrets and is not repeated.
async fn send(client: &reqwest::Client, url: &str, job: &JobRecord) -> Result<(), String> {
    let sent = client
        .post(url)
        .header("content-type", "application/json;charset=UTF-8")
        .header("x-job-uuid", job.uuid.to_string())
        .header("x-job-success", if job.phase == JobPhase::Succeeded { "true" } else { "false" })
        .body(job.result.clone().unwrap_or_default().to_string())
        .send()
        .await;
    match sent {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("the receiver answered {}", response.status())),
        Err(error) => Err(error.without_url().to_string()),
    }
}

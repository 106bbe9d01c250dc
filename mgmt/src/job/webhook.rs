//! Posting a job's result to the address its caller named, until it arrives or too much time has passed.

use std::{sync::Arc, time::Duration};

use gantry_common::id::JobUuid;

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

/// Posts a job's result in the background, if its caller asked for that.
pub async fn post(node: &Arc<Node>, job: JobUuid) {
    match node.store.read(move |tx| tx.job(job).map_err(Failure::from)).await {
        Ok(Some(job)) if job.webhook.is_some() => {
            tokio::spawn(deliver(node.clone(), job));
        }
        Ok(_) => {}
        Err(error) => tracing::error!(%job, %error, "the job's result could not be read"),
    }
}

/// Goes on posting what had not arrived when the node ended.
pub async fn resume_posting(node: &Arc<Node>) -> Result<(), Failure> {
    for job in node.store.read(|tx| tx.jobs_to_post().map_err(Failure::from)).await? {
        tokio::spawn(deliver(node.clone(), job));
    }
    Ok(())
}

async fn deliver(node: Arc<Node>, job: JobRecord) {
    let Some(url) = job.webhook.as_deref() else { return };
    let body = job.result.unwrap_or_default().to_string();
    let success = job.phase == JobPhase::Succeeded;
    let finished = job.finished_date.unwrap_or_else(Timestamp::now);
    let mut wait = WAIT.0;
    loop {
        let sent = node
            .http
            .post(url)
            .timeout(ATTEMPT)
            .header("content-type", "application/json;charset=UTF-8")
            .header("x-job-uuid", job.uuid.to_string())
            .header("x-job-success", if success { "true" } else { "false" })
            .body(body.clone())
            .send()
            .await;
        match sent {
            Ok(response) if response.status().is_success() => break,
            Ok(response) => {
                tracing::warn!(job = %job.uuid, status = %response.status(), "the webhook's receiver refused");
            }
            Err(error) => {
                tracing::warn!(job = %job.uuid, error = %error.without_url(), "the webhook's receiver is away");
            }
        }
        if Timestamp::now().plus(wait) > finished.plus(node.settings.now().webhook_give_up) {
            tracing::error!(job = %job.uuid, "the webhook's receiver never answered: given up");
            Notice::new(
                NotificationType::Warning,
                "the result of job %s did not arrive at its webhook and is given up",
                [job.uuid.to_string()],
            )
            .tell(&node)
            .await;
            break;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAIT.1);
    }
    let uuid = job.uuid;
    if let Err(error) = node.store.write(move |tx| tx.job_posted(uuid).map_err(Failure::from)).await {
        tracing::error!(job = %uuid, %error, "the webhook's delivery could not be noted");
    }
}

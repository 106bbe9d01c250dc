//! Waiting for a job, with its progress on the terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::Value;

use crate::{
    arguments::Request,
    client::{Answer, CallError, Client},
};

const FIRST_PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often the terminal's bar turns.
const TICK: Duration = Duration::from_millis(120);
/// How long the node may be away: jobs outlive its restart.
const AWAY: Duration = Duration::from_secs(60);

/// Waits until the job has ended: its reply, or its error.
pub async fn wait(client: &Client, job: &str) -> Result<Value, CallError> {
    let bar = bar();
    let outcome = poll(client, job, &bar).await;
    bar.finish_and_clear();
    outcome
}

async fn poll(client: &Client, job: &str, bar: &ProgressBar) -> Result<Value, CallError> {
    let ask = Request::new(Method::GET, format!("/api-jobs/{job}"));
    let mut pause = FIRST_PAUSE;
    let mut heard = Instant::now();
    loop {
        match client.call(&ask, false, None).await {
            Ok(Answer::Reply(reply)) => return Ok(reply),
            Ok(Answer::Job) => {
                heard = Instant::now();
                // It comes after the first pause: most jobs are over by then.
                if pause > FIRST_PAUSE {
                    show_progress(client, job, bar).await;
                }
            }
            Err(CallError::Unreachable { .. }) if heard.elapsed() < AWAY => {
                bar.set_message("the node does not answer; the job is kept, asking again");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Progress is good to have: that it cannot be told is no error.
async fn show_progress(client: &Client, job: &str, bar: &ProgressBar) {
    let ask = Request::new(Method::GET, format!("/task-progresses/{job}"));
    let Ok(Answer::Reply(reply)) = client.call(&ask, false, None).await else { return };
    let Some(task) = reply["inventories"].as_array().and_then(|tasks| tasks.last()) else { return };
    let content = task["content"].as_str().unwrap_or_default();
    let step = task["opaque"]["step"].as_str().unwrap_or(content);
    let message = match (task["currentStep"].as_u64(), task["totalSteps"].as_u64()) {
        (Some(current), Some(total)) => format!("{step} ({current}/{total})"),
        _ => step.to_owned(),
    };
    bar.set_message(message);
    match content.parse::<f64>() {
        Ok(percent) => {
            bar.set_style(style("{spinner} [{bar:30}] {percent:>3}% {wide_msg}"));
            bar.set_length(100);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=100")]
            bar.set_position(percent.clamp(0.0, 100.0) as u64);
        }
        Err(_) => bar.set_style(style("{spinner} {elapsed} {wide_msg}")),
    }
}

/// On standard error, and only if that is a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_style(style("{spinner} {elapsed} {wide_msg}"));
    bar.enable_steady_tick(TICK);
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

//! Drives one job: step by step to its end, or back to where nothing of it is left.

use std::{sync::Arc, time::Duration};

use gantry_common::error::ErrorKind;
use serde_json::{Value, json};

use super::{
    JobOperation, Step, TaskProgress,
    accept::unseal,
    step::{Act, Recording, Run},
    webhook,
};
use crate::{
    failure::Failure,
    hosts::judge_deferred,
    node::Node,
    store::{JobPhase, JobRecord, Tx},
};

/// How long to wait before undoing is tried again, at first and at the most.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// Drives a stored job to its end.
pub(crate) async fn drive<O: JobOperation>(node: Arc<Node>, record: JobRecord) {
    let uuid = record.uuid;
    let job = match Job::<O>::open(node.clone(), &record) {
        Ok(job) => job,
        Err(failure) => {
            tracing::error!(job = %uuid, api = record.api, error = %failure, "a stored job cannot be read");
            let body = failure.to_body();
            let ended =
                node.store.write(move |tx| tx.finish_job(uuid, JobPhase::Failed, &body).map_err(Failure::from)).await;
            if let Err(error) = ended {
                tracing::error!(job = %uuid, %error, "the job's end could not be stored");
            }
            return;
        }
    };
    let _held = node.jobs.locks.acquire(job.params.locks()).await;
    let began = std::time::Instant::now();
    let phase = job.run(record.phase, record.step).await;
    node.jobs.progress.end(uuid);
    tracing::info!(job = %uuid, api = record.api, %phase, millis = began.elapsed().as_millis(), "job ended");
    judge_deferred(&node).await;
    webhook::post(&node, uuid).await;
}

struct Job<O: JobOperation> {
    node: Arc<Node>,
    record: JobRecord,
    params: Arc<O>,
    steps: Arc<Vec<Step<O>>>,
}

/// What a transaction over recording steps came to.
enum Recorded<S> {
    /// The job is at the given step, with this state.
    At(usize, S),
    /// The job has ended.
    Ended,
}

impl<O: JobOperation> Job<O> {
    fn open(node: Arc<Node>, record: &JobRecord) -> Result<Self, Failure> {
        let params = Arc::new(unseal::<O>(&node, &record.params)?);
        Ok(Self { node, record: record.clone(), params, steps: Arc::new(O::steps()) })
    }

    async fn run(&self, phase: JobPhase, step: u32) -> JobPhase {
        let step = step as usize;
        let state = match &self.record.state {
            Value::Null => Ok(O::State::default()),
            stored => serde_json::from_value(stored.clone()),
        };
        let state = match state {
            Ok(state) => state,
            Err(error) => {
                tracing::error!(job = %self.record.uuid, %error, "the job's stored state cannot be read");
                O::State::default()
            }
        };
        if phase == JobPhase::Undoing {
            return self.unwind(step, state).await;
        }
        match self.forward(step, state).await {
            Ok(()) => JobPhase::Succeeded,
            Err((failed, undo_from, state)) => {
                let (error, stored) = (failed.to_body(), encode(&state));
                let uuid = self.record.uuid;
                tracing::info!(job = %uuid, api = self.record.api, error = %failed, "job failed and is undone");
                self.insist("storing the failure", move |tx| {
                    tx.fail_job(uuid, number(undo_from), &stored, &error).map_err(Failure::from)
                })
                .await;
                self.unwind(undo_from, state).await
            }
        }
    }

    /// Does the steps from `step` on. On failure: why, how many steps are to be undone, and the state.
    async fn forward(&self, mut step: usize, mut state: O::State) -> Result<(), (Failure, usize, O::State)> {
        loop {
            let mut remote_done = false;
            if let Some(Act::Remote(work)) = self.steps.get(step).map(|step| &step.act) {
                self.announce(step);
                let run = self.at(step, "do", state.clone());
                state = work(run).await.map_err(|failure| (failure, step + 1, state))?;
                step += 1;
                remote_done = true;
            }
            match self.record_from(step, state.clone(), remote_done).await {
                Ok(Recorded::Ended) => return Ok(()),
                Ok(Recorded::At(reached, left)) => (step, state) = (reached, left),
                Err(failure) => return Err((failure, step, state)),
            }
            if let Some(failpoint) = &self.node.jobs.failpoint {
                failpoint.reached(&self.record.api, step);
            }
        }
    }

    /// Does recording steps from `step` on, up to the next remote step or the job's end, in one transaction.
    async fn record_from(
        &self,
        step: usize,
        state: O::State,
        store_first: bool,
    ) -> Result<Recorded<O::State>, Failure> {
        let (node, record, params, steps) =
            (self.node.clone(), self.record.clone(), self.params.clone(), self.steps.clone());
        let one_at_a_time = node.jobs.failpoint.is_some();
        self.node
            .store
            .write(move |tx| {
                let (mut step, mut state) = (step, state);
                let mut done = usize::from(store_first);
                while let Some(Step { act: Act::Record(act), .. }) = steps.get(step) {
                    if one_at_a_time && done > 0 {
                        break;
                    }
                    let mut recording = Recording {
                        node: &node,
                        job: record.uuid,
                        account_uuid: record.account_uuid,
                        params: &*params,
                        state: &mut state,
                    };
                    act(tx, &mut recording)?;
                    step += 1;
                    done += 1;
                }
                if step == steps.len() && !(one_at_a_time && done > 0) {
                    let reply = params.reply(tx, &state)?;
                    tx.finish_job(record.uuid, JobPhase::Succeeded, &reply)?;
                    return Ok(Recorded::Ended);
                }
                tx.advance_job(record.uuid, JobPhase::Running, number(step), &encode(&state))?;
                Ok(Recorded::At(step, state))
            })
            .await
    }

    /// Undoes the first `steps` steps, the last one first, and ends the job as failed.
    async fn unwind(&self, mut steps: usize, mut state: O::State) -> JobPhase {
        let uuid = self.record.uuid;
        while steps > 0 {
            let undo = self.steps.get(steps - 1).and_then(|step| step.undo.as_ref());
            match undo {
                None => {}
                Some(Act::Remote(work)) => {
                    let mut wait = RETRY.0;
                    loop {
                        match work(self.at(steps - 1, "undo", state.clone())).await {
                            Ok(left) => break state = left,
                            Err(failure) => {
                                tracing::warn!(job = %uuid, step = self.steps[steps - 1].name, error = %failure, "undoing is tried again");
                            }
                        }
                        tokio::time::sleep(wait).await;
                        wait = (wait * 2).min(RETRY.1);
                    }
                }
                Some(Act::Record(act)) => {
                    let act = *act;
                    let (node, params, account_uuid) =
                        (self.node.clone(), self.params.clone(), self.record.account_uuid);
                    let before = state.clone();
                    state = self
                        .insist("undoing", move |tx| {
                            let mut state = before.clone();
                            let mut recording =
                                Recording { node: &node, job: uuid, account_uuid, params: &*params, state: &mut state };
                            act(tx, &mut recording)?;
                            Ok(state)
                        })
                        .await;
                }
            }
            steps -= 1;
            let (left, stored) = (number(steps), encode(&state));
            self.insist("storing the unwinding", move |tx| {
                tx.advance_job(uuid, JobPhase::Undoing, left, &stored).map_err(Failure::from)
            })
            .await;
        }
        self.insist("storing the end", move |tx| {
            let why = tx.job(uuid)?.and_then(|job| job.result);
            let why = why.unwrap_or_else(|| Failure::new(ErrorKind::Internal, "the job failed").to_body());
            tx.finish_job(uuid, JobPhase::Failed, &why).map_err(Failure::from)
        })
        .await;
        JobPhase::Failed
    }

    /// Writes what must be written, however long the store refuses.
    async fn insist<T, F>(&self, what: &str, change: F) -> T
    where
        T: Send + 'static,
        F: Fn(&Tx<'_>) -> Result<T, Failure> + Clone + Send + 'static,
    {
        let mut wait = RETRY.0;
        loop {
            match self.node.store.write(change.clone()).await {
                Ok(value) => return value,
                Err(failure) => tracing::error!(job = %self.record.uuid, what, error = %failure, "tried again"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }

    fn at(&self, step: usize, direction: &str, state: O::State) -> Run<O> {
        Run {
            node: self.node.clone(),
            job: self.record.uuid,
            params: self.params.clone(),
            state,
            step: format!("{direction} {}", self.steps[step].name),
        }
    }

    fn announce(&self, step: usize) {
        let progress = TaskProgress {
            api: O::declaration().name,
            step: self.steps[step].name,
            current_step: step + 1,
            total_steps: self.steps.len(),
            percent: None,
        };
        self.node.jobs.progress.step(self.record.uuid, progress);
    }
}

fn number(step: usize) -> u32 {
    u32::try_from(step).unwrap_or(u32::MAX)
}

fn encode<S: serde::Serialize>(state: &S) -> Value {
    serde_json::to_value(state).unwrap_or_else(|error| json!({ "unreadable": error.to_string() }))
}

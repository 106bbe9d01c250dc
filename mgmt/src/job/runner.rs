//! Drives one job: step by step to its end, or back to where nothing of it is left.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use gantry_common::error::ErrorKind;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    JobOperation, Run, Step, Ticket,
    accept::unseal,
    cancel::{Wish, cancelled, cancelled_between_parts},
    claim::claim,
    step::{Act, Recording, Remote},
    webhook,
};
use crate::{
    failure::Failure,
    hosts::judge_deferred,
    node::Node,
    store::{JobPhase, JobRecord, Tx, on_behalf_of},
};

/// How long to wait before undoing is tried again, at first and at the most.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// Drives a stored job to its end, once it is its turn.
pub(super) fn drive<O: JobOperation>(node: Arc<Node>, mut ticket: Ticket, record: JobRecord) {
    if ticket.is_due() {
        tokio::spawn(work::<O>(node, ticket, record));
        return;
    }
    // Thousands may wait: each keeps its place in line and nothing else.
    let uuid = record.uuid;
    tokio::spawn(async move {
        ticket.turn().await;
        let record = insist("reading a job", || node.store.read(move |tx| Ok(tx.job(uuid)?))).await;
        if let Some(record) = record {
            tokio::spawn(work::<O>(node, ticket, record));
        }
    });
}

/// Ends a job that cannot be driven.
pub(super) async fn give_up(node: &Arc<Node>, record: &JobRecord, failure: &Failure) {
    tracing::error!(job = %record.uuid, api = record.api, error = %failure, "a stored job cannot be carried out");
    let (uuid, body) = (record.uuid, failure.to_body());
    let end = move |tx: &Tx<'_>| tx.finish_job(uuid, JobPhase::Failed, &body).map_err(Failure::from);
    insist("ending a job", || node.store.write(end.clone())).await;
    webhook::post(node, uuid);
}

/// Carries a job out whose turn it is.
pub(super) async fn work<O: JobOperation>(node: Arc<Node>, ticket: Ticket, record: JobRecord) {
    if record.phase.has_ended() {
        return;
    }
    let Some(ticket) = claim::<O>(&node, ticket, &record).await else { return };
    let uuid = record.uuid;
    let job = match Job::<O>::open(node.clone(), &record) {
        Ok(job) => job,
        Err(failure) => return give_up(&node, &record, &failure).await,
    };
    let began = std::time::Instant::now();
    let phase = on_behalf_of(record.account_uuid, job.run(record.phase, record.step)).await;
    drop(job);
    tracing::info!(job = %uuid, api = record.api, %phase, millis = began.elapsed().as_millis(), "job ended");
    judge_deferred(&node).await;
    drop(ticket);
    if record.webhook.is_some() {
        webhook::post(&node, uuid);
    }
}

/// Does what must be done, however long it is refused.
pub(super) async fn insist<T, F>(what: &str, mut work: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut wait = RETRY.0;
    loop {
        match work().await {
            Ok(value) => return value,
            Err(failure) => tracing::error!(what, error = %failure, "tried again"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

pub(super) struct Job<O: JobOperation> {
    pub(super) node: Arc<Node>,
    pub(super) record: JobRecord,
    pub(super) params: Arc<O>,
    pub(super) steps: Arc<Vec<Step<O>>>,
    wish: Arc<Wish>,
}

/// What a transaction over recording steps came to.
enum Recorded<S> {
    /// The job is at the given step, with this state.
    At(usize, S),
    /// The job has ended.
    Ended,
    /// It had ended before it began: it was cancelled while it waited.
    Over,
}

/// Why a job does not go on, how many steps are to be undone, and the state.
struct Stopped<S> {
    why: Failure,
    undo: usize,
    state: S,
}

impl<O: JobOperation> Job<O> {
    fn open(node: Arc<Node>, record: &JobRecord) -> Result<Self, Failure> {
        let params = Arc::new(unseal::<O>(&node, &record.params)?);
        let wish = node.jobs.wishes.begin(record.uuid, record.cancelled_by);
        Ok(Self { node, record: record.clone(), params, steps: Arc::new(O::steps()), wish })
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
        match self.forward(phase, step, state).await {
            Ok(phase) => phase,
            Err(Stopped { why, undo, state }) => {
                let (error, stored) = (why.to_body(), encode(&state));
                let uuid = self.record.uuid;
                tracing::info!(job = %uuid, api = self.record.api, error = %why, "job failed and is undone");
                self.store("storing the failure", move |tx| {
                    tx.fail_job(uuid, number(undo), &stored, &error).map_err(Failure::from)
                })
                .await;
                self.unwind(undo, state).await
            }
        }
    }

    /// Does the steps from `step` on.
    async fn forward(
        &self,
        phase: JobPhase,
        mut step: usize,
        mut state: O::State,
    ) -> Result<JobPhase, Stopped<O::State>> {
        // Nothing is done before a transaction has found that the job was not cancelled while it waited.
        let mut begun = phase != JobPhase::Waiting;
        let mut resumed = begun;
        if resumed {
            self.hear_wish().await;
        }
        loop {
            let mut done = None;
            if begun && let Some(Step { act: Act::Remote(work), .. }) = self.steps.get(step) {
                state = self.remote(step, work, state, resumed).await?;
                done = Some(step);
                step += 1;
            }
            match self.record_from(step, state.clone(), done).await {
                Ok(Recorded::Ended) => return Ok(JobPhase::Succeeded),
                Ok(Recorded::Over) => return Ok(JobPhase::Failed),
                Ok(Recorded::At(reached, left)) => (step, state) = (reached, left),
                Err(why) => return Err(Stopped { why, undo: step, state }),
            }
            (begun, resumed) = (true, false);
            if let Some(failpoint) = &self.node.jobs.failpoint {
                failpoint.reached(&self.record.api, step);
            }
        }
    }

    /// Takes up a wish that came after the job was read and before it began to run.
    async fn hear_wish(&self) {
        let uuid = self.record.uuid;
        let standing = insist("reading a job", || self.node.store.read(move |tx| Ok(tx.job_standing(uuid)?))).await;
        if let Some(by) = standing.and_then(|standing| standing.cancelled_by) {
            self.wish.make(by);
        }
    }

    /// Does a step on hosts. It may have got half-way when it fails, so that it is to be undone itself.
    async fn remote(
        &self,
        step: usize,
        work: &Remote<O>,
        state: O::State,
        resumed: bool,
    ) -> Result<O::State, Stopped<O::State>> {
        self.announce(step);
        let wanted_cancelled = || self.wish.by().filter(|_| self.steps[step].can_be_cancelled);
        // A resumed step may be under way on its host since before the node's restart: it has to be told there.
        if !resumed && let Some(by) = wanted_cancelled() {
            return Err(Stopped { why: cancelled(&self.record.api, by), undo: step, state });
        }
        let token = match self.steps[step].can_be_cancelled {
            true => self.wish.token().clone(),
            false => CancellationToken::new(),
        };
        let failure = match caught(work, self.at(step, "do", state.clone(), token)).await {
            Ok(left) => return Ok(left),
            Err(failure) => failure,
        };
        let why = match wanted_cancelled() {
            None => failure,
            Some(by) if self.steps[step].in_parts => cancelled_between_parts(&self.record.api, by, &failure),
            Some(by) if failure.kind == ErrorKind::Cancelled => cancelled(&self.record.api, by),
            Some(by) => cancelled(&self.record.api, by).caused_by(&failure),
        };
        Err(Stopped { why, undo: step + 1, state })
    }

    /// Does recording steps from `step` on, up to the next remote step or the job's end, in one transaction. `done` is the
    /// remote step whose outcome is stored with them.
    async fn record_from(
        &self,
        step: usize,
        state: O::State,
        done: Option<usize>,
    ) -> Result<Recorded<O::State>, Failure> {
        let (node, record, params, steps) =
            (self.node.clone(), self.record.clone(), self.params.clone(), self.steps.clone());
        let one_at_a_time = node.jobs.failpoint.is_some();
        let could_be_cancelled = done.is_some_and(|done| steps[done].can_be_cancelled);
        self.node
            .store
            .write(move |tx| {
                let gone = || Failure::new(ErrorKind::Internal, "the job is not in the inventory any more");
                let standing = tx.job_standing(record.uuid)?.ok_or_else(gone)?;
                if standing.phase.has_ended() {
                    return Ok(Recorded::Over);
                }
                if standing.phase == JobPhase::Waiting {
                    tx.begin_long_job(record.uuid)?;
                }
                if let Some(by) = standing.cancelled_by.filter(|_| could_be_cancelled) {
                    return Err(match done {
                        Some(done) if steps[done].in_parts => {
                            let through = Failure::new(ErrorKind::Cancelled, "all of it had been done by then");
                            cancelled_between_parts(&record.api, by, &through)
                        }
                        _ => cancelled(&record.api, by),
                    });
                }
                let (mut step, mut state) = (step, state);
                let mut stored = usize::from(done.is_some());
                while let Some(Step { act: Act::Record(act), .. }) = steps.get(step) {
                    if one_at_a_time && stored > 0 {
                        break;
                    }
                    let mut recording = Recording {
                        node: &node,
                        job: record.uuid,
                        account_uuid: record.account_uuid,
                        session_uuid: record.session_uuid,
                        origin: record.origin.as_ref(),
                        params: &*params,
                        state: &mut state,
                    };
                    act(tx, &mut recording)?;
                    step += 1;
                    stored += 1;
                }
                if step == steps.len() && !(one_at_a_time && stored > 0) {
                    let reply = params.reply(tx, &state)?;
                    tx.finish_job(record.uuid, JobPhase::Succeeded, &reply)?;
                    return Ok(Recorded::Ended);
                }
                tx.advance_job(record.uuid, JobPhase::Running, number(step), &encode(&state))?;
                Ok(Recorded::At(step, state))
            })
            .await
    }

    /// Writes what must be written, however long the store refuses.
    pub(super) async fn store<T, F>(&self, what: &str, change: F) -> T
    where
        T: Send + 'static,
        F: Fn(&Tx<'_>) -> Result<T, Failure> + Clone + Send + 'static,
    {
        insist(what, || self.node.store.write(change.clone())).await
    }

    pub(super) fn at(&self, step: usize, direction: &str, state: O::State, cancelled: CancellationToken) -> Run<O> {
        Run {
            node: self.node.clone(),
            job: self.record.uuid,
            account_uuid: self.record.account_uuid,
            origin: self.record.origin.clone(),
            params: self.params.clone(),
            state,
            step: format!("{direction} {}", self.steps[step].name),
            cancelled,
        }
    }

    fn announce(&self, step: usize) {
        self.node.jobs.progress.step(
            self.record.uuid,
            O::declaration().name,
            self.steps[step].name,
            step + 1,
            self.steps.len(),
        );
    }
}

impl<O: JobOperation> Drop for Job<O> {
    fn drop(&mut self) {
        self.node.jobs.progress.end(self.record.uuid);
        self.node.jobs.wishes.end(self.record.uuid);
    }
}

/// Does a step's work; a panic in it is a failure.
pub(super) async fn caught<O: JobOperation>(work: &Remote<O>, run: Run<O>) -> Result<O::State, Failure> {
    let step = run.step.clone();
    AssertUnwindSafe(work(run)).catch_unwind().await.unwrap_or_else(|_| {
        let details = format!("'{step}' met a fault of the management node: see its log");
        Err(Failure::new(ErrorKind::Internal, details))
    })
}

pub(super) fn number(step: usize) -> u32 {
    u32::try_from(step).unwrap_or(u32::MAX)
}

pub(super) fn encode<S: serde::Serialize>(state: &S) -> Value {
    serde_json::to_value(state).unwrap_or_else(|error| json!({ "unreadable": error.to_string() }))
}

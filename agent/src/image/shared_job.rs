//! One job for all who ask for the same thing at the same time.

use std::{collections::HashMap, fmt, future::Future, sync::Arc, time::Duration};

use gantry_common::agent::{AgentError, Call, Command, Progress};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Progress is told at most four times a second.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// The jobs under way. A job goes on while anybody waits for it and is cancelled when the last one has left.
pub(crate) struct SharedJobs<T>(Arc<Mutex<HashMap<String, Job<T>>>>);

struct Job<T> {
    followers: usize,
    cancelled: CancellationToken,
    state: watch::Receiver<State<T>>,
}

struct State<T> {
    progress: Option<(u64, Option<u64>)>,
    outcome: Option<Result<T, AgentError>>,
}

impl<T> Clone for SharedJobs<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for SharedJobs<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> fmt::Debug for SharedJobs<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedJobs").field(&self.0.lock().len()).finish()
    }
}

impl<T: Clone + Send + Sync + 'static> SharedJobs<T> {
    /// Carries out `command` with `start`, or waits for the outcome of the same command that is under way. `start` gets a
    /// call of its own, which is cancelled when nobody waits any more.
    ///
    /// # Errors
    /// `Cancelled` when `call` is; the last one to leave returns when the job has cleaned up.
    pub(crate) async fn join<C: Command, F>(
        &self,
        call: &Call,
        command: &C,
        start: impl FnOnce(Call) -> F,
    ) -> Result<T, AgentError>
    where
        F: Future<Output = Result<T, AgentError>> + Send + 'static,
    {
        let json =
            serde_json::to_string(command).map_err(|error| AgentError::Internal { reason: error.to_string() })?;
        let key = format!("{} {json}", C::NAME);
        let mut follower = self.follow(key, call, start);
        let (mut told, mut next_report) = (None, Instant::now());
        loop {
            let progress = {
                let state = follower.state.borrow_and_update();
                if let Some(outcome) = &state.outcome {
                    return outcome.clone();
                }
                state.progress
            };
            if let Some((done_bytes, total_bytes)) =
                progress.filter(|_| progress != told && Instant::now() >= next_report)
            {
                call.report(done_bytes, total_bytes);
                (told, next_report) = (progress, Instant::now() + REPORT_INTERVAL);
            }
            tokio::select! {
                () = call.cancelled.cancelled() => {
                    if follower.leave() {
                        let _ = follower.state.wait_for(|state| state.outcome.is_some()).await;
                    }
                    return Err(AgentError::Cancelled);
                }
                // What came too soon after the last report is told all the same, though nothing may follow it for long.
                () = sleep_until(next_report), if progress != told => {}
                changed = follower.state.changed() => {
                    changed.map_err(|_| AgentError::Internal { reason: format!("{} ended without an outcome", C::NAME) })?;
                }
            }
        }
    }

    fn follow<F>(&self, key: String, call: &Call, start: impl FnOnce(Call) -> F) -> Follower<T>
    where
        F: Future<Output = Result<T, AgentError>> + Send + 'static,
    {
        let mut jobs = self.0.lock();
        if let Some(job) = jobs.get_mut(&key) {
            job.followers += 1;
            return Follower { jobs: self.clone(), key, state: job.state.clone(), left: false };
        }
        let (sender, state) = watch::channel(State { progress: None, outcome: None });
        let sender = Arc::new(sender);
        let progress = {
            let sender = sender.clone();
            move |progress: Progress| {
                sender.send_modify(|state| state.progress = Some((progress.done_bytes, progress.total_bytes)));
            }
        };
        let shared = Call::new(call.operation, Arc::new(progress));
        jobs.insert(key.clone(), Job { followers: 1, cancelled: shared.cancelled.clone(), state: state.clone() });
        let running = Running { jobs: self.clone(), key: key.clone(), state: state.clone() };
        let work = start(shared);
        tokio::spawn(async move {
            let outcome = work.await;
            // Whoever asks from now on starts anew and finds what this job has made.
            drop(running);
            sender.send_modify(|state| state.outcome = Some(outcome));
        });
        Follower { jobs: self.clone(), key, state, left: false }
    }
}

/// Takes the job off the list when it has ended, in whatever way.
struct Running<T> {
    jobs: SharedJobs<T>,
    key: String,
    state: watch::Receiver<State<T>>,
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        let mut jobs = self.jobs.0.lock();
        if jobs.get(&self.key).is_some_and(|job| job.state.same_channel(&self.state)) {
            jobs.remove(&self.key);
        }
    }
}

/// One who waits for a job.
struct Follower<T> {
    jobs: SharedJobs<T>,
    key: String,
    state: watch::Receiver<State<T>>,
    left: bool,
}

impl<T> Follower<T> {
    /// Stops waiting. Whether this was the last one, so that the job is cancelled now.
    fn leave(&mut self) -> bool {
        if std::mem::replace(&mut self.left, true) {
            return false;
        }
        let mut jobs = self.jobs.0.lock();
        let Some(job) = jobs.get_mut(&self.key).filter(|job| job.state.same_channel(&self.state)) else {
            return false;
        };
        job.followers -= 1;
        if job.followers > 0 {
            return false;
        }
        job.cancelled.cancel();
        jobs.remove(&self.key);
        true
    }
}

impl<T> Drop for Follower<T> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use gantry_common::{agent::DeleteImage, id::OperationId};
    use tokio::sync::Notify;

    use super::*;

    fn command(path: &str) -> DeleteImage {
        DeleteImage { root: "/gantry".into(), path: path.into() }
    }

    fn call() -> Call {
        Call::detached(OperationId::random())
    }

    #[tokio::test]
    async fn callers_of_the_same_command_share_one_job_and_its_outcome() {
        let jobs = SharedJobs::<u32>::default();
        let runs = Arc::new(AtomicUsize::new(0));
        let go = Arc::new(Notify::new());
        let start = |_: Call| {
            let (runs, go) = (runs.clone(), go.clone());
            async move {
                go.notified().await;
                Ok(u32::try_from(runs.fetch_add(1, Ordering::SeqCst)).unwrap())
            }
        };
        let (call_a, call_b, same) = (call(), call(), command("/gantry/a"));
        let release = async { go.notify_one() };
        let (first, second, ()) =
            tokio::join!(jobs.join(&call_a, &same, start), jobs.join(&call_b, &same, start), release);
        assert_eq!((first.unwrap(), second.unwrap()), (0, 0));
        go.notify_one();
        assert_eq!(jobs.join(&call_a, &same, start).await.unwrap(), 1);
        assert!(jobs.0.lock().is_empty());
    }

    #[tokio::test]
    async fn a_job_outlives_one_caller_and_ends_with_the_last() {
        let jobs = SharedJobs::<u32>::default();
        let same = command("/gantry/a");
        let cleaned = Arc::new(AtomicUsize::new(0));
        let start = |job: Call| {
            let cleaned = cleaned.clone();
            async move {
                job.cancelled.cancelled().await;
                cleaned.fetch_add(1, Ordering::SeqCst);
                Err(AgentError::Cancelled)
            }
        };
        let (call_a, call_b) = (call(), call());
        let leave = async {
            call_a.cancelled.cancel();
            tokio::task::yield_now().await;
            assert_eq!(cleaned.load(Ordering::SeqCst), 0);
            call_b.cancelled.cancel();
        };
        let (first, second, ()) =
            tokio::join!(jobs.join(&call_a, &same, start), jobs.join(&call_b, &same, start), leave);
        assert_eq!((first, second), (Err(AgentError::Cancelled), Err(AgentError::Cancelled)));
        assert_eq!(cleaned.load(Ordering::SeqCst), 1);
        assert!(jobs.0.lock().is_empty());
    }

    #[tokio::test]
    async fn progress_that_stops_short_is_told() {
        let jobs = SharedJobs::<u32>::default();
        let same = command("/gantry/a");
        let (told, mut reports) = tokio::sync::mpsc::unbounded_channel();
        let listening = Call::new(
            OperationId::random(),
            Arc::new(move |progress: Progress| {
                let _ = told.send(progress);
            }),
        );
        let start = |job: Call| async move {
            for done_bytes in 1..=50 {
                job.report(done_bytes, Some(100));
                tokio::task::yield_now().await;
            }
            job.cancelled.cancelled().await;
            Err(AgentError::Cancelled)
        };
        let listen = async {
            while reports.recv().await.is_some_and(|progress| progress.done_bytes < 50) {}
            listening.cancelled.cancel();
        };
        let (outcome, ()) = tokio::join!(jobs.join(&listening, &same, start), listen);
        assert_eq!(outcome, Err(AgentError::Cancelled));
    }

    #[tokio::test]
    async fn a_job_that_panics_is_an_error_and_does_not_stay_on_the_list() {
        let jobs = SharedJobs::<u32>::default();
        let outcome = jobs.join(&call(), &command("/gantry/a"), |_| async { panic!("on purpose") }).await;
        assert!(matches!(outcome, Err(AgentError::Internal { .. })));
        assert!(jobs.0.lock().is_empty());
    }
}

//! The commands under way and those that ended: a repeated operation id gets the first outcome.
//!
//! A command runs in a task of its own, so that a lost connection does not end it: whoever asks again with the same id
//! waits for the same run.

use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use gantry_common::{
    agent::{AgentError, Call, Progress},
    id::OperationId,
};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{Semaphore, broadcast, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// How a command ended: the JSON of its reply, or why it was not done.
pub type Outcome = Result<Bytes, AgentError>;

/// How much the table takes and keeps.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Commands that run at the same time; more of them wait.
    pub running: usize,
    /// Commands that run or wait; more of them are refused.
    pub unfinished: usize,
    /// Outcomes that are kept.
    pub finished: usize,
    /// Bytes of replies that are kept.
    pub finished_bytes: usize,
    /// How long an outcome is kept.
    pub finished_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            running: 256,
            unfinished: 4096,
            finished: 4096,
            finished_bytes: 2 << 20,
            finished_age: Duration::from_secs(30 * 60),
        }
    }
}

/// How often at most the progress of one command is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// The commands of one agent.
#[derive(Clone)]
pub struct Operations {
    shared: Arc<Shared>,
}

struct Shared {
    limits: Limits,
    running: Semaphore,
    table: Mutex<Table>,
    unfinished: watch::Sender<usize>,
    progress: broadcast::Sender<Progress>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<OperationId, Entry>,
    /// The ended ones, in the order they ended.
    finished: VecDeque<Finished>,
    finished_bytes: usize,
}

struct Entry {
    /// What was asked. `None` where the id was cancelled before anything was asked.
    request: Option<RequestDigest>,
    cancelled: CancellationToken,
    outcome: watch::Receiver<Option<Outcome>>,
}

struct Finished {
    operation: OperationId,
    at: Instant,
    bytes: usize,
}

/// Tells one request from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestDigest([u8; 32]);

impl RequestDigest {
    /// The digest of a command's name and argument.
    pub fn of(name: &str, body: &[u8]) -> Self {
        Self(Sha256::new().chain_update(name).chain_update([0]).chain_update(body).finalize().into())
    }
}

impl Operations {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        let shared = Shared {
            limits,
            running: Semaphore::new(limits.running),
            table: Mutex::default(),
            unfinished: watch::Sender::new(0),
            progress: broadcast::Sender::new(64),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The progress of all commands from now on.
    pub fn progress(&self) -> broadcast::Receiver<Progress> {
        self.shared.progress.subscribe()
    }

    /// The outcome of `operation`: of the first run if there is or was one, else of `work`, which is started.
    pub async fn run<F>(
        &self,
        operation: OperationId,
        request: RequestDigest,
        work: impl FnOnce(Call) -> F + Send + 'static,
    ) -> Outcome
    where
        F: Future<Output = Outcome> + Send,
    {
        let mut outcome = self.find_or_start(operation, request, work)?;
        let ended = outcome.wait_for(Option::is_some).await.map(|ended| ended.clone());
        ended.ok().flatten().unwrap_or_else(|| Err(AgentError::Internal { reason: "the agent is stopping".to_owned() }))
    }

    fn find_or_start<F>(
        &self,
        operation: OperationId,
        request: RequestDigest,
        work: impl FnOnce(Call) -> F + Send + 'static,
    ) -> Result<watch::Receiver<Option<Outcome>>, AgentError>
    where
        F: Future<Output = Outcome> + Send,
    {
        let mut table = self.shared.table.lock();
        if let Some(entry) = table.entries.get(&operation) {
            if entry.request.is_some_and(|first| first != request) {
                let remedy = "it was used for another command already; every command needs an id of its own";
                return Err(AgentError::invalid("operation", operation, remedy));
            }
            return Ok(entry.outcome.clone());
        }
        let unfinished = *self.shared.unfinished.borrow();
        if unfinished >= self.shared.limits.unfinished {
            return Err(AgentError::Busy { commands: unfinished });
        }
        let call = Call::new(operation, self.reporter());
        let (sender, outcome) = watch::channel(None);
        let cancelled = call.cancelled.clone();
        table.entries.insert(operation, Entry { request: Some(request), cancelled, outcome: outcome.clone() });
        self.shared.unfinished.send_modify(|unfinished| *unfinished += 1);
        drop(table);

        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let ended = shared.carry_out(call, work).await;
            let bytes = ended.as_ref().map_or(0, Bytes::len);
            sender.send_replace(Some(ended));
            shared.table.lock().finish(operation, bytes, &shared.limits);
            shared.unfinished.send_modify(|unfinished| *unfinished -= 1);
        });
        Ok(outcome)
    }

    /// Passes progress on, at most every [`PROGRESS_INTERVAL`] and in any case the last one.
    fn reporter(&self) -> Arc<dyn Fn(Progress) + Send + Sync> {
        let progress = self.shared.progress.clone();
        let last = Mutex::new(None::<Instant>);
        Arc::new(move |report| {
            let mut last = last.lock();
            let complete = report.total_bytes == Some(report.done_bytes);
            if complete || last.is_none_or(|last| last.elapsed() >= PROGRESS_INTERVAL) {
                *last = Some(Instant::now());
                // Nobody listening is no fault.
                let _ = progress.send(report);
            }
        })
    }

    /// Cancels `operation`. One that has ended stays as it ended; one that is not known yet will not be started.
    pub fn cancel(&self, operation: OperationId) {
        let mut table = self.shared.table.lock();
        if let Some(entry) = table.entries.get(&operation) {
            entry.cancelled.cancel();
            return;
        }
        let outcome = watch::Sender::new(Some(Err(AgentError::Cancelled))).subscribe();
        table.entries.insert(operation, Entry { request: None, cancelled: CancellationToken::new(), outcome });
        table.finish(operation, 0, &self.shared.limits);
    }

    /// Waits until no command is under way; those that are after `grace` are cancelled, and left after another `grace`.
    pub async fn drain(&self, grace: Duration) {
        let mut unfinished = self.shared.unfinished.subscribe();
        let idle = async |unfinished: &mut watch::Receiver<usize>| {
            let waiting = unfinished.wait_for(|unfinished| *unfinished == 0);
            tokio::time::timeout(grace, waiting).await.is_ok()
        };
        if idle(&mut unfinished).await {
            return;
        }
        for entry in self.shared.table.lock().entries.values() {
            entry.cancelled.cancel();
        }
        if !idle(&mut unfinished).await {
            tracing::warn!("{} commands did not end and are left", *unfinished.borrow());
        }
    }
}

impl Shared {
    async fn carry_out<F>(&self, call: Call, work: impl FnOnce(Call) -> F) -> Outcome
    where
        F: Future<Output = Outcome>,
    {
        let _permit = tokio::select! {
            biased;
            () = call.cancelled.cancelled() => return Err(AgentError::Cancelled),
            permit = self.running.acquire() => permit,
        };
        let operation = call.operation;
        AssertUnwindSafe(async { work(call).await }).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(%operation, "a command panicked");
            Err(AgentError::Internal { reason: "the command panicked; the agent's log has the details".to_owned() })
        })
    }
}

impl Table {
    fn finish(&mut self, operation: OperationId, bytes: usize, limits: &Limits) {
        let now = Instant::now();
        self.finished.push_back(Finished { operation, at: now, bytes });
        self.finished_bytes += bytes;
        while let Some(oldest) = self.finished.front() {
            let too_many = self.finished.len() > limits.finished || self.finished_bytes > limits.finished_bytes;
            if !too_many && now.duration_since(oldest.at) < limits.finished_age {
                break;
            }
            self.finished_bytes -= oldest.bytes;
            self.entries.remove(&oldest.operation);
            self.finished.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    fn request(name: &str) -> RequestDigest {
        RequestDigest::of(name, b"{}")
    }

    fn operations() -> Operations {
        Operations::new(Limits::default())
    }

    #[tokio::test]
    async fn a_repeat_gets_the_first_outcome_and_runs_nothing() {
        let operations = operations();
        let runs = Arc::new(AtomicUsize::new(0));
        let id = OperationId::random();
        for _ in 0..3 {
            let runs = Arc::clone(&runs);
            let outcome = operations
                .run(id, request("a"), move |_| async move {
                    Ok(Bytes::from((runs.fetch_add(1, Ordering::SeqCst) + 1).to_string()))
                })
                .await;
            assert_eq!(outcome, Ok(Bytes::from("1")));
        }
    }

    #[tokio::test]
    async fn a_repeat_while_the_first_runs_waits_for_it() {
        let operations = operations();
        let id = OperationId::random();
        let go_on = Arc::new(Notify::new());
        let gate = Arc::clone(&go_on);
        let first = operations.run(id, request("a"), move |_| async move {
            gate.notified().await;
            Ok(Bytes::from("first"))
        });
        let second = operations.run(id, request("a"), |_| async { Ok(Bytes::from("second")) });
        let (first, second, ()) = tokio::join!(first, second, async { go_on.notify_one() });
        assert_eq!((first.as_deref(), second.as_deref()), (Ok(&b"first"[..]), Ok(&b"first"[..])));
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_does_not_end_the_command() {
        let operations = operations();
        let id = OperationId::random();
        let (go_on, started) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (gate, begun) = (Arc::clone(&go_on), Arc::clone(&started));
        let running = operations.run(id, request("a"), move |_| async move {
            begun.notify_one();
            gate.notified().await;
            Ok(Bytes::from("done"))
        });
        tokio::select! {
            _ = running => panic!("ended too early"),
            () = started.notified() => {}
        }
        go_on.notify_one();
        let again = operations.run(id, request("a"), |_| async { Ok(Bytes::from("again")) }).await;
        assert_eq!(again, Ok(Bytes::from("done")));
    }

    #[tokio::test]
    async fn an_id_used_for_another_command_is_refused() {
        let operations = operations();
        let id = OperationId::random();
        operations.run(id, request("a"), |_| async { Ok(Bytes::new()) }).await.unwrap();
        let other = operations.run(id, request("b"), |_| async { Ok(Bytes::new()) }).await;
        assert!(matches!(other, Err(AgentError::InvalidArgument { .. })), "{other:?}");
    }

    #[tokio::test]
    async fn a_cancelled_command_is_told_and_one_cancelled_in_advance_never_starts() {
        let operations = operations();
        let id = OperationId::random();
        let canceller = operations.clone();
        let outcome = operations.run(id, request("a"), move |call| async move {
            canceller.cancel(id);
            call.cancelled.cancelled().await;
            Err(AgentError::Cancelled)
        });
        assert_eq!(outcome.await, Err(AgentError::Cancelled));

        let later = OperationId::random();
        operations.cancel(later);
        let outcome = operations.run(later, request("a"), |_| async { Ok(Bytes::new()) }).await;
        assert_eq!(outcome, Err(AgentError::Cancelled));
    }

    #[tokio::test]
    async fn a_panic_is_an_outcome() {
        let outcome = operations().run(OperationId::random(), request("a"), |_| async { panic!("oh") }).await;
        assert!(matches!(outcome, Err(AgentError::Internal { .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn commands_past_the_bound_are_refused_and_can_be_repeated_later() {
        let operations = Operations::new(Limits { unfinished: 1, ..Limits::default() });
        let (go_on, started) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (gate, begun) = (Arc::clone(&go_on), Arc::clone(&started));
        let first = operations.run(OperationId::random(), request("a"), move |_| async move {
            begun.notify_one();
            gate.notified().await;
            Ok(Bytes::new())
        });
        let second = OperationId::random();
        let later = async {
            started.notified().await;
            let refused = operations.run(second, request("a"), |_| async { Ok(Bytes::new()) }).await;
            assert_eq!(refused, Err(AgentError::Busy { commands: 1 }));
            go_on.notify_one();
        };
        let (first, ()) = tokio::join!(first, later);
        assert!(first.is_ok());
        operations.drain(Duration::from_secs(60)).await;
        assert!(operations.run(second, request("a"), |_| async { Ok(Bytes::new()) }).await.is_ok());
    }

    #[tokio::test]
    async fn outcomes_are_forgotten_by_count_and_size() {
        let operations = Operations::new(Limits { finished: 2, finished_bytes: 10, ..Limits::default() });
        let kept = || operations.shared.table.lock().entries.len();
        let run = async |bytes: usize| {
            let done =
                operations.run(OperationId::random(), request("a"), move |_| async move { Ok(vec![0; bytes].into()) });
            done.await.unwrap();
            operations.drain(Duration::from_secs(1)).await;
        };
        for _ in 0..3 {
            run(1).await;
        }
        assert_eq!(kept(), 2);
        run(10).await;
        assert_eq!(kept(), 1);
        run(0).await;
        assert_eq!(kept(), 2);
    }

    #[tokio::test]
    async fn outcomes_are_forgotten_by_age() {
        let operations = Operations::new(Limits { finished_age: Duration::ZERO, ..Limits::default() });
        operations.run(OperationId::random(), request("a"), |_| async { Ok(Bytes::from("x")) }).await.unwrap();
        operations.drain(Duration::from_secs(60)).await;
        assert_eq!(operations.shared.table.lock().entries.len(), 0);
        assert_eq!(operations.shared.table.lock().finished_bytes, 0);
    }

    #[tokio::test]
    async fn draining_cancels_what_does_not_end_by_itself() {
        let operations = operations();
        let waiting = operations.run(OperationId::random(), request("a"), |call| async move {
            call.cancelled.cancelled().await;
            Err(AgentError::Cancelled)
        });
        let drained = async {
            tokio::task::yield_now().await;
            operations.drain(Duration::from_millis(1)).await;
        };
        let (outcome, ()) = tokio::join!(waiting, drained);
        assert_eq!(outcome, Err(AgentError::Cancelled));
    }
}

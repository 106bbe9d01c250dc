//! Blocking libvirt calls, away from the async runtime.
//!
//! Every thread has a connection of its own: libvirtd answers at most five calls of one connection at a time
//! (`max_client_requests`), so that a few hung domains would otherwise hold up all others.

use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use gantry_common::{agent::AgentError, id::VmUuid};
use parking_lot::{Condvar, Mutex};
use tokio::{sync::oneshot, time::timeout};
use virt::connect::Connect;

use super::ffi::Connection;

/// A thread that had nothing to do for so long ends, and its connection with it; all but the last one, so that the
/// next call finds a connection.
const IDLE_LIFETIME: Duration = Duration::from_secs(60);

/// Calls that may hang on one VM at a time. More than one, because ending a hung VM is a call on it, too.
const OVERDUE_PER_VM: usize = 3;

type Work = Box<dyn FnOnce(Result<&Connect, AgentError>) + Send>;

/// Work that waits for a thread. Taking it up answers nothing when it was cancelled in the meantime.
type Queued = Box<dyn FnOnce() -> Option<Work> + Send>;

/// A bounded number of threads for blocking libvirt calls. A call that hangs holds its thread and nothing else.
#[derive(Clone)]
pub struct Executor {
    pool: Arc<Pool>,
    closing: Arc<CloseWhenDropped>,
}

struct Pool {
    name: &'static str,
    uri: String,
    max_threads: usize,
    state: Mutex<State>,
    work_or_close: Condvar,
    overdue: Mutex<HashMap<VmUuid, usize>>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Queued>,
    threads: usize,
    idle: usize,
    closed: bool,
}

struct CloseWhenDropped(Arc<Pool>);

impl Drop for CloseWhenDropped {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.work_or_close.notify_all();
    }
}

/// A call under way. Dropping it before a thread took it up cancels it; after that it runs to its end unheard.
pub struct Pending<T> {
    operation: &'static str,
    pool: Arc<Pool>,
    started: oneshot::Receiver<()>,
    result: oneshot::Receiver<Result<T, AgentError>>,
}

impl Executor {
    /// An executor of at most `max_threads` threads, with connections to `uri`. Nothing is opened yet.
    pub fn new(name: &'static str, uri: &str, max_threads: usize) -> Self {
        let pool = Arc::new(Pool {
            name,
            uri: uri.to_owned(),
            max_threads,
            state: Mutex::default(),
            work_or_close: Condvar::new(),
            overdue: Mutex::default(),
        });
        Self { closing: Arc::new(CloseWhenDropped(pool.clone())), pool }
    }

    /// Runs `call` and waits for it for `deadline`.
    pub async fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        deadline: Duration,
        call: impl FnOnce(&Connect) -> Result<T, AgentError> + Send + 'static,
    ) -> Result<T, AgentError> {
        self.submit(operation, call)?.within(deadline).await
    }

    /// Runs `call`, which may hang on `vm`. With too many calls hanging on that VM already, it is refused at once.
    pub async fn call_on<T: Send + 'static>(
        &self,
        vm: VmUuid,
        operation: &'static str,
        deadline: Duration,
        call: impl FnOnce(&Connect) -> Result<T, AgentError> + Send + 'static,
    ) -> Result<T, AgentError> {
        if self.pool.overdue.lock().get(&vm).copied().unwrap_or(0) >= OVERDUE_PER_VM {
            return Err(AgentError::InUse {
                what: format!("VM {vm}"),
                user: "earlier calls that libvirt has not answered; is its QEMU process or its storage hung?".into(),
            });
        }
        let mut pending = self.submit(operation, call)?;
        let outcome = pending.wait(deadline).await;
        if matches!(outcome, Err(AgentError::Timeout { .. })) {
            let pool = self.pool.clone();
            *pool.overdue.lock().entry(vm).or_default() += 1;
            tokio::spawn(async move {
                let _ = pending.result.await;
                let mut overdue = pool.overdue.lock();
                if let Some(count) = overdue.get_mut(&vm) {
                    *count -= 1;
                    if *count == 0 {
                        overdue.remove(&vm);
                    }
                }
            });
        }
        outcome
    }

    /// Hands `call` to a thread without waiting for it.
    pub fn submit<T: Send + 'static>(
        &self,
        operation: &'static str,
        call: impl FnOnce(&Connect) -> Result<T, AgentError> + Send + 'static,
    ) -> Result<Pending<T>, AgentError> {
        let (starting, started) = oneshot::channel();
        let (answer, result) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            // Opening the connection may have outlasted the caller.
            if answer.is_closed() {
                return;
            }
            let outcome = connection.and_then(|connection| {
                let outcome = call(connection);
                match connection.is_alive() {
                    Ok(true) => outcome,
                    _ => outcome.map_err(|error| AgentError::LibvirtUnavailable { reason: error.to_string() }),
                }
            });
            let _ = answer.send(outcome);
        });
        self.pool.enqueue(Box::new(move || starting.send(()).is_ok().then_some(work)))?;
        Ok(Pending { operation, pool: self.pool.clone(), started, result })
    }
}

impl<T> Pending<T> {
    /// Waits for the outcome, and gives the call up after `deadline`.
    pub async fn within(mut self, deadline: Duration) -> Result<T, AgentError> {
        self.wait(deadline).await
    }

    /// Waits for the outcome however long it takes.
    pub async fn join(self) -> Result<T, AgentError> {
        let gone = |_| AgentError::Internal { reason: format!("{} ended without an outcome", self.operation) };
        self.result.await.map_err(gone)?
    }

    /// Waits for the outcome for `deadline`. After [`AgentError::Timeout`] it can be waited for again: the call still
    /// runs. A call that no thread took up in time is cancelled.
    pub async fn wait(&mut self, deadline: Duration) -> Result<T, AgentError> {
        match timeout(deadline, &mut self.result).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(AgentError::Internal { reason: format!("{} ended without an outcome", self.operation) }),
            Err(_) => {
                if self.started.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
                    self.started.close();
                    if self.started.try_recv().is_err() {
                        return Err(AgentError::InUse {
                            what: format!("every one of the {} {} threads", self.pool.max_threads, self.pool.name),
                            user: "a libvirt call that does not end; are QEMU processes or storage hung?".into(),
                        });
                    }
                }
                Err(AgentError::Timeout { operation: self.operation.to_owned(), seconds: deadline.as_secs() })
            }
        }
    }
}

impl Pool {
    fn enqueue(self: &Arc<Self>, work: Queued) -> Result<(), AgentError> {
        let mut state = self.state.lock();
        state.queue.push_back(work);
        if state.idle >= state.queue.len() || state.threads >= self.max_threads {
            drop(state);
            self.work_or_close.notify_one();
            return Ok(());
        }
        let pool = self.clone();
        let spawned = thread::Builder::new().name(self.name.into()).stack_size(512 * 1024).spawn(move || pool.run());
        match spawned {
            Ok(_) => state.threads += 1,
            // With others at work, one of them takes it up.
            Err(_) if state.threads > 0 => {}
            Err(error) => {
                state.queue.pop_back();
                return Err(AgentError::Internal { reason: format!("no thread for a libvirt call: {error}") });
            }
        }
        Ok(())
    }

    fn run(&self) {
        let mut connection: Option<Connection> = None;
        while let Some(work) = self.next() {
            connection = connection.filter(|connection| connection.is_alive().unwrap_or(false));
            if connection.is_none() {
                match Connection::open(&self.uri) {
                    Ok(opened) => connection = Some(opened),
                    Err(error) => {
                        work(Err(AgentError::LibvirtUnavailable { reason: error.message().to_owned() }));
                        continue;
                    }
                }
            }
            if let Some(open) = &connection {
                // Its caller is told by the answer's end that it panicked; the thread serves others.
                let _ = catch_unwind(AssertUnwindSafe(|| work(Ok(open))));
            }
        }
    }

    /// The next piece of work; `None` when the thread has to end, which is then already counted off.
    fn next(&self) -> Option<Work> {
        let mut state = self.state.lock();
        loop {
            if let Some(queued) = state.queue.pop_front() {
                match queued() {
                    Some(work) => return Some(work),
                    None => continue,
                }
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let waited = self.work_or_close.wait_for(&mut state, IDLE_LIFETIME);
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() && state.threads > 1 {
                break;
            }
        }
        state.threads -= 1;
        None
    }
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor")
            .field("name", &self.pool.name)
            .field("users", &Arc::strong_count(&self.closing))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const URI: &str = "test:///default";
    const SOON: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(20);

    /// A call that hangs until the sender is dropped.
    fn hang() -> (mpsc::Sender<()>, impl FnOnce(&Connect) -> Result<(), AgentError>) {
        let (release, released) = mpsc::channel::<()>();
        (release, move |_: &Connect| {
            let _ = released.recv();
            Ok(())
        })
    }

    async fn quick(executor: &Executor) -> Result<u32, AgentError> {
        executor.call("quick", LONG, |_| Ok(7)).await
    }

    #[tokio::test]
    async fn a_call_that_hangs_ends_at_its_deadline_and_delays_nobody() {
        let executor = Executor::new("test", URI, 2);
        let (_release, hanging) = hang();
        let error = executor.call("hang", SOON, hanging).await.unwrap_err();
        assert_eq!(error, AgentError::Timeout { operation: "hang".into(), seconds: 0 });
        assert_eq!(quick(&executor).await, Ok(7));
    }

    #[tokio::test]
    async fn with_every_thread_held_a_call_is_refused_and_never_made() {
        let executor = Executor::new("test", URI, 1);
        let (release, hanging) = hang();
        executor.call("hang", SOON, hanging).await.unwrap_err();
        let (made, was_made) = mpsc::channel();
        let error = executor.call("late", SOON, move |_| Ok(made.send(()).is_ok())).await.unwrap_err();
        assert!(matches!(error, AgentError::InUse { .. }), "{error}");
        drop(release);
        assert_eq!(quick(&executor).await, Ok(7));
        assert!(was_made.try_recv().is_err());
    }

    #[tokio::test]
    async fn one_hung_vm_cannot_take_every_thread() {
        let executor = Executor::new("test", URI, 8);
        let vm = VmUuid::random();
        let mut releases = Vec::new();
        for _ in 0..OVERDUE_PER_VM {
            let (release, hanging) = hang();
            releases.push(release);
            assert!(matches!(executor.call_on(vm, "hang", SOON, hanging).await, Err(AgentError::Timeout { .. })));
        }
        assert!(matches!(executor.call_on(vm, "next", LONG, |_| Ok(())).await, Err(AgentError::InUse { .. })));
        assert_eq!(executor.call_on(VmUuid::random(), "other", LONG, |_| Ok(())).await, Ok(()));
        drop(releases);
        while executor.call_on(vm, "again", LONG, |_| Ok(())).await.is_err() {
            tokio::task::yield_now().await;
        }
        // The VM may call again once one of them has ended; the others end soon.
        while !executor.pool.overdue.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_late_outcome_can_still_be_waited_for() {
        let executor = Executor::new("test", URI, 1);
        let (release, hanging) = hang();
        let mut pending = executor.submit("hang", hanging).unwrap();
        assert!(matches!(pending.wait(SOON).await, Err(AgentError::Timeout { .. })));
        drop(release);
        assert_eq!(pending.join().await, Ok(()));
    }

    #[tokio::test]
    async fn a_call_that_panics_is_an_internal_error_and_the_thread_goes_on() {
        let executor = Executor::new("test", URI, 1);
        let error = executor.call::<()>("panic", LONG, |_| panic!("on purpose")).await.unwrap_err();
        assert!(matches!(error, AgentError::Internal { .. }), "{error}");
        assert_eq!(quick(&executor).await, Ok(7));
        assert_eq!(executor.pool.state.lock().threads, 1);
    }

    #[tokio::test]
    async fn a_libvirt_that_cannot_be_reached_is_named() {
        let executor = Executor::new("test", "qemu+unix:///system?socket=/nonexistent/sock", 1);
        let error = quick(&executor).await.unwrap_err();
        assert!(
            matches!(&error, AgentError::LibvirtUnavailable { reason } if reason.contains("/nonexistent/sock")),
            "{error}"
        );
    }
}

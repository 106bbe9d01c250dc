//! A management node in a runtime of its own: it ends as if it were killed when that is dropped.

use std::{path::Path, sync::Arc, time::Duration};

use gantry_common::id::JobUuid;
use gantry_mgmt::{
    api::Principal,
    config::Overrides,
    failure::Failure,
    job::{self, Accepted},
    node::{Node, Start},
    store::{JobPhase, JobRecord, Tx},
};
use serde_json::{Map, Value};
use tokio::runtime::Runtime;

/// Longer than anything here takes, unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Life {
    pub node: Arc<Node>,
    runtime: Option<Runtime>,
}

impl Life {
    /// Starts the node, or starts it again. `before` is done before it takes up its jobs.
    pub fn begin(data: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Runtime::new().unwrap();
        let config = Overrides { data: Some(data.to_owned()), ..Overrides::default() }.finish();
        let start = Start { config, admin_password: Some("a password of the tests".to_owned()), failpoint: None };
        let node = runtime.block_on(Node::open(start)).unwrap();
        runtime.block_on(node.run()).unwrap();
        Self { node, runtime: Some(runtime) }
    }

    pub fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.as_ref().unwrap().block_on(work)
    }

    pub fn write<T: Send + 'static>(&self, change: impl FnOnce(&Tx<'_>) -> Result<T, Failure> + Send + 'static) -> T {
        self.block_on(self.node.store.write(change)).unwrap()
    }

    pub fn read<T: Send + 'static>(&self, look: impl FnOnce(&Tx<'_>) -> Result<T, Failure> + Send + 'static) -> T {
        self.block_on(self.node.store.read(look)).unwrap()
    }

    /// Accepts a call.
    pub fn call(&self, api: &str, parameters: &[(&str, String)]) -> JobUuid {
        let (declaration, handler) = self.node.job_operation(api).unwrap();
        let parameters: Map<String, Value> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), Value::String(value.clone()))).collect();
        let accepted = Accepted {
            uuid: JobUuid::random(),
            declaration,
            handler,
            parameters,
            principal: Principal::Operator(self.node.admin),
            session_uuid: None,
            audit: None,
            webhook: None,
            origin: None,
        };
        self.block_on(job::accept(&self.node, accepted)).unwrap()
    }

    /// Waits for a job's end: its reply, or its error.
    pub fn end_of(&self, job: JobUuid) -> Result<Value, Value> {
        let record = self.until(|life| {
            let record: JobRecord = life.read(move |tx| Ok(tx.job(job)?)).unwrap();
            record.phase.has_ended().then_some(record)
        });
        let result = record.result.unwrap();
        if record.phase == JobPhase::Succeeded { Ok(result) } else { Err(result["error"].clone()) }
    }

    /// Makes a call and waits for its end.
    pub fn run(&self, api: &str, parameters: &[(&str, String)]) -> Result<Value, Value> {
        self.end_of(self.call(api, parameters))
    }

    /// Looks until there is something to see.
    pub fn until<T>(&self, look: impl Fn(&Self) -> Option<T>) -> T {
        let begun = std::time::Instant::now();
        loop {
            if let Some(seen) = look(self) {
                return seen;
            }
            assert!(begun.elapsed() < PATIENCE, "what is expected never came");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends it at this moment.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.end();
    }
}

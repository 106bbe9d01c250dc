//! Operations with their handlers.

use std::{net::IpAddr, sync::Arc};

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use super::{Declaration, Declared, Principal};
use crate::{
    failure::Failure,
    job::{JobHandler, JobOperation},
    node::Node,
    resource::{self, Session},
};

/// Who calls, and what a handler needs to answer.
#[derive(Clone)]
pub struct Caller {
    /// The node.
    pub node: Arc<Node>,
    /// The caller's session; `None` only for operations that are open to all.
    pub session: Option<Session>,
    /// On whose behalf the call is made.
    pub principal: Principal,
    /// Where the call comes from.
    pub from: IpAddr,
}

/// An operation that answers at once.
pub trait SyncOperation: Declared {
    /// The reply.
    fn answer(self, caller: Caller) -> impl Future<Output = Result<Value, Failure>> + Send;
}

/// Answers a call with checked parameters at once.
pub type SyncHandler = fn(Caller, Map<String, Value>) -> BoxFuture<'static, Result<Value, Failure>>;

/// How an operation is carried out.
#[derive(Clone, Copy)]
pub enum Handler {
    /// At once.
    Sync(SyncHandler),
    /// By job.
    Job(JobHandler),
    /// By the query engine.
    Query(&'static resource::Declaration),
    /// Not yet: its calls are checked, then refused.
    Planned,
}

/// An operation as the router serves it.
#[derive(Clone, Copy)]
pub struct Operation {
    /// How it is called.
    pub declaration: &'static Declaration,
    /// How it is carried out.
    pub handler: Handler,
}

/// An operation that answers at once.
pub fn sync<O: SyncOperation>() -> Operation {
    fn answer<O: SyncOperation>(
        caller: Caller,
        parameters: Map<String, Value>,
    ) -> BoxFuture<'static, Result<Value, Failure>> {
        Box::pin(async move { typed::<O>(parameters)?.answer(caller).await })
    }
    Operation { declaration: O::declaration(), handler: Handler::Sync(answer::<O>) }
}

/// An operation that answers by job.
pub fn job<O: JobOperation>() -> Operation {
    Operation { declaration: O::declaration(), handler: Handler::Job(JobHandler::of::<O>()) }
}

/// The query operation `O` over a resource.
pub fn query<O: Declared>(resource: fn() -> &'static resource::Declaration) -> Operation {
    Operation { declaration: O::declaration(), handler: Handler::Query(resource()) }
}

/// Checked parameters as the operation's own type.
pub fn typed<O: Declared>(parameters: Map<String, Value>) -> Result<O, Failure> {
    serde_json::from_value(Value::Object(parameters))
        .map_err(|error| Failure::argument("body", O::declaration().name, error))
}

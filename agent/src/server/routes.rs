//! What can be asked of an agent, and by whom.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{connect, get, post},
};
use bytes::Bytes;
use gantry_common::{
    agent::{
        AgentError, CancelOperation, Command, HostAgent, InstallCertificate, OPERATION_HEADER, RequestCertificate,
        console_path, dispatch,
    },
    id::OperationId,
    role::Role,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;

use super::{
    consoles, events,
    identity::Identity,
    operations::{Operations, Outcome, RequestDigest},
};

/// The largest argument of a command. A VM with user data is far smaller.
const MAX_BODY_BYTES: usize = 4 << 20;

/// What the routes work with.
#[derive(Clone)]
pub struct Node {
    /// The host.
    pub agent: Arc<dyn HostAgent>,
    /// Its certificate.
    pub identity: Arc<Identity>,
    /// Its commands.
    pub operations: Operations,
    /// The consoles that may be open.
    pub consoles: consoles::Places,
    /// Cancelled when the event streams and consoles shall end.
    pub stopping: CancellationToken,
}

/// The node's routes and the peers' routes. Each request carries its [`Role`] as an extension.
pub fn router(state: Node, peer_routes: Router) -> Router {
    let node_routes = Router::new()
        .route("/v1/commands/{name}", post(command))
        .route("/v1/events", get(stream))
        .route(&console_path("{vm}"), connect(consoles::console))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .route_layer(middleware::from_fn(only_the_node))
        .with_state(state);
    let peer_routes = peer_routes.route_layer(middleware::from_fn(only_reading_peers));
    node_routes.merge(peer_routes)
}

async fn only_the_node(Extension(role): Extension<Role>, request: Request, next: Next) -> Response {
    match role {
        Role::Management => next.run(request).await,
        Role::Host(_) => {
            (StatusCode::FORBIDDEN, format!("only the management node may do this, not {role}\n")).into_response()
        }
    }
}

async fn only_reading_peers(Extension(role): Extension<Role>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, format!("{role} may only read here\n")).into_response()
    }
}

async fn stream(State(state): State<Node>) -> Response {
    let body = events::body(state.agent.events(), state.operations.progress(), state.stopping.clone());
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

async fn command(State(node): State<Node>, Path(name): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let outcome = match operation_id(&headers) {
        Ok(operation) => node.carry_out(operation, name, body).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(reply) => (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], reply).into_response(),
        Err(error) => failure(&error),
    }
}

/// The answer that tells why something was not done.
pub fn failure(error: &AgentError) -> Response {
    // An error of strings and numbers cannot fail to be written; were it to, its text is still told.
    let body = encode(error).unwrap_or_else(|error| error.to_string().into());
    (status(error), [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn operation_id(headers: &HeaderMap) -> Result<OperationId, AgentError> {
    let text = headers.get(OPERATION_HEADER).map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default();
    text.parse().map_err(|error| AgentError::invalid(OPERATION_HEADER, &text, format!("{error}")))
}

impl Node {
    async fn carry_out(&self, operation: OperationId, name: String, body: Bytes) -> Outcome {
        if name == CancelOperation::NAME {
            let command: CancelOperation = decode(&name, &body)?;
            self.operations.cancel(command.target);
            return encode(&());
        }
        let digest = RequestDigest::of(&name, &body);
        let (agent, identity) = (Arc::clone(&self.agent), Arc::clone(&self.identity));
        let work = move |call| async move {
            match name.as_str() {
                RequestCertificate::NAME => encode(&identity.request_certificate()?),
                InstallCertificate::NAME => encode(&identity.install_certificate(&decode(&name, &body)?)?),
                _ => dispatch(&*agent, call, &name, &body).await.map(Bytes::from),
            }
        };
        self.operations.run(operation, digest, work).await
    }
}

fn decode<C: DeserializeOwned>(name: &str, body: &[u8]) -> Result<C, AgentError> {
    serde_json::from_slice(body).map_err(|error| AgentError::invalid("body", name, error.to_string()))
}

fn encode(reply: &impl Serialize) -> Outcome {
    serde_json::to_vec(reply).map(Bytes::from).map_err(|error| AgentError::Internal { reason: error.to_string() })
}

/// The status is for people who read logs; the node goes by the error itself.
fn status(error: &AgentError) -> StatusCode {
    match error {
        AgentError::InvalidArgument { .. } => StatusCode::BAD_REQUEST,
        AgentError::NotFound { .. } => StatusCode::NOT_FOUND,
        AgentError::VmState { .. } | AgentError::InUse { .. } | AgentError::Cancelled => StatusCode::CONFLICT,
        AgentError::NoSpace { .. } => StatusCode::INSUFFICIENT_STORAGE,
        AgentError::Busy { .. } | AgentError::LibvirtUnavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        AgentError::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        AgentError::Transfer { .. } | AgentError::Corrupt { .. } => StatusCode::BAD_GATEWAY,
        AgentError::File { .. }
        | AgentError::Libvirt { .. }
        | AgentError::Program { .. }
        | AgentError::Network { .. }
        | AgentError::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

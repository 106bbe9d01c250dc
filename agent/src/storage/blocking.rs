//! File system calls, away from the threads that serve connections: a hung mount must not stall the agent.

use gantry_common::agent::AgentError;

/// Runs `work` on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AgentError> + Send + 'static,
) -> Result<T, AgentError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| AgentError::Internal { reason: error.to_string() })?
}

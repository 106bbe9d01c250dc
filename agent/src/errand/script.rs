//! Scripts that an administrator runs on hosts.

use std::time::Duration;

use gantry_common::agent::{AgentError, Call, RunScript, ScriptOutcome};

use super::{Errand, Errands};

/// The longest that a script may run, whatever the command says.
const LONGEST: Duration = Duration::from_secs(3600);
/// The most that is kept of each output, whatever the command says.
const MOST_OUTPUT: u64 = 1 << 20;

impl Errands {
    /// Runs a script, once for each operation.
    ///
    /// # Errors
    /// [`AgentError::Cancelled`]; [`AgentError::Program`] where systemd refuses to run it; [`AgentError::File`].
    pub async fn run_script(&self, call: &Call, command: &RunScript) -> Result<ScriptOutcome, AgentError> {
        let errand = Errand {
            script: &command.script,
            input: "",
            deadline: Duration::from_secs(command.deadline_seconds).min(LONGEST),
            output_bytes: command.output_bytes.min(MOST_OUTPUT),
            can_be_cancelled: true,
        };
        tracing::info!(operation = %call.operation, bytes = command.script.len(), "running a script of the management node");
        let ended = self.run(call, &errand).await?;
        Ok(ScriptOutcome {
            exit_status: ended.status,
            timed_out: ended.timed_out,
            stdout: ended.stdout,
            stderr: ended.stderr,
        })
    }
}

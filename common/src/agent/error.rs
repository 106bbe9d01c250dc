//! Why an agent did not carry out a command.

use serde::{Deserialize, Serialize};

use super::VmState;
use crate::id::VmUuid;

/// Why an agent did not carry out a command. Every text says what to do about it where the agent can know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum AgentError {
    /// The command's argument cannot be used.
    #[error("{field} '{value}' is not usable: {remedy}")]
    InvalidArgument {
        /// The argument's name.
        field: String,
        /// Its value.
        value: String,
        /// What would be accepted.
        remedy: String,
    },
    /// What the command names is not on this host.
    #[error("{what} '{name}' is not on this host")]
    NotFound {
        /// The kind of thing.
        what: String,
        /// Its name.
        name: String,
    },
    /// A VM is not in a state that allows the command.
    #[error("VM {vm} is {state} on this host; {remedy}")]
    VmState {
        /// The VM.
        vm: VmUuid,
        /// The state in the way.
        state: VmState,
        /// What to do first.
        remedy: String,
    },
    /// Something else uses what the command would change.
    #[error("{what} is used by {user}")]
    InUse {
        /// What is used.
        what: String,
        /// By whom.
        user: String,
    },
    /// The file system has too little room.
    #[error("{path} has {available_bytes} bytes free and {needed_bytes} are needed; free space or use another storage")]
    NoSpace {
        /// The path.
        path: String,
        /// How much is needed.
        needed_bytes: u64,
        /// How much is free.
        available_bytes: u64,
    },
    /// A file could not be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The path.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// A transfer failed.
    #[error("transfer from {url} failed: {reason}")]
    Transfer {
        /// The source, without credentials.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// What arrived is not what was announced.
    #[error("{what} is not as expected: {reason}")]
    Corrupt {
        /// The thing that was checked.
        what: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// libvirt refused or failed a call.
    #[error("libvirt: {operation}: {message} (code {code})")]
    Libvirt {
        /// The libvirt function.
        operation: String,
        /// libvirt's error number.
        code: i32,
        /// libvirt's message.
        message: String,
    },
    /// The connection to libvirtd is down.
    #[error("libvirtd is not reachable: {reason}; check `systemctl status libvirtd` on the host")]
    LibvirtUnavailable {
        /// What the connection attempt said.
        reason: String,
    },
    /// A program the agent runs failed.
    #[error("{program} failed with {status}: {stderr}")]
    Program {
        /// The program.
        program: String,
        /// Its exit status.
        status: String,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// The kernel refused a network change.
    #[error("network: {operation}: {reason}")]
    Network {
        /// The change.
        operation: String,
        /// What the kernel said.
        reason: String,
    },
    /// A deadline passed.
    #[error("{operation} did not end within {seconds} s")]
    Timeout {
        /// What took too long.
        operation: String,
        /// The deadline.
        seconds: u64,
    },
    /// The agent has as many commands as it takes.
    #[error("the agent has {commands} commands under way or waiting; try again later")]
    Busy {
        /// How many it has.
        commands: usize,
    },
    /// The caller cancelled the command.
    #[error("the operation was cancelled")]
    Cancelled,
    /// A fault of the agent itself.
    #[error("internal error of the agent: {reason}")]
    Internal {
        /// What happened.
        reason: String,
    },
}

impl AgentError {
    /// An argument that cannot be used.
    #[expect(clippy::needless_pass_by_value, reason = "callers hand over an error they no longer need")]
    pub fn invalid(field: impl Into<String>, value: impl ToString, remedy: impl Into<String>) -> Self {
        Self::InvalidArgument { field: field.into(), value: value.to_string(), remedy: remedy.into() }
    }

    /// A file operation that failed.
    #[expect(clippy::needless_pass_by_value, reason = "callers hand over an error they no longer need")]
    pub fn file(path: impl AsRef<std::path::Path>, reason: impl ToString) -> Self {
        Self::File { path: path.as_ref().display().to_string(), reason: reason.to_string() }
    }
}

//! `qemu-img`, run with an argument vector and a deadline.

use std::{ffi::OsStr, io::ErrorKind, path::Path, process::Stdio, time::Duration};

use gantry_common::agent::AgentError;
use serde::Deserialize;
use tokio::{process::Command, time::timeout};

const PROGRAM: &str = "qemu-img";
/// Checking reads every table of an image; the other calls take milliseconds.
const DEADLINE: Duration = Duration::from_secs(600);
const MAX_STDERR_BYTES: usize = 2000;

/// What `qemu-img info` says about a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct QemuImg {
    /// What the guest sees.
    #[serde(rename = "virtual-size")]
    pub(crate) virtual_bytes: u64,
    /// What the file takes on disk.
    #[serde(rename = "actual-size")]
    pub(crate) actual_bytes: u64,
    /// The backing file, as the image names it.
    #[serde(rename = "backing-filename")]
    pub(crate) backing: Option<String>,
}

impl QemuImg {
    /// Makes a qcow2 image in place of the file at `path`. With a backing file and its format, the image stands on it.
    pub(crate) async fn create(path: &Path, bytes: u64, backing: Option<(&Path, &str)>) -> Result<(), AgentError> {
        let bytes = bytes.to_string();
        let mut arguments: Vec<&OsStr> =
            ["create", "-q", "-f", "qcow2", "-o", "preallocation=off"].map(OsStr::new).into();
        if let Some((backing, format)) = backing {
            arguments.extend(["-F", format, "-b"].map(OsStr::new));
            arguments.push(backing.as_os_str());
        }
        arguments.extend([path.as_os_str(), OsStr::new(&bytes)]);
        run(&arguments, &[0]).await.map(drop)
    }

    /// Makes the qcow2 image at `path` larger. It fails while QEMU has it open.
    pub(crate) async fn resize(path: &Path, bytes: u64) -> Result<(), AgentError> {
        let bytes = bytes.to_string();
        let mut arguments: Vec<_> = ["resize", "-q", "-f", "qcow2"].map(OsStr::new).into();
        arguments.extend([path.as_os_str(), OsStr::new(&bytes)]);
        run(&arguments, &[0]).await.map(drop)
    }

    /// Has the qcow2 image at `path` stand on another file with the same content as the one it stands on.
    pub(crate) async fn rebase(path: &Path, backing: &Path, format: &str) -> Result<(), AgentError> {
        let mut arguments: Vec<&OsStr> =
            ["rebase", "-q", "-u", "-f", "qcow2", "-F", format, "-b"].map(OsStr::new).into();
        arguments.extend([backing.as_os_str(), path.as_os_str()]);
        run(&arguments, &[0]).await.map(drop)
    }

    /// Looks at the image at `path`, which is taken to be of `format`. Works while QEMU has it open.
    pub(crate) async fn info(path: &Path, format: &str) -> Result<Self, AgentError> {
        let [info, options @ ..] = ["info", "-U", "--output=json", "-f", format].map(OsStr::new);
        let arguments: Vec<_> = [info].into_iter().chain(options).chain([path.as_os_str()]).collect();
        let stdout = run(&arguments, &[0]).await?;
        serde_json::from_slice(&stdout)
            .map_err(|error| AgentError::Internal { reason: format!("the output of qemu-img info: {error}") })
    }

    /// Proves that the tables of the qcow2 image at `path` are consistent. Space that is lost, not damaged, is accepted.
    pub(crate) async fn check(path: &Path) -> Result<(), AgentError> {
        let mut arguments: Vec<_> = ["check", "-q", "-f", "qcow2"].map(OsStr::new).into();
        arguments.push(path.as_os_str());
        const LEAKED_CLUSTERS: i32 = 3;
        run(&arguments, &[0, LEAKED_CLUSTERS]).await.map(drop)
    }
}

async fn run(arguments: &[&OsStr], accepted: &[i32]) -> Result<Vec<u8>, AgentError> {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(DEADLINE, command.output())
        .await
        .map_err(|_| AgentError::Timeout { operation: PROGRAM.into(), seconds: DEADLINE.as_secs() })?
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => failure("a missing program", "install qemu-utils (Debian) or qemu-img (Red Hat)"),
            _ => failure("a failed start", &error.to_string()),
        })?;
    if output.status.code().is_some_and(|code| accepted.contains(&code)) {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(failure(&output.status.to_string(), stderr.trim()))
}

fn failure(status: &str, stderr: &str) -> AgentError {
    let start = stderr.ceil_char_boundary(stderr.len().saturating_sub(MAX_STDERR_BYTES));
    AgentError::Program {
        program: PROGRAM.into(),
        status: status.into(),
        stderr: stderr.get(start..).unwrap_or_default().into(),
    }
}

/// Whether a program failed because the disk or a quota was full; it says so in words only.
pub(crate) fn ran_out_of_space(error: &AgentError) -> bool {
    matches!(error, AgentError::Program { stderr, .. }
        if stderr.contains("No space left on device") || stderr.contains("Disk quota exceeded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_error_text_is_kept() {
        let text = format!("{}end", "ä".repeat(5000));
        let AgentError::Program { stderr, .. } = failure("exit status: 1", &text) else { panic!() };
        assert!(stderr.ends_with("end") && stderr.len() <= MAX_STDERR_BYTES);
    }
}

//! `qemu-img`, run with an argument vector and a deadline.

use std::{ffi::OsStr, path::Path, time::Duration};

use gantry_common::agent::AgentError;
use serde::Deserialize;
use tokio::{io::AsyncReadExt, process::Command, time::timeout};

use crate::program;

const PROGRAM: &str = "qemu-img";
/// Checking reads every table of an image; the other calls take milliseconds.
const DEADLINE: Duration = Duration::from_secs(600);
/// `qemu-img convert` tells each percent that it has done; one of a large volume on a slow disk takes its time.
const CONVERT_SILENCE: Duration = Duration::from_secs(3600);
/// What is read of its complaints while it converts.
const MAX_SAID_BYTES: u64 = 16_000;

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

    /// Makes a qcow2 image in place of the file at `target` that holds all of the volume at `source`, whatever that stands on.
    /// Tells meanwhile how far it is, in percent. Dropped, it ends.
    pub(crate) async fn convert(source: &Path, target: &Path, progress: impl Fn(f64)) -> Result<(), AgentError> {
        let mut arguments: Vec<_> = ["convert", "-p", "-f", "qcow2", "-O", "qcow2"].map(OsStr::new).into();
        arguments.extend([source.as_os_str(), target.as_os_str()]);
        let mut child = command(&arguments).spawn().map_err(|error| program::not_started(PROGRAM, &error))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let told = async {
            let (Some(mut stdout), mut text) = (stdout, [0; 1024]) else { return Ok(()) };
            loop {
                match timeout(CONVERT_SILENCE, stdout.read(&mut text)).await {
                    Ok(Ok(0) | Err(_)) => return Ok(()),
                    Ok(Ok(length)) => {
                        let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default());
                        if let Some(percent) = last_percent(&text) {
                            progress(percent);
                        }
                    }
                    Err(_) => return Err(program::timed_out(PROGRAM, CONVERT_SILENCE)),
                }
            }
        };
        let said = async {
            let mut text = Vec::new();
            if let Some(stderr) = stderr {
                // What cannot be read is not told; the exit status is.
                let _ = stderr.take(MAX_SAID_BYTES).read_to_end(&mut text).await;
            }
            text
        };
        let (told, said) = tokio::join!(told, said);
        told?;
        let status = child.wait().await.map_err(|error| program::lost(PROGRAM, &error))?;
        if status.success() {
            return Ok(());
        }
        Err(program::failed(PROGRAM, &status.to_string(), &said))
    }

    /// The bytes that a self-contained copy of the volume at `path` takes.
    pub(crate) async fn flat_bytes(path: &Path) -> Result<u64, AgentError> {
        #[derive(Deserialize)]
        struct Measured {
            required: u64,
        }
        let mut arguments: Vec<_> = ["measure", "--output=json", "-f", "qcow2", "-O", "qcow2"].map(OsStr::new).into();
        arguments.push(path.as_os_str());
        let stdout = run(&arguments, &[0]).await?;
        serde_json::from_str::<Measured>(&stdout)
            .map(|measured| measured.required)
            .map_err(|error| AgentError::Internal { reason: format!("the output of qemu-img measure: {error}") })
    }

    /// Looks at the image at `path`, which is taken to be of `format`. Works while QEMU has it open.
    pub(crate) async fn info(path: &Path, format: &str) -> Result<Self, AgentError> {
        let [info, options @ ..] = ["info", "-U", "--output=json", "-f", format].map(OsStr::new);
        let arguments: Vec<_> = [info].into_iter().chain(options).chain([path.as_os_str()]).collect();
        let stdout = run(&arguments, &[0]).await?;
        serde_json::from_str(&stdout)
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

async fn run(arguments: &[&OsStr], accepted: &[i32]) -> Result<String, AgentError> {
    program::run(command(arguments), DEADLINE, accepted).await
}

fn command(arguments: &[&OsStr]) -> Command {
    let mut command = program::command(PROGRAM);
    command.args(arguments);
    command
}

/// How far it is, from text such as `(12.50/100%)` of which the last is the newest.
fn last_percent(text: &str) -> Option<f64> {
    let (before, _) = text.rsplit_once("/100%")?;
    before.rsplit_once('(')?.1.trim().parse().ok()
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
    fn the_newest_percentage_counts() {
        assert_eq!(last_percent("    (0.00/100%)\r    (12.50/100%)\r"), Some(12.5));
        assert_eq!(last_percent("    (100.00/100%)\r    (1"), Some(100.0));
        assert_eq!(last_percent("(1"), None);
    }
}

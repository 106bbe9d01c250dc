//! Runs the programs that configure the kernel's network: `ip`, `nft`, `dnsmasq`.
//!
//! A program may outlive an agent that is killed. So each holds a shared lock until it ends, on a file that it has as
//! its standard input or output, whichever it has no other use for: that one is inherited in the very moment it is
//! started, and dnsmasq keeps it until it is on its own with its pid file written. An agent that starts waits until
//! nobody holds the lock. Otherwise such a program would undo, later, what the new agent has done.

use std::{
    fs::{File, TryLockError},
    io::{self, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    process::Stdio,
    time::Duration,
};

use gantry_common::agent::AgentError;
use nix::sys::memfd::{MFdFlags, memfd_create};
use tokio::process::Command;

use super::{
    paths::NetworkPaths,
    record::{Readers, make_directory},
};

const DEADLINE: Duration = Duration::from_secs(30);
/// How long an agent that starts waits for programs of an earlier one, and how often it looks.
const LOCK_DEADLINE: Duration = Duration::from_secs(10);
const LOCK_INTERVAL: Duration = Duration::from_millis(5);
/// How much of what a failed program said is passed on.
const STDERR_BYTES: usize = 2000;

/// Runs a program to its end and returns its standard output.
///
/// # Errors
/// [`AgentError::Program`] when it cannot be run or fails, [`AgentError::Timeout`] when it takes too long; it is then
/// killed.
pub(super) async fn run(paths: &NetworkPaths, program: &str, arguments: &[&str]) -> Result<String, AgentError> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(acquire(paths, File::try_lock_shared).await?).stdout(Stdio::piped());
    finish(program, command).await
}

/// Runs a program to its end with `input` on its standard input.
///
/// # Errors
/// As [`run`].
pub(super) async fn feed(
    paths: &NetworkPaths,
    program: &str,
    arguments: &[&str],
    input: &str,
) -> Result<(), AgentError> {
    let mut command = Command::new(program);
    let input = whole(input).map_err(|error| failed_to_start(program, &error))?;
    command.args(arguments).stdin(input).stdout(acquire(paths, File::try_lock_shared).await?);
    finish(program, command).await.map(|_| ())
}

/// Waits until every program that an earlier agent started has ended.
///
/// # Errors
/// [`AgentError::Timeout`] when one of them takes too long.
pub(super) async fn wait_for_earlier(paths: &NetworkPaths) -> Result<(), AgentError> {
    let file = acquire(paths, File::try_lock).await?;
    file.unlock().map_err(|error| AgentError::file(&paths.programs_lock(), error))
}

async fn acquire(paths: &NetworkPaths, try_lock: fn(&File) -> Result<(), TryLockError>) -> Result<File, AgentError> {
    let path = paths.programs_lock();
    if !paths.root().is_dir() {
        make_directory(&paths.root(), Readers::All)?;
    }
    // Nobody else may open it: whoever can, can hold the lock.
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| AgentError::file(&path, error))?;
    let locked = async {
        loop {
            match try_lock(&file) {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_INTERVAL).await,
                Err(TryLockError::Error(error)) => return Err(AgentError::file(&path, error)),
            }
        }
    };
    match tokio::time::timeout(LOCK_DEADLINE, locked).await {
        Ok(locked) => locked.map(|()| file),
        Err(_) => Err(AgentError::Timeout {
            operation: format!("a program of an earlier agent (`fuser {}` names it)", path.display()),
            seconds: LOCK_DEADLINE.as_secs(),
        }),
    }
}

/// The input as a file in memory. Through a pipe, a program whose agent is killed would see a part and take it for all.
fn whole(input: &str) -> io::Result<Stdio> {
    let mut file = File::from(memfd_create(c"input", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(input.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

async fn finish(program: &str, mut command: Command) -> Result<String, AgentError> {
    let child = command
        .env("LC_ALL", "C")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed_to_start(program, &error))?;
    // It has the lock for itself; a copy here would outlast it.
    drop(command);
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output())
        .await
        .map_err(|_| AgentError::Timeout { operation: program.to_owned(), seconds: DEADLINE.as_secs() })?
        .map_err(|error| failed(program, "an error", &error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = &output.stderr[output.stderr.len().saturating_sub(STDERR_BYTES)..];
    Err(failed(program, &output.status.to_string(), String::from_utf8_lossy(stderr).trim()))
}

fn failed(program: &str, status: &str, stderr: &str) -> AgentError {
    AgentError::Program { program: program.to_owned(), status: status.to_owned(), stderr: stderr.to_owned() }
}

fn failed_to_start(program: &str, error: &io::Error) -> AgentError {
    failed(program, "an error before it ran", &error.to_string())
}

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

use super::{
    paths::NetworkPaths,
    record::{Readers, make_directory},
};
use crate::program;

const DEADLINE: Duration = Duration::from_secs(30);
/// How long an agent that starts waits for programs of an earlier one, and how often it looks.
const LOCK_DEADLINE: Duration = Duration::from_secs(10);
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// Runs a program to its end and returns its standard output.
///
/// # Errors
/// As [`program::run`].
pub(super) async fn run(paths: &NetworkPaths, program: &str, arguments: &[&str]) -> Result<String, AgentError> {
    let mut command = program::command(program);
    command.args(arguments).stdin(acquire(paths, File::try_lock_shared).await?);
    program::run(command, DEADLINE, &[0]).await
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
    let mut command = program::command(program);
    let input = whole(input).map_err(|error| program::not_started(program, &error))?;
    command.args(arguments).stdin(input).stdout(acquire(paths, File::try_lock_shared).await?);
    program::run(command, DEADLINE, &[0]).await.map(drop)
}

/// Waits until every program that an earlier agent started has ended.
///
/// # Errors
/// [`AgentError::Timeout`] when one of them takes too long.
pub(super) async fn wait_for_earlier(paths: &NetworkPaths) -> Result<(), AgentError> {
    let file = acquire(paths, File::try_lock).await?;
    file.unlock().map_err(|error| AgentError::file(paths.programs_lock(), error))
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

//! Errands: scripts that systemd runs for the agent as services of their own.
//!
//! The agent itself may do little on the host, and what it starts ends up in its own service. An errand has neither
//! limit: systemd starts it, ends it with all that it has started when its time is over, and lets it go on while the
//! agent restarts. What is known of it lies in a directory named after the operation, so that a repeat of the operation
//! finds the first run instead of making a second.

mod packages;
mod script;

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use gantry_common::{
    agent::{AgentError, Call},
    id::OperationId,
};

use crate::program;

const SUPERVISOR: &str = include_str!("supervise.sh");
/// How often it is looked whether an errand has ended: often at first, for most are short.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_secs(1);
/// How long an errand that is to end may take to do so before systemd kills it.
const STOP_SECONDS: u64 = 10;
/// How long systemd may take to answer.
const SYSTEMD_DEADLINE: Duration = Duration::from_secs(30);
/// How long what became of an errand can be asked for.
const KEPT: Duration = Duration::from_secs(3600);

/// What systemd is to run.
struct Errand<'a> {
    script: &'a str,
    input: &'a str,
    deadline: Duration,
    output_bytes: u64,
    /// Whether it is ended when nobody wants its outcome any more.
    can_be_cancelled: bool,
}

/// How an errand ended.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    /// Its exit status; `None` when it was killed.
    status: Option<i32>,
    /// Whether that was because its time was over.
    timed_out: bool,
    stdout: String,
    stderr: String,
}

/// The errands of this host.
#[derive(Debug)]
pub struct Errands {
    directory: PathBuf,
}

impl Errands {
    /// Errands that are kept in a directory, which need not be there.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    async fn run(&self, call: &Call, errand: &Errand<'_>) -> Result<Ended, AgentError> {
        let directory = self.directory.join(call.operation.to_string());
        let unit = unit(call.operation);
        self.forget_old();
        if !directory.exists() {
            prepare(&self.directory, &directory, errand).map_err(|error| AgentError::file(&directory, error))?;
            if let Err(error) = start(&unit, &directory, errand.deadline).await {
                // Nothing has run: the next attempt is a first one.
                let _ = fs::remove_dir_all(&directory);
                return Err(error);
            }
        }
        let mut pause = FIRST_LOOK;
        while !directory.join("ended").exists() && is_active(&unit).await? {
            if errand.can_be_cancelled && call.cancelled.is_cancelled() {
                systemctl(&["stop", &unit]).await?;
                return Err(AgentError::Cancelled);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_LOOK);
        }
        outcome(&directory, errand).map_err(|error| AgentError::file(&directory, error))
    }

    fn forget_old(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let ended = fs::metadata(path.join("ended")).and_then(|facts| facts.modified());
            if ended.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > KEPT))
                && let Err(error) = fs::remove_dir_all(&path)
            {
                tracing::warn!(path = %path.display(), %error, "an old errand's directory stays");
            }
        }
    }
}

fn unit(operation: OperationId) -> String {
    format!("gantry-errand-{operation}.service")
}

/// Writes down what is to be run. The directory gets its name when it is whole, so that a crash leaves no half of it.
fn prepare(parent: &Path, directory: &Path, errand: &Errand<'_>) -> io::Result<()> {
    let draft = directory.with_extension("new");
    let _ = fs::remove_dir_all(&draft);
    fs::create_dir_all(parent)?;
    // A script may hold secrets.
    fs::DirBuilder::new().mode(0o700).create(&draft)?;
    let limit = errand.output_bytes.to_string();
    let files = [("supervise", SUPERVISOR), ("script", errand.script), ("input", errand.input), ("limit", &*limit)];
    for (name, content) in files {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft.join(name))?;
        file.write_all(content.as_bytes())?;
    }
    fs::rename(draft, directory)
}

/// Has systemd start it. A unit of that name that runs already is this errand.
async fn start(unit: &str, directory: &Path, deadline: Duration) -> Result<(), AgentError> {
    let mut command = program::command("systemd-run");
    command
        .args(["--quiet", "--collect", "--service-type=exec"])
        .arg(format!("--unit={unit}"))
        .arg(format!("--working-directory={}", directory.display()))
        .arg(format!("--property=RuntimeMaxSec={}", deadline.as_secs()))
        .arg(format!("--property=TimeoutStopSec={STOP_SECONDS}"))
        .args(["--property=KillMode=control-group", "--property=UMask=0022"])
        .args(["/bin/sh", "./supervise"]);
    program::run(command, SYSTEMD_DEADLINE, &[0]).await.map(drop)
}

async fn is_active(unit: &str) -> Result<bool, AgentError> {
    let state = systemctl(&["show", "--property=ActiveState", "--value", unit]).await?;
    Ok(!["inactive", "failed"].contains(&state.trim()))
}

async fn systemctl(arguments: &[&str]) -> Result<String, AgentError> {
    let mut command = program::command("systemctl");
    command.args(arguments);
    program::run(command, SYSTEMD_DEADLINE, &[0]).await
}

fn outcome(directory: &Path, errand: &Errand<'_>) -> io::Result<Ended> {
    let status = match fs::read_to_string(directory.join("ended")) {
        Ok(text) => text.trim().parse().ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let begun = fs::metadata(directory.join("limit"))?.modified()?;
    let took = SystemTime::now().duration_since(begun).unwrap_or_default();
    let kept = |name: &str| -> io::Result<String> {
        let mut bytes = Vec::new();
        match fs::File::open(directory.join(name)) {
            Ok(file) => drop(file.take(errand.output_bytes).read_to_end(&mut bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(Ended {
        status,
        timed_out: status.is_none() && took >= errand.deadline,
        stdout: kept("stdout")?,
        stderr: kept("stderr")?,
    })
}

//! Work on the host itself, outside the agent: scripts and the upgrade of the operating system.

use serde::{Deserialize, Serialize};

/// Runs a shell script as root. It and all that it has started are ended when its time is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunScript {
    /// The script. bash runs it, or sh where there is no bash.
    pub script: String,
    /// How long it may take.
    pub deadline_seconds: u64,
    /// How much of each of its outputs is kept.
    pub output_bytes: u64,
}

/// What a script came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptOutcome {
    /// Its exit status; `None` when its time was over or a signal ended it.
    pub exit_status: Option<i32>,
    /// Whether its time was over.
    pub timed_out: bool,
    /// The beginning of its standard output.
    pub stdout: String,
    /// The beginning of its standard error.
    pub stderr: String,
}

/// Asks what an upgrade of the host's packages would do. The lists of packages are brought up to date for that; nothing
/// else changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanUpgrade {
    /// Packages that stay as they are; `*` and `?` stand for what they do in a shell.
    pub exclude: Vec<String>,
}

/// Upgrades the host's packages. None is removed, and nothing is restarted beyond what the packages do themselves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UpgradePackages {
    /// As in [`PlanUpgrade`].
    pub exclude: Vec<String>,
}

/// What an upgrade would do, or has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// The packages.
    pub packages: Vec<String>,
    /// What stands in the way, each with what to do about it.
    pub obstacles: Vec<String>,
    /// Whether the host has to be restarted for all of it to take effect.
    pub restart_needed: bool,
}

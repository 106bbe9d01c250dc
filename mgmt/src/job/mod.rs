//! Jobs: every change is a durable list of named steps that is finished or undone, whatever happens to the node.
//!
//! A step either only writes to the inventory, and then its effect and its outcome are one transaction; or it works on a
//! host, and then it is idempotent and is done again after a crash. A step that fails unwinds those before it, itself
//! included where it worked on a host, for it may have got half-way.

mod accept;
mod failpoint;
mod locks;
mod progress;
mod runner;
mod step;
mod webhook;

use gantry_common::id::JobUuid;

pub use accept::*;
pub use failpoint::FailPoint;
pub use progress::*;
pub use step::*;

pub(crate) use runner::drive;
pub use webhook::resume_posting;

/// What the node keeps in memory about its jobs.
#[derive(Default)]
pub struct Jobs {
    locks: locks::Locks,
    progress: progress::Progresses,
    failpoint: Option<FailPoint>,
}

impl Jobs {
    /// Jobs that may be stopped at a point for tests.
    pub fn new(failpoint: Option<FailPoint>) -> Self {
        Self { failpoint, ..Self::default() }
    }

    /// How far a job is, while it runs.
    pub fn progress(&self, job: JobUuid) -> Option<TaskProgress> {
        self.progress.get(job)
    }
}

#[cfg(test)]
mod tests;

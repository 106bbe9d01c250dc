//! Jobs: every change is a durable list of named steps that is finished or undone, whatever happens to the node.
//!
//! A step either only writes to the inventory, and then its effect and its outcome are one transaction; or it works on a
//! host, and then it is idempotent and is done again after a crash. A step that fails unwinds those before it, itself
//! included where it worked on a host, for it may have got half-way.

mod accept;
mod cancel;
mod claim;
mod failpoint;
mod progress;
mod queues;
mod run;
mod runner;
mod same_call;
mod step;
mod unwind;
mod webhook;

use gantry_common::id::JobUuid;

pub use accept::*;
pub use cancel::{cancel, unknown_job};
pub use claim::unclaimed;
pub use failpoint::FailPoint;
pub use progress::*;
pub use queues::Ticket;
pub use run::Run;
pub use step::*;
pub use webhook::resume_posting;

/// What the node keeps in memory about its jobs.
pub struct Jobs {
    queues: queues::Queues,
    progress: progress::Progresses,
    wishes: cancel::Wishes,
    poster: webhook::Poster,
    failpoint: Option<FailPoint>,
}

impl Jobs {
    /// Jobs of which the next one has this number, and which may be stopped at a point for tests.
    ///
    /// # Errors
    /// The client that posts results cannot be made.
    pub fn new(next_number: u64, failpoint: Option<FailPoint>) -> anyhow::Result<Self> {
        Ok(Self {
            queues: queues::Queues::starting_at(next_number),
            progress: progress::Progresses::default(),
            wishes: cancel::Wishes::default(),
            poster: webhook::Poster::new()?,
            failpoint,
        })
    }

    /// Waits for the turn that a job on a resource would wait for, and keeps it until the ticket is dropped.
    pub async fn turn(&self, resource: String) -> Ticket {
        let mut ticket = self.queues.queue(vec![resource]);
        ticket.turn().await;
        ticket
    }

    /// How far a job is, while it runs.
    pub fn progress(&self, job: JobUuid) -> Option<TaskProgress> {
        self.progress.get(job)
    }
}

#[cfg(test)]
mod tests;

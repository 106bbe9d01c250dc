//! How far running jobs are.

use std::collections::HashMap;

use gantry_common::id::JobUuid;
use parking_lot::Mutex;

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskProgress {
    /// The operation.
    pub api: &'static str,
    /// The step being done.
    pub step: &'static str,
    /// Its number, from 1.
    pub current_step: usize,
    /// How many steps there are.
    pub total_steps: usize,
    /// How much of the step is done, where that is known.
    pub percent: Option<u8>,
}

#[derive(Default)]
pub(super) struct Progresses {
    running: Mutex<HashMap<JobUuid, TaskProgress>>,
}

impl Progresses {
    pub fn get(&self, job: JobUuid) -> Option<TaskProgress> {
        self.running.lock().get(&job).cloned()
    }

    pub fn step(&self, job: JobUuid, progress: TaskProgress) {
        self.running.lock().insert(job, progress);
    }

    pub fn bytes(&self, job: JobUuid, done: u64, total: Option<u64>) {
        let percent =
            total.filter(|total| *total > 0).and_then(|total| u8::try_from(done.min(total) * 100 / total).ok());
        if let Some(progress) = self.running.lock().get_mut(&job) {
            progress.percent = percent;
        }
    }

    pub fn end(&self, job: JobUuid) {
        self.running.lock().remove(&job);
    }
}

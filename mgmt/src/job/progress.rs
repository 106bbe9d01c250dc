//! How far running jobs are.

use std::collections::HashMap;

use gantry_common::id::JobUuid;
use parking_lot::Mutex;

use crate::clock::Timestamp;

/// How far a running job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskProgress {
    /// The operation.
    pub api: &'static str,
    /// How many steps there are.
    pub total_steps: usize,
    /// The steps that took time so far; the last one is being done.
    pub steps: Vec<StepProgress>,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepProgress {
    /// What it is called.
    pub name: &'static str,
    /// Its number, from 1.
    pub number: usize,
    /// When it began, or when its bytes were last heard of.
    pub time: Timestamp,
    /// Its bytes, where it moves any.
    pub bytes: Option<Bytes>,
}

/// How many bytes a step has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes {
    /// So many are done, of the part under way.
    pub done_bytes: u64,
    /// So many there are in that part, where that is known.
    pub total_bytes: Option<u64>,
    /// The part under way.
    pub part: Part,
}

/// One of several equal parts of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which, from 0.
    pub index: usize,
    /// How many there are.
    pub of: usize,
}

impl Part {
    /// The step is of one piece.
    pub const WHOLE: Self = Self { index: 0, of: 1 };
}

impl Bytes {
    /// How much of the step is done, in whole percent; nothing where it is not known how much there is.
    pub fn percent(&self) -> Option<u64> {
        let total = self.total_bytes.filter(|total| *total > 0)?;
        let (index, of) = (self.part.index as u128, self.part.of.max(1) as u128);
        let of_part = u128::from(self.done_bytes.min(total)) * 100 / u128::from(total);
        u64::try_from((index * 100 + of_part) / of).ok().map(|percent| percent.min(100))
    }
}

#[derive(Default)]
pub(super) struct Progresses {
    running: Mutex<HashMap<JobUuid, TaskProgress>>,
}

impl Progresses {
    pub fn get(&self, job: JobUuid) -> Option<TaskProgress> {
        self.running.lock().get(&job).cloned()
    }

    pub fn step(&self, job: JobUuid, api: &'static str, name: &'static str, number: usize, total_steps: usize) {
        let mut running = self.running.lock();
        let progress = running.entry(job).or_insert_with(|| TaskProgress { api, total_steps, steps: Vec::new() });
        progress.steps.push(StepProgress { name, number, time: Timestamp::now(), bytes: None });
    }

    pub fn bytes(&self, job: JobUuid, done_bytes: u64, total_bytes: Option<u64>, part: Part) {
        if let Some(step) = self.running.lock().get_mut(&job).and_then(|progress| progress.steps.last_mut()) {
            step.bytes = Some(Bytes { done_bytes, total_bytes, part });
            step.time = Timestamp::now();
        }
    }

    pub fn end(&self, job: JobUuid) {
        self.running.lock().remove(&job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(done_bytes: u64, total_bytes: Option<u64>, index: usize, of: usize) -> Option<u64> {
        Bytes { done_bytes, total_bytes, part: Part { index, of } }.percent()
    }

    #[test]
    fn the_percentage_is_that_of_the_step_and_not_of_its_part() {
        assert_eq!(percent(50, Some(200), 0, 1), Some(25));
        assert_eq!(percent(200, Some(200), 0, 2), Some(50));
        assert_eq!(percent(100, Some(200), 1, 2), Some(75));
    }

    #[test]
    fn what_is_not_known_has_no_percentage_and_none_is_beyond_a_hundred() {
        assert_eq!(percent(50, None, 0, 1), None);
        assert_eq!(percent(0, Some(0), 0, 1), None);
        assert_eq!(percent(300, Some(200), 0, 1), Some(100));
        assert_eq!(percent(u64::MAX, Some(u64::MAX), 0, 1), Some(100));
    }
}

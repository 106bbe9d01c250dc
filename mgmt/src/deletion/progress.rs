//! How far a deletion is, for people and for errors.

use std::collections::HashSet;

use gantry_common::{
    error::ErrorKind,
    id::{JobUuid, NicUuid},
};

use super::{
    checks::some_of,
    plan::{Fate, Part},
};
use crate::{failure::Failure, store::Tx};

/// The parts of a deletion, each with whether it is done.
pub struct Progress {
    /// The parts in order.
    pub parts: Vec<(Part, bool)>,
}

pub fn unreadable(error: serde_json::Error) -> Failure {
    Failure::new(ErrorKind::Internal, format!("the plan of a deletion cannot be read: {error}"))
}

impl Progress {
    /// What is stored of a job.
    pub fn of(tx: &Tx<'_>, job: JobUuid) -> Result<Self, Failure> {
        let mut parts = Vec::new();
        for (part, is_done) in tx.parts_of(job)? {
            let part: Part = serde_json::from_value(part).map_err(unreadable)?;
            // What went with another part is done, too.
            let is_done = is_done || tx.row(&part.row)?.is_none();
            parts.push((part, is_done));
        }
        Ok(Self { parts })
    }

    /// How many parts are done.
    pub fn done(&self) -> usize {
        self.parts.iter().filter(|(_, is_done)| *is_done).count()
    }

    /// The interfaces that go as parts of their own.
    pub fn nics(&self) -> HashSet<NicUuid> {
        let removed = self.parts.iter().filter(|(part, _)| part.fate == Fate::Remove && part.row.resource == "VmNic");
        removed.filter_map(|(part, _)| part.row.key.first()?.parse().ok()).collect()
    }

    /// What was done and what is left, as errors say it.
    pub fn told(&self) -> String {
        let list = |wanted: bool| {
            let texts: Vec<String> = self
                .parts
                .iter()
                .filter(|(_, is_done)| *is_done == wanted)
                .map(|(part, _)| told(part, wanted))
                .collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            if texts.is_empty() { "nothing".to_owned() } else { some_of(&texts) }
        };
        format!("Done: {}. Left: {}", list(true), list(false))
    }
}

fn told(part: &Part, is_done: bool) -> String {
    match (part.fate, is_done) {
        (Fate::Stop, true) => format!("{} stopped", part.label),
        (Fate::Stop, false) => format!("stopping {}", part.label),
        (Fate::Unplug, true) => format!("interfaces of {} unplugged", part.label),
        (Fate::Unplug, false) => format!("unplugging interfaces of {}", part.label),
        (Fate::Remove, _) => part.label.clone(),
    }
}

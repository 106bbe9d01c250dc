//! Jobs of one resource run one after the other, in the order in which they were accepted.
//!
//! A job stands in the line of each of its resources from the moment of its acceptance, and runs when it is the first in
//! all of them. The lines all have the same order, so no two jobs can wait for each other, and nobody is overtaken.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The lines in front of all resources.
pub struct Queues {
    lines: Arc<Mutex<Lines>>,
}

#[derive(Default)]
struct Lines {
    next_number: u64,
    by_resource: HashMap<String, VecDeque<u64>>,
    waiting: HashMap<u64, Waiting>,
}

struct Waiting {
    /// In how many lines somebody is ahead.
    behind_in: usize,
    go: oneshot::Sender<()>,
}

/// A job's place in the lines of its resources; given up when it is dropped.
pub struct Ticket {
    number: u64,
    resources: Vec<String>,
    /// Nothing once it is the job's turn.
    turn: Option<oneshot::Receiver<()>>,
    lines: Arc<Mutex<Lines>>,
}

impl Queues {
    /// Empty lines, whose first place has this number.
    pub fn starting_at(next_number: u64) -> Self {
        Self { lines: Arc::new(Mutex::new(Lines { next_number, ..Lines::default() })) }
    }

    /// The next place in the lines of all these resources.
    pub fn queue(&self, resources: Vec<String>) -> Ticket {
        let mut lines = self.lines.lock();
        let number = lines.next_number;
        lines.next_number += 1;
        self.enter(&mut lines, number, resources)
    }

    /// The place that a job had before the node's restart. Such jobs come in their old order, and before all others.
    pub fn queue_again(&self, number: u64, resources: Vec<String>) -> Ticket {
        self.enter(&mut self.lines.lock(), number, resources)
    }

    fn enter(&self, lines: &mut Lines, number: u64, mut resources: Vec<String>) -> Ticket {
        resources.sort_unstable();
        resources.dedup();
        let mut behind_in = 0;
        for resource in &resources {
            let line = lines.by_resource.entry(resource.clone()).or_default();
            behind_in += usize::from(!line.is_empty());
            line.push_back(number);
        }
        let turn = (behind_in > 0).then(|| {
            let (go, turn) = oneshot::channel();
            lines.waiting.insert(number, Waiting { behind_in, go });
            turn
        });
        Ticket { number, resources, turn, lines: self.lines.clone() }
    }
}

impl Ticket {
    /// The place in the order of acceptance.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The resources in whose lines it stands, sorted.
    pub fn resources(&self) -> &[String] {
        &self.resources
    }

    /// Whether it is the job's turn.
    pub fn is_due(&mut self) -> bool {
        if self.turn.as_mut().is_some_and(|turn| turn.try_recv().is_ok()) {
            self.turn = None;
        }
        self.turn.is_none()
    }

    /// Waits for the job's turn.
    pub async fn turn(&mut self) {
        if let Some(turn) = self.turn.as_mut() {
            // The other end goes only when it is this job's turn, or with this ticket.
            let _ = turn.await;
            self.turn = None;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        let Lines { by_resource, waiting, .. } = &mut *lines;
        waiting.remove(&self.number);
        for resource in &self.resources {
            let Some(line) = by_resource.get_mut(resource) else { continue };
            let was_first = line.front() == Some(&self.number);
            line.retain(|number| *number != self.number);
            match line.front() {
                None => drop(by_resource.remove(resource)),
                Some(first) if was_first => {
                    let due = waiting.get_mut(first).is_some_and(|next| {
                        next.behind_in -= 1;
                        next.behind_in == 0
                    });
                    if due && let Some(next) = waiting.remove(first) {
                        // Who is not there any more gives its place up as well.
                        let _ = next.go.send(());
                    }
                }
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(resources: &[u8]) -> Vec<String> {
        resources.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_resource_is_worked_on_by_one_job_at_a_time() {
        let queues = Queues::starting_at(1);
        let first = queues.queue(names(&[1, 2, 1]));
        let mut second = queues.queue(names(&[2]));
        assert!(!second.is_due());
        assert!(queues.queue(names(&[3])).is_due());
        drop(first);
        second.turn().await;
        assert!(second.is_due());
    }

    #[test]
    fn a_job_that_waits_for_one_resource_is_not_overtaken_at_another() {
        let queues = Queues::starting_at(1);
        let first = queues.queue(names(&[1]));
        let mut second = queues.queue(names(&[1, 2]));
        let mut third = queues.queue(names(&[2]));
        assert!(!second.is_due() && !third.is_due());
        drop(first);
        assert!(second.is_due() && !third.is_due());
        drop(second);
        assert!(third.is_due());
    }

    #[test]
    fn a_line_that_nobody_stands_in_takes_no_memory() {
        let queues = Queues::starting_at(1);
        let tickets: Vec<_> = (0..100).map(|number| queues.queue(names(&[number % 7, number]))).collect();
        drop(tickets);
        let lines = queues.lines.lock();
        assert!(lines.by_resource.is_empty() && lines.waiting.is_empty());
    }

    proptest! {
        /// Whatever jobs want and in whatever order they end or give up: each runs as soon as nobody who was accepted
        /// before it is left at any of its resources, and not before.
        #[test]
        fn a_job_is_due_exactly_when_all_before_it_at_its_resources_have_gone(
            wanted in prop::collection::vec(prop::collection::vec(0..6u8, 0..4), 1..40),
            leaving in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let queues = Queues::starting_at(1);
            let mut there: Vec<(Vec<u8>, Ticket)> =
                wanted.iter().map(|resources| (resources.clone(), queues.queue(names(resources)))).collect();
            let check = |there: &mut Vec<(Vec<u8>, Ticket)>| {
                for at in 0..there.len() {
                    let (before, rest) = there.split_at_mut(at);
                    let (resources, ticket) = &mut rest[0];
                    let blocked = before.iter().any(|(theirs, _)| theirs.iter().any(|one| resources.contains(one)));
                    assert_eq!(ticket.is_due(), !blocked, "job {} of {}", ticket.number(), resources.len());
                }
            };
            check(&mut there);
            for index in leaving {
                if there.is_empty() {
                    break;
                }
                there.remove(index.index(there.len()));
                check(&mut there);
            }
            // Let only those end that run: all of them get their turn.
            while !there.is_empty() {
                let due = there.iter_mut().position(|(_, ticket)| ticket.is_due());
                there.remove(due.expect("no job is due, and some are left"));
                check(&mut there);
            }
        }
    }
}

//! Deleting a resource with everything that depends on it.
//!
//! [`rules`] says for every column that holds another resource's id what becomes of the row when that resource goes.
//! [`kinds`] says for every resource that goes by itself what it leaves on hosts and what is given back with it, in the
//! order in which they go. From these two, [`plan`] makes the parts of a deletion, [`checks`] finds what stands in their way,
//! and [`job`] carries them out. A new resource needs a line in each of the two tables.

mod carry_out;
mod checks;
mod job;
mod kinds;
mod plan;
mod progress;
mod rules;

pub use job::{Deletes, deletes};
pub use rules::{RULES, Rule, Then};

/// What happens when something is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is touched unless all of it can go, as far as that can be known; an error ends it.
    Permissive,
    /// It goes in any case: what hosts do not do now they owe.
    Enforcing,
}

impl Mode {
    /// The modes as callers write them.
    pub const TEXTS: &'static [&'static str] = &["Permissive", "Enforcing"];

    /// The mode of a call.
    pub fn of(delete_mode: Option<&str>) -> Self {
        if delete_mode == Some("Enforcing") { Self::Enforcing } else { Self::Permissive }
    }
}

#[cfg(test)]
mod tests;

//! The hosts: their certificates, the connection to each agent, and how hosts join.

pub mod fleet;
pub mod join;
pub mod link;
pub mod pki;
mod progress;
mod renewal;
mod watcher;

//! The node's front over real sockets: what it takes, what it refuses, and how it answers when there is too much to do.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that meets the unexpected ends")]

mod classic;
mod connection;
mod crowds;
#[allow(dead_code, reason = "each suite uses a part of it")]
#[path = "../served/node.rs"]
mod served_node;
mod sizes;
mod slow_clients;
mod standstill;

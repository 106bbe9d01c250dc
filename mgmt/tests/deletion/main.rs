//! Deletion follows dependencies, whatever there is, whatever is away, and wherever the node is killed.
#![allow(missing_docs, dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that meets the unexpected ends")]

#[path = "../hosts/double.rs"]
#[allow(dead_code, reason = "each suite uses a part of it")]
mod double;
mod hosts;
mod invariants;
mod inventory;
mod life;
mod property;
mod scenes;
#[path = "../hosts/wire.rs"]
mod wire;

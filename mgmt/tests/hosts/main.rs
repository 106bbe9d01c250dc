//! The connection between node and agent, over real TLS on the loopback interface. The host behind it is a double: what
//! is tested is everything between the two.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that meets the unexpected ends")]

mod commands;
mod connecting;
mod consoles;
#[allow(dead_code, reason = "each suite uses a part of it")]
mod double;
mod following;
mod joining;
mod renewal;
mod roles;
mod wire;

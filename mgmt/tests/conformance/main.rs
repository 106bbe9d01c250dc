//! Gantry's API is the published one: each declaration is compared with the reference's facts in `operations.json`, and
//! each operation is called over HTTP on a node that runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that meets the unexpected ends")]

mod admission;
mod answers;
mod api;
mod calls;
mod coverage;
mod declarations;
mod differences;
mod reference;
mod replies;
#[allow(dead_code, reason = "each suite uses a part of it")]
#[path = "../served/node.rs"]
mod served_node;

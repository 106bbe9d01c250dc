//! Onboarding against real hosts with a real sshd (tests/lab). Each test boots its own; they run one at a time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that meets the unexpected ends")]

mod agent;
mod deploying;
mod interrupted;
mod judging;
mod lab;
mod reaching;

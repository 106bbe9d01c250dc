//! Jobs as their callers see them: progress, results that are posted, repeated calls, cancelling, long jobs, crashes. A
//! node in this process, or the real program where it is killed; behind it a host whose images are handled by the real
//! agent's code, and a web server that is as slow as a test wants it.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that meets the unexpected ends")]

mod cancelling;
mod client;
mod crash;
#[path = "../hosts/double.rs"]
#[allow(dead_code, reason = "the tests of the connection use the rest")]
mod double;
mod image_stores;
mod image_web;
mod limits;
mod long_jobs;
mod order;
mod posting;
mod process;
mod progress;
mod receiver;
mod repeats;
mod site;

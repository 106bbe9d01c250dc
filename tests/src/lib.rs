//! What the scenarios in `tests/` are told with: a lab of real hosts, the real management node, and a client that
//! speaks to it as a user's would.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

mod browser;
mod by_name;
mod calls;
mod client;
mod crash;
mod footprint;
mod guest;
mod guest_agent;
mod image_server;
mod lab;
mod management;
mod patience;
mod published_client;
mod site;

pub use browser::{Browser, Page};
pub use by_name::operations;
pub use calls::uncalled;
pub use client::{ApiError, Call, Client, digest, text};
pub use crash::{all_connected, at_every_step, crash_midway, nothing_is_left_since};
pub use footprint::Footprint;
pub use guest::{Console, userdata_tag};
pub use image_server::{ImageServer, serve_by_halves};
pub use lab::{Kind, Lab, LabHost, PASSWORD};
pub use management::{ADMIN_PASSWORD, Management, program};
pub use patience::{ALWAYS, AS_AN_EVENT, eventually};
pub use published_client::published_client_lives_through;
pub use site::{GUEST_MEMORY_BYTES, IMAGE_STORE, PRIMARY_STORAGE, Site};

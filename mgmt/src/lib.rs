//! Gantry's management node: inventory, REST API, jobs, scheduling, hosts.

pub mod clock;
pub mod failure;
pub mod onboarding;
pub mod query;
pub mod resource;
pub mod secret;
pub mod store;

//! Gantry's management node: inventory, REST API, jobs, scheduling, hosts.

pub mod onboarding;
pub mod secret;

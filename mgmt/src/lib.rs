//! Gantry's management node: inventory, REST API, jobs, scheduling, hosts.

pub mod clock;
pub mod failure;
pub mod hosts;
pub mod query;
pub mod resource;
pub mod store;

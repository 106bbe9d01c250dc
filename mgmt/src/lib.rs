//! Gantry's management node: inventory, REST API, jobs, scheduling, hosts.

pub mod hosts;

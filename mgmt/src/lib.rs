//! Gantry's management node: inventory, REST API, jobs, scheduling, hosts.

pub mod api;
pub mod audit;
pub mod background;
pub mod cleanup;
pub mod clock;
pub mod config;
pub mod console;
pub mod deletion;
pub mod failure;
pub mod hosts;
pub mod job;
pub mod network;
pub mod node;
pub mod notification;
pub mod onboarding;
pub mod operations;
pub mod password;
pub mod query;
pub mod resource;
pub mod seal;
pub mod secret;
pub mod settings;
pub mod store;
pub mod tags;
pub mod vm;
pub mod volume;

//! Gantry's host agent: carries out the management node's commands on one KVM host and streams what it observes.

pub mod agent;
pub mod check;
pub mod config;
pub mod errand;
pub mod host;
pub mod image;
pub mod join;
pub mod libvirt;
pub mod network;
mod program;
pub mod retire;
pub mod serve;
pub mod server;
pub mod storage;
pub mod vm;

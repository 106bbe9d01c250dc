//! The node through its HTTP interface. Its hosts are doubles behind real TLS.
#![allow(missing_docs, dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that meets the unexpected ends")]

mod accounts;
mod api;
mod audit;
mod changing;
mod clean_up;
#[path = "../hosts/double.rs"]
mod double;
mod expunging;
mod l3_networks;
mod notifications;
#[allow(dead_code, reason = "each suite uses a part of it")]
#[path = "../served/node.rs"]
mod served_node;
mod settings;
mod storages;
mod tags;
mod tenants;
#[path = "../hosts/wire.rs"]
mod wire;
mod world;

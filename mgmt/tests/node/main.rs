//! The node through its HTTP interface. Its hosts are doubles behind real TLS.
#![allow(missing_docs, dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that meets the unexpected ends")]

mod accounts;
mod affinity_groups;
mod api;
mod audit;
mod candidates;
mod changing;
mod clean_up;
mod consoles;
mod cpu_pinning;
#[path = "../hosts/double.rs"]
#[allow(dead_code, reason = "each suite uses a part of it")]
mod double;
mod expunging;
mod image_cache;
mod l3_networks;
mod local_volumes;
mod machine_addresses;
mod naming_hosts;
mod nics;
mod notifications;
#[allow(dead_code, reason = "each suite uses a part of it")]
#[path = "../served/node.rs"]
mod served_node;
mod settings;
mod sizes;
mod static_ips;
mod storages;
mod tags;
mod tenants;
mod volumes;
#[path = "../hosts/wire.rs"]
mod wire;
mod world;

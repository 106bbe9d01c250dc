//! The hosts: their certificates, the connection to each agent, how hosts join, and what becomes of what they say.

mod address;
mod capacity;
pub mod fleet;
mod host_tags;
pub mod join;
mod join_endpoint;
pub mod link;
mod looks;
mod naming;
mod observer;
pub mod pki;
mod prepare;
mod progress;
mod reach;
mod renewal;
mod slots;
mod vm_states;
mod watcher;

pub use address::{follow_machine, move_machine};
pub use capacity::*;
pub use join_endpoint::{join_endpoint, new_join_token};
pub use looks::Looks;
pub use naming::host_name;
pub use observer::Observer;
pub use prepare::{open_storages, prepare_host, refresh_network, release_host};
pub use reach::*;
pub use slots::Slots;
pub use vm_states::judge_deferred;

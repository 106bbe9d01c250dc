//! The host agent's interface: commands the management node sends, events the agent streams back.
//!
//! [`HostAgent`] has two implementers, the real agent and the simulated one; both are served by the same transport.

mod connection;
mod errand;
mod error;
mod event;
mod host;
mod image;
mod image_store;
mod interface;
mod network;
mod storage;
mod transfer;
mod vm;

pub use connection::*;
pub use errand::*;
pub use error::*;
pub use event::*;
pub use host::*;
pub use image::*;
pub use image_store::*;
pub use interface::*;
pub use network::*;
pub use storage::*;
pub use transfer::*;
pub use vm::*;

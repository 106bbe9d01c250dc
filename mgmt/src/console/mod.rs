//! VMs' consoles in the browser. The node is its own console proxy.
//!
//! RequestConsoleAccess hands out an address with a token; the `page` there opens a WebSocket with it (`socket`), and what
//! passes on it goes to the VM's host as a stream of the host's one connection. No port of a host is involved.
//!
//! - `access`: tokens, each for one console, once
//! - `viewer`: one WebSocket, and what moves between it and the VM
//! - `ending`: why a console ends, as its viewer is told
//! - `open`: the consoles that are open
//! - `proxy`: the node's own record as a console proxy agent
//! - `page`, `novnc`: what the browser loads

mod access;
mod ending;
mod novnc;
mod open;
mod page;
mod proxy;
mod socket;
mod viewer;

use std::sync::Arc;

use axum::{Router, routing::get};

pub use access::{issue, screen_host};
pub use ending::Ending;
pub use open::Consoles;
pub use proxy::{proxy, record_proxy};

use crate::node::Node;

/// The path of the page below the node's address.
pub const PAGE: &str = "/console";

/// The page, its parts, and the WebSocket, at the path where noVNC and its like look for one.
pub fn routes() -> Router<Arc<Node>> {
    page::routes().merge(novnc::routes()).route("/websockify", get(socket::open))
}

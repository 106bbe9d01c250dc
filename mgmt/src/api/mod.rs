//! The REST front: declarations of operations, and everything that follows from them.

mod admission;
mod call;
mod chapter;
mod classic;
mod declaration;
mod docs;
mod limits;
mod listener;
pub mod openapi;
mod operation;
mod parameter;
mod principal;
mod reply;
mod request;
mod rights;
mod router;
mod schema;
mod server;
mod session;
mod turns;

pub use call::*;
pub use chapter::*;
pub use declaration::*;
pub use limits::Limits;
pub use listener::serve;
pub use operation::*;
pub use parameter::*;
pub use principal::*;
pub use reply::*;
pub use request::*;
pub use rights::*;
pub use router::*;
pub use server::*;
pub use session::*;
pub use turns::{Turn, Turns};

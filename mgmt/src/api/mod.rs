//! The REST front: declarations of operations, and everything that follows from them.

mod chapter;
mod declaration;
mod operation;
mod parameter;
mod reply;
mod request;
mod router;
mod server;
mod session;

pub use chapter::*;
pub use declaration::*;
pub use operation::*;
pub use parameter::*;
pub use reply::*;
pub use request::*;
pub use router::*;
pub use server::*;
pub use session::*;

//! libvirt: connections, calls with deadlines, events, and domain XML.

mod acceleration;
mod connection;
pub mod domain_xml;
mod error;
mod executor;
pub mod ffi;

pub use acceleration::acceleration;
pub use connection::{EventConnection, Link, SYSTEM_URI};
pub use error::{failed, if_found, is_gone};
pub use executor::{Executor, Pending};

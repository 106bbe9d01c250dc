//! What Gantry's two programs share: typed ids, error codes, and the host agent's interface. No I/O happens here.

pub mod agent;
pub mod catalogue;
pub mod certificate;
pub mod cpu_set;
pub mod error;
pub mod host_check;
pub mod id;
pub mod join;
pub mod net;
pub mod role;

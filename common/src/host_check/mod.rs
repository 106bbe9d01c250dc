//! Is this machine fit to be a KVM host? One probe, one reading of it, one set of rules, used by `gantry-agent check`
//! on the host itself and by the management node over SSH before it changes anything.
//!
//! [`PROBE`] runs on the host and prints what it finds, [`ProbedHost::parse`] reads that, [`check_host`] judges it.

mod facts;
mod finding;
mod packages;
mod rules;
mod types;

pub use facts::ProbeError;
pub use finding::{Check, Finding, HostPolicy, Severity};
pub use packages::{Component, PackageManager};
pub use rules::{LIBVIRT_MIN, QEMU_MIN, check_host};
pub use types::*;

/// The POSIX shell script that prints the facts. It takes no input, changes nothing, and needs no other file.
pub const PROBE: &str = include_str!("probe.sh");

/// How much the probe may print; more is no probe's output.
pub const PROBE_OUTPUT_MAX_BYTES: usize = 64 * 1024;

//! Making a machine a KVM host over SSH with a password.
//!
//! ```text
//! HostSession::connect ── pins the host key, logs in
//!     .check           ── probes the host and judges it; changes nothing
//!     .install         ── packages that are missing, libvirt enabled and started
//!     .deploy          ── program, certificates, configuration, unit; all or nothing
//!     .commit          ── once the agent's stream is up: what was there before is forgotten
//!     .withdraw        ── or: everything back to what was there before
//! ```
//!
//! Each step may be repeated, in this session or a later one, whatever became of the one before. No text that is run
//! on the host is built from input: scripts are constants, and values reach them on standard input.

mod address;
mod deploy;
mod error;
mod host_key;
mod install;
mod outcome;
mod program;
mod remote;
mod session;
mod ssh;
mod sudo;

pub use address::{HostAddress, InvalidAddress};
pub use deploy::{Changed, Deployment};
pub use error::OnboardingError;
pub use host_key::{HostKey, InvalidHostKey};
pub use install::InstallPlan;
pub use program::AgentProgram;
pub use session::{Checked, HostSession};
pub use ssh::SshTarget;

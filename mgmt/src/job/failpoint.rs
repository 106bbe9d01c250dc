//! A point at which the node ends as if it were killed: how tests prove that every step survives it.

use std::str::FromStr;

/// After which stored step of which operation the node ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailPoint {
    operation: String,
    stored_steps: usize,
}

impl FromStr for FailPoint {
    type Err = String;

    /// Reads `CreateVmInstance:3`; 0 is the moment after the call was accepted.
    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("'{text}' is not a fail point such as CreateVmInstance:3");
        let (operation, steps) = text.split_once(':').ok_or_else(invalid)?;
        Ok(Self { operation: operation.to_owned(), stored_steps: steps.parse().map_err(|_| invalid())? })
    }
}

impl FailPoint {
    /// Ends the process with SIGKILL if this is the point.
    pub(super) fn reached(&self, operation: &str, stored_steps: usize) {
        if self.operation == operation && self.stored_steps == stored_steps {
            tracing::warn!(operation, stored_steps, "the fail point is reached: the process ends now");
            if let Err(error) = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL) {
                tracing::error!(%error, "the process could not end itself");
            }
        }
    }
}

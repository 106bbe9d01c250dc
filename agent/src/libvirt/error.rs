//! libvirt's errors as the agent's.

use gantry_common::agent::AgentError;
use virt::error::Error;
use virt_sys as sys;

/// Turns an error of the libvirt function `operation` into the agent's.
pub fn failed(operation: &'static str) -> impl Fn(Error) -> AgentError {
    move |error| AgentError::Libvirt {
        operation: operation.to_owned(),
        code: number(&error),
        message: error.message().to_owned(),
    }
}

/// `None` where libvirt says that there is no such domain.
pub fn if_found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code().to_raw() == sys::VIR_ERR_NO_DOMAIN => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether `error` says that the domain is not there, or not running, any more.
pub fn is_gone(error: &AgentError) -> bool {
    const GONE: [u32; 2] = [sys::VIR_ERR_NO_DOMAIN, sys::VIR_ERR_OPERATION_INVALID];
    matches!(error, AgentError::Libvirt { code, .. } if GONE.iter().any(|gone| *gone as i32 == *code))
}

/// The number is kept even where `virt` has no name for it.
fn number(error: &Error) -> i32 {
    error.code().to_raw() as i32
}

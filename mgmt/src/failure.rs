//! Why an operation failed, on its way from where it happened to the caller.

use gantry_common::{
    agent::AgentError,
    error::{ErrorCode, ErrorKind},
};

use crate::store::StoreError;

/// A failed operation: its kind, which fixes code and status, and its text.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{details}")]
pub struct Failure {
    /// The kind of error.
    pub kind: ErrorKind,
    /// What was asked, what stood in the way, what to do about it.
    pub details: String,
    /// What led to it.
    pub cause: Option<Box<ErrorCode>>,
}

impl Failure {
    /// A failure of that kind.
    pub fn new(kind: ErrorKind, details: impl Into<String>) -> Self {
        Self { kind, details: details.into(), cause: None }
    }

    /// A parameter that cannot be used: which, its value, and what would be accepted.
    pub fn argument(name: &str, value: impl std::fmt::Display, remedy: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidArgument, format!("{name} '{value}' is not usable: {remedy}"))
    }

    /// A named resource that does not exist.
    pub fn not_found(resource: &str, parameter: &str, uuid: impl std::fmt::Display) -> Self {
        Self::new(
            ErrorKind::ResourceNotFound,
            format!("{parameter} '{uuid}' names no {resource}: use Query{resource} to see which exist"),
        )
    }

    /// The same failure with what led to it.
    #[must_use]
    pub fn caused_by(mut self, cause: &Self) -> Self {
        self.cause = Some(Box::new(cause.to_wire()));
        self
    }

    /// The wire form.
    pub fn to_wire(&self) -> ErrorCode {
        ErrorCode { cause: self.cause.clone(), ..self.kind.with(self.details.clone()) }
    }

    /// The body of an error answer.
    pub fn to_body(&self) -> serde_json::Value {
        serde_json::json!({ "error": self.to_wire() })
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Closed => ErrorKind::Busy,
            StoreError::BeingDeleted { .. } => ErrorKind::StateForbids,
            error if error.is_duplicate() => ErrorKind::Duplicate,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        let kind = match &error {
            AgentError::InUse { .. } => ErrorKind::ResourceInUse,
            AgentError::Cancelled => ErrorKind::Cancelled,
            AgentError::Timeout { .. } => ErrorKind::Timeout,
            AgentError::NoSpace { .. } => ErrorKind::NoStorageCapacity,
            AgentError::VmState { .. } => ErrorKind::StateForbids,
            _ => ErrorKind::HostCommand,
        };
        Self::new(kind, error.to_string())
    }
}

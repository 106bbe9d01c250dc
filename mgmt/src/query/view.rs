//! Whose eyes a query sees with.

use gantry_common::id::AccountUuid;

/// Whose eyes a query sees with. What is not seen is as if it were not there: no condition finds it, no count counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Everything is seen.
    Operator,
    /// What this account sees: see [`Scope`](crate::resource::Scope).
    Account(AccountUuid),
}

/// What an account may do with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// See it, and use it for its own resources.
    See,
    /// Change it.
    Own,
}

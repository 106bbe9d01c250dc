//! Two callers at once.

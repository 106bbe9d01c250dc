//! Who called what: an addition to the published API.

use crate::{
    api::{Operation, query},
    operation,
    resource::AuditedCall,
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![query::<QueryAudit>(AuditedCall::declaration)]
}

operation! {
    /// Queries the calls that changed something or were refused. Not part of the published reference.
    QueryAudit, "2.6", Get "/audits" | "/audits/{uuid}", Sync -> [AuditedCall]; {}
}

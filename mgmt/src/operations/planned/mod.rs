//! Operations that are declared but not carried out yet, by the chapters of the published reference. Their calls are
//! checked like any other's and then refused. To carry one out, move its declaration beside its handler.

use std::sync::LazyLock;

use crate::api::{Declaration, Draft, Handler, InventoryDraft, Operation};

/// The files of this folder.
const PLANNED: &[&[Draft]] = &[];

/// What they answer with, where it is no declared resource.
pub const INVENTORIES: &[&[InventoryDraft]] = &[];

/// Every operation that is declared only.
pub fn operations() -> Vec<Operation> {
    static DECLARATIONS: LazyLock<Vec<Declaration>> =
        LazyLock::new(|| PLANNED.iter().copied().flatten().map(Draft::finish).collect());
    DECLARATIONS.iter().map(|declaration| Operation { declaration, handler: Handler::Planned }).collect()
}

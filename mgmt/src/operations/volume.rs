//! 3.2: volumes.

use crate::{
    api::{Operation, query},
    operation,
    resource::Volume,
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![query::<QueryVolume>(Volume::declaration)]
}

operation! {
    /// Queries volumes.
    QueryVolume, "3.2.8", Get "/volumes" | "/volumes/{uuid}", Sync -> [Volume]; {}
}

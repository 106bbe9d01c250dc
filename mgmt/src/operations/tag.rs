//! 11.2: tags.

use crate::{
    api::{Operation, query},
    operation,
    resource::{SystemTag, UserTag},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![query::<QuerySystemTag>(SystemTag::declaration), query::<QueryUserTag>(UserTag::declaration)]
}

operation! {
    /// Queries system tags.
    QuerySystemTag, "11.2.2", Get "/system-tags" | "/system-tags/{uuid}", Sync -> [SystemTag]; {}
}

operation! {
    /// Queries user tags.
    QueryUserTag, "11.2.5", Get "/user-tags" | "/user-tags/{uuid}", Sync -> [UserTag]; {}
}

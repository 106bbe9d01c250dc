//! System and user tags.

use gantry_common::id::TagUuid;

use super::Declaration;
use crate::{clock::Timestamp, resource};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] = &[SystemTag::declaration, UserTag::declaration];

resource! {
    /// A tag that means something to Gantry.
    SystemTag, table "system_tag", class "org.zstack.header.tag.SystemTagInventory", about "resource_uuid" {
        /// Its id.
        uuid: TagUuid,
        /// The tagged resource.
        resource_uuid: String,
        /// The tagged resource's type, such as `VmInstanceVO`.
        resource_type: String,
        /// The tag, such as `hostname::web-1`.
        tag: String,
        /// `System`.
        kind as "type": String,
        /// Whether it cannot be deleted alone.
        inherent: bool,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
}

resource! {
    /// A tag that means something to its user.
    UserTag, table "user_tag", class "org.zstack.header.tag.UserTagInventory", about "resource_uuid" {
        /// Its id.
        uuid: TagUuid,
        /// The tagged resource.
        resource_uuid: String,
        /// The tagged resource's type, such as `VmInstanceVO`.
        resource_type: String,
        /// The tag.
        tag: String,
        /// `User`.
        kind as "type": String,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
}

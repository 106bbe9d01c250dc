//! The management node itself.

use gantry_common::id::NodeUuid;

use super::Declaration;
use crate::{clock::Timestamp, resource};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] = &[ManagementNode::declaration];

resource! {
    /// A management node.
    ManagementNode, table "management_node", class "org.zstack.header.managementnode.ManagementNodeInventory" {
        /// Its id.
        uuid: NodeUuid,
        /// The name or address of its machine.
        host_name: String,
        /// When it was started.
        join_date: Timestamp,
        /// When it last noted that it is there.
        heart_beat: Timestamp,
    }
}

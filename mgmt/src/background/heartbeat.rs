//! The node's sign of life in the inventory.

use std::sync::Arc;

use crate::{clock::Timestamp, failure::Failure, node::Node, resource::ManagementNode};

/// Notes that the node is there.
pub async fn beat(node: Arc<Node>) -> Result<(), Failure> {
    let uuid = node.uuid;
    node.store
        .write(move |tx| {
            if let Some(known) = tx.get::<ManagementNode>(uuid)? {
                tx.save(&ManagementNode { heart_beat: Timestamp::now(), ..known })?;
            }
            Ok(())
        })
        .await
}

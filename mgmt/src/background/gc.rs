//! Asking connected hosts again for the clean-up that they owe.

use std::sync::Arc;

use crate::{cleanup, clock::Timestamp, failure::Failure, node::Node};

/// Has connected hosts do what they owe, and forgets what was done long ago.
pub async fn collect(node: Arc<Node>) -> Result<(), Failure> {
    for machine in node.store.read(|tx| tx.owing_machines().map_err(Failure::from)).await? {
        if node.fleet.is_connected(machine) {
            cleanup::settle(&node, machine).await?;
        }
    }
    let kept_from = Timestamp::now().minus(node.settings.now().gc_retention);
    node.store.write(move |tx| tx.drop_done_cleanups(kept_from).map(drop).map_err(Failure::from)).await
}

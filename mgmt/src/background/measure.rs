//! Asking connected hosts how full their storages are.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::{
    failure::Failure,
    hosts,
    node::Node,
    resource::{ConnectionStatus, Machine},
    store::SqlValue,
};

/// How many hosts are asked at the same time.
const AT_ONCE: usize = 16;

/// Measures the storages of all connected hosts.
pub async fn measure_storages(node: Arc<Node>) -> Result<(), Failure> {
    let connected = [("status", ConnectionStatus::Connected.to_sql())];
    let machines = node.store.read(move |tx| Ok::<_, Failure>(tx.find::<Machine>(&connected)?)).await?;
    stream::iter(machines)
        .for_each_concurrent(AT_ONCE, async |machine| {
            if let Err(failure) = hosts::open_storages(&node, machine.uuid).await {
                tracing::warn!(host = %machine.uuid, error = %failure, "the host's storages could not be measured");
            }
        })
        .await;
    Ok(())
}

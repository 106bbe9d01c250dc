//! Clean-up on hosts that must happen some time: at once where the host answers, else when it is back.

use std::sync::Arc;

use gantry_common::{
    agent::{DeleteImage, DeleteVolume, EvictImage, RemoveBridge, RemoveNetwork, StopMode, StopVm},
    error::ErrorKind,
    id::{HostUuid, OperationId, VmUuid},
};
use serde::{Deserialize, Serialize};

use crate::{failure::Failure, node::Node};

/// What is to be removed from a host. Each is a success where there is nothing left to remove.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "what", content = "command", rename_all = "camelCase")]
pub enum Cleanup {
    /// A volume's file.
    Volume(DeleteVolume),
    /// An image store's file.
    Image(DeleteImage),
    /// A cached image's file.
    CachedImage(EvictImage),
    /// A VM that must not run.
    Vm(VmUuid),
    /// A bridge.
    Bridge(RemoveBridge),
    /// An L3 network's services.
    Network(RemoveNetwork),
}

/// Cleans up now, or notes that the host owes it. Fails only if the host answers and refuses.
pub async fn clean_up(node: &Arc<Node>, machine: HostUuid, cleanup: Cleanup) -> Result<(), Failure> {
    if node.fleet.is_connected(machine) {
        match carry_out(node, machine, cleanup.clone()).await {
            Err(failure) if failure.kind == ErrorKind::HostDisconnected => {}
            done => return done,
        }
    }
    let command =
        serde_json::to_value(&cleanup).map_err(|error| Failure::new(ErrorKind::Internal, error.to_string()))?;
    tracing::warn!(host = %machine, %command, "the host is away: it owes a clean-up");
    node.store.write(move |tx| tx.owe_cleanup(machine, &command).map_err(Failure::from)).await
}

/// Has a machine that is back do what it owes. What it refuses stays owed.
pub async fn settle(node: &Arc<Node>, machine: HostUuid) -> Result<(), Failure> {
    for (id, command) in node.store.read(move |tx| tx.owed_cleanups(machine).map_err(Failure::from)).await? {
        let outcome = match serde_json::from_value::<Cleanup>(command.clone()) {
            Ok(cleanup) => carry_out(node, machine, cleanup).await,
            Err(error) => Err(Failure::new(ErrorKind::Internal, error.to_string())),
        };
        match outcome {
            Ok(()) => node.store.write(move |tx| tx.cleanup_done(id).map_err(Failure::from)).await?,
            Err(failure) => {
                tracing::error!(host = %machine, %command, error = %failure, "an owed clean-up failed; it stays owed");
            }
        }
    }
    Ok(())
}

async fn carry_out(node: &Arc<Node>, machine: HostUuid, cleanup: Cleanup) -> Result<(), Failure> {
    let operation = OperationId::random();
    match cleanup {
        Cleanup::Volume(command) => node.call(machine, operation, command).await,
        Cleanup::Image(command) => node.call(machine, operation, command).await,
        Cleanup::CachedImage(command) => node.call(machine, operation, command).await,
        Cleanup::Vm(vm) => node.call(machine, operation, StopVm { vm, mode: StopMode::Force }).await.map(drop),
        Cleanup::Bridge(command) => node.call(machine, operation, command).await,
        Cleanup::Network(command) => node.call(machine, operation, command).await,
    }
}

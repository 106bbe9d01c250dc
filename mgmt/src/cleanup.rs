//! Clean-up on hosts that must happen some time: at once where the host answers, else when it is back.

use std::sync::Arc;

use gantry_common::{
    agent::{
        DeleteImage, DeleteVolume, DetachDisk, EndExport, EvictImage, RemoveBridge, RemoveNetwork, StopMode, StopVm,
    },
    error::ErrorKind,
    id::{GcJobUuid, HostUuid, NodeUuid, OperationId, VmUuid},
};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    failure::Failure,
    network,
    node::Node,
    notification::Notice,
    resource::{GcJob, GcStatus, Host, ImageBackupStorageRef, NotificationType, VmInstance, VmNic, Volume},
    store::{SqlValue, Tx},
    vm::is_in_hand,
};

/// What is to be removed from a host. Each is a success where there is nothing left to remove.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "what", content = "command", rename_all = "camelCase")]
pub enum Cleanup {
    /// A volume's file.
    Volume(DeleteVolume),
    /// An image store's file.
    Image(DeleteImage),
    /// The serving of an image.
    Export(EndExport),
    /// A cached image's file.
    CachedImage(EvictImage),
    /// A VM that must not run.
    Vm(VmUuid),
    /// A volume's disk in a VM that runs.
    Disk(DetachDisk),
    /// A bridge.
    Bridge(RemoveBridge),
    /// An L3 network's services.
    Network(RemoveNetwork),
}

impl Cleanup {
    /// What it is called, and what it is about.
    fn describe(&self) -> (&'static str, String) {
        match self {
            Self::Volume(command) => ("volume", command.path.clone()),
            Self::Image(command) => ("image", command.path.clone()),
            Self::Export(command) => ("export", command.path.clone()),
            Self::CachedImage(command) => ("cachedImage", command.path.clone()),
            Self::Vm(vm) => ("vm", vm.to_string()),
            Self::Disk(command) => ("disk", command.volume.to_string()),
            Self::Bridge(command) => ("bridge", command.bridge.name.clone()),
            Self::Network(command) => ("network", command.l3_network.to_string()),
        }
    }

    /// The record of it, for a machine that owes it to the node.
    fn owed_by(&self, machine: HostUuid, node: NodeUuid) -> Result<GcJob, Failure> {
        let (what, subject) = self.describe();
        let now = Timestamp::now();
        Ok(GcJob {
            uuid: GcJobUuid::random(),
            name: format!("gc-{what}-{subject}-on-host-{machine}"),
            runner_class: what.to_owned(),
            context: serde_json::to_string(self).map_err(unreadable)?,
            status: GcStatus::Idle,
            management_node_uuid: node,
            kind: "EventBased".to_owned(),
            create_date: now,
            last_op_date: now,
            machine_uuid: machine,
            attempts: 0,
        })
    }
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure::new(ErrorKind::Internal, format!("an owed clean-up cannot be read: {error}"))
}

/// Cleans up now, or notes that the host owes it. Fails only if the host answers and refuses.
pub async fn clean_up(node: &Arc<Node>, machine: HostUuid, cleanup: Cleanup) -> Result<(), Failure> {
    if node.fleet.is_connected(machine) {
        match carry_out(node, machine, cleanup.clone()).await {
            Err(failure) if failure.kind == ErrorKind::HostDisconnected => {}
            done => return done,
        }
    }
    let job = cleanup.owed_by(machine, node.uuid)?;
    tracing::warn!(host = %machine, gc_job = job.name, "the host is away: it owes a clean-up");
    node.store.write(move |tx| tx.insert(&job).map_err(Failure::from)).await
}

/// Cleans up now, or notes that the machine owes it, also where it refuses: what it belonged to is gone already, and nothing
/// is undone for its sake.
pub async fn clean_up_some_time(node: &Arc<Node>, machine: HostUuid, cleanup: Cleanup) {
    let Err(failure) = clean_up(node, machine, cleanup.clone()).await else { return };
    tracing::warn!(host = %machine, ?cleanup, error = %failure, "a clean-up failed: the host owes it");
    let owed = async {
        let job = cleanup.owed_by(machine, node.uuid)?;
        node.store.write(move |tx| tx.insert(&job).map_err(Failure::from)).await
    };
    if let Err(failure) = owed.await {
        tracing::error!(host = %machine, error = %failure, "an owed clean-up could not be noted");
    }
}

/// Has a connected machine do what it owes, in the order in which it was due. What it refuses stays owed.
pub async fn settle(node: &Arc<Node>, machine: HostUuid) -> Result<(), Failure> {
    let most = node.settings.now().gc_max_attempts;
    for uuid in node.store.read(move |tx| tx.owed_cleanups(machine, most).map_err(Failure::from)).await? {
        if let Err(failure) = attempt(node, uuid).await {
            tracing::error!(host = %machine, gc_job = %uuid, error = %failure, "an owed clean-up failed; it stays owed");
        }
    }
    Ok(())
}

/// How an attempt at an owed clean-up ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It is done.
    Done,
    /// It did not wait to be done: somebody else has it in hand, or it is done, or it is gone.
    NotWaiting,
}

/// Does an owed clean-up. An attempt that the machine did not hear of does not count.
pub async fn attempt(node: &Arc<Node>, uuid: GcJobUuid) -> Result<Attempt, Failure> {
    let begun = node.store.write(move |tx| tx.begin_cleanup(uuid).map_err(Failure::from)).await?;
    let Some(job) = begun else { return Ok(Attempt::NotWaiting) };
    let outcome = match serde_json::from_str::<Cleanup>(&job.context) {
        Ok(cleanup) => overtaken_or_done(node, job.machine_uuid, cleanup).await,
        Err(error) => Err(unreadable(error)),
    };
    let (status, attempts) = match &outcome {
        Ok(()) => (GcStatus::Done, job.attempts),
        Err(failure) if failure.kind == ErrorKind::HostDisconnected => (GcStatus::Idle, job.attempts),
        Err(_) => (GcStatus::Idle, job.attempts.saturating_add(1)),
    };
    let settings = node.settings.now();
    let given_up = match &outcome {
        Err(failure) if attempts > job.attempts && attempts == settings.gc_max_attempts => Some(
            Notice::new(
                NotificationType::Error,
                "the clean-up %s was tried %s times and is given up: %s; TriggerGCJob tries it again",
                [job.name.clone(), attempts.to_string(), failure.to_string()],
            )
            .about::<GcJob>(uuid),
        ),
        _ => None,
    };
    node.store
        .write(move |tx| {
            tx.save(&GcJob { status, attempts, last_op_date: Timestamp::now(), ..job })?;
            given_up.map_or(Ok(()), |notice| notice.record(tx, &settings))
        })
        .await?;
    outcome.map(|()| Attempt::Done)
}

/// Carries out an owed clean-up, unless the host has since come to need what it would remove.
async fn overtaken_or_done(node: &Arc<Node>, machine: HostUuid, cleanup: Cleanup) -> Result<(), Failure> {
    let asked = cleanup.clone();
    if node.store.read(move |tx| is_overtaken(tx, machine, &asked)).await? {
        tracing::info!(host = %machine, ?cleanup, "the host needs again what was to be removed: it stays");
        return Ok(());
    }
    carry_out(node, machine, cleanup).await
}

fn is_overtaken(tx: &Tx<'_>, machine: HostUuid, cleanup: &Cleanup) -> Result<bool, Failure> {
    if let Cleanup::Export(command) = cleanup {
        let copies = tx.find::<ImageBackupStorageRef>(&[("install_path", command.path.to_sql())])?;
        return Ok(copies.iter().any(|copy| copy.export_url.is_some()));
    }
    let Some(host) = tx.get::<Host>(machine)? else { return Ok(false) };
    let is_here = |vm: Option<VmInstance>| vm.is_some_and(|vm| vm.host_uuid == Some(machine));
    match cleanup {
        // The path of a file is never used again.
        Cleanup::Volume(_) | Cleanup::Image(_) | Cleanup::CachedImage(_) | Cleanup::Export(_) => Ok(false),
        // One that a job has in hand may be the very one that the job wants stopped.
        Cleanup::Vm(vm) => {
            let vm = tx.get::<VmInstance>(*vm)?.filter(|vm| !is_in_hand(vm.state));
            Ok(is_here(vm))
        }
        // The VM was given the volume again.
        Cleanup::Disk(command) => {
            Ok(tx.get::<Volume>(command.volume)?.is_some_and(|volume| volume.vm_instance_uuid == Some(command.vm)))
        }
        Cleanup::Bridge(command) => {
            let attached = network::l2_networks_of_cluster(tx, host.cluster_uuid)?;
            Ok(attached.iter().any(|l2| l2.uuid == command.bridge.l2_network))
        }
        Cleanup::Network(command) => {
            for nic in tx.find::<VmNic>(&[("l3_network_uuid", command.l3_network.to_sql())])? {
                if is_here(tx.get::<VmInstance>(nic.vm_instance_uuid)?) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

async fn carry_out(node: &Arc<Node>, machine: HostUuid, cleanup: Cleanup) -> Result<(), Failure> {
    let operation = OperationId::random();
    match cleanup {
        Cleanup::Volume(command) => node.call(machine, operation, command).await,
        Cleanup::Image(command) => node.call(machine, operation, command).await,
        Cleanup::Export(command) => node.call(machine, operation, command).await,
        Cleanup::CachedImage(command) => node.call(machine, operation, command).await,
        Cleanup::Vm(vm) => node.call(machine, operation, StopVm { vm, mode: StopMode::Force }).await.map(drop),
        Cleanup::Disk(command) => node.call(machine, operation, command).await,
        Cleanup::Bridge(command) => node.call(machine, operation, command).await,
        Cleanup::Network(command) => node.call(machine, operation, command).await,
    }
}

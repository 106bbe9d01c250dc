//! Clean-up on hosts that must happen some time: at once where the host answers, else when it is back.

use std::sync::Arc;

use gantry_common::{
    agent::{
        DeleteImage, DeleteVolume, DetachDisk, EndExport, EvictImage, RemoveBridge, RemoveNetwork, Retire, SetDiscs,
        SetNics, StopMode, StopVm,
    },
    error::ErrorKind,
    id::{GcJobUuid, HostUuid, NodeUuid, OperationId, VmUuid},
};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    failure::Failure,
    hosts::is_needed,
    network,
    node::Node,
    notification::Notice,
    operations::evict_owed,
    resource::{GcJob, GcStatus, Host, ImageBackupStorageRef, Machine, NotificationType, VmInstance, VmNic, Volume},
    store::{SqlValue, Tx},
    vm::{self, is_in_hand},
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
    /// What a running VM has in its drives and on networks beyond what the inventory says, by now.
    Devices(VmUuid),
    /// The agent of a machine that is this node's no more. It comes last.
    Agent,
}

/// What the last clean-up of a machine is called.
const AGENT: &str = "agent";

impl Cleanup {
    /// What it is called, and what it is about.
    fn describe(&self, machine: HostUuid) -> (&'static str, String) {
        match self {
            Self::Volume(command) => ("volume", command.path.clone()),
            Self::Image(command) => ("image", command.path.clone()),
            Self::Export(command) => ("export", command.path.clone()),
            Self::CachedImage(command) => ("cachedImage", command.path.clone()),
            Self::Vm(vm) => ("vm", vm.to_string()),
            Self::Disk(command) => ("disk", command.volume.to_string()),
            Self::Bridge(command) => ("bridge", command.bridge.name.clone()),
            Self::Network(command) => ("network", command.l3_network.to_string()),
            Self::Devices(vm) => ("devices", vm.to_string()),
            Self::Agent => (AGENT, machine.to_string()),
        }
    }

    /// Whether nothing is lost and nobody harmed by it while it waits for a machine that is away.
    pub fn can_wait(&self) -> bool {
        match self {
            Self::Bridge(_) | Self::Network(_) | Self::CachedImage(_) | Self::Export(_) => true,
            Self::Volume(_) | Self::Image(_) | Self::Vm(_) | Self::Disk(_) | Self::Devices(_) | Self::Agent => false,
        }
    }

    /// The record of it, for a machine that owes it to the node.
    pub fn owed_by(&self, machine: HostUuid, node: NodeUuid) -> Result<GcJob, Failure> {
        let (what, subject) = self.describe(machine);
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
    tracing::warn!(host = %machine, ?cleanup, "the host is away");
    owe(node, machine, cleanup).await
}

/// Notes that a host owes a clean-up.
pub async fn owe(node: &Arc<Node>, machine: HostUuid, cleanup: Cleanup) -> Result<(), Failure> {
    let job = cleanup.owed_by(machine, node.uuid)?;
    tracing::warn!(host = %machine, gc_job = job.name, "the host owes a clean-up");
    node.store.write(move |tx| tx.insert(&job).map_err(Failure::from)).await
}

/// Cleans up now, or notes that the machine owes it, also where it refuses: what it belonged to is gone already, and nothing
/// is undone for its sake.
pub async fn clean_up_some_time(node: &Arc<Node>, machine: HostUuid, cleanup: Cleanup) {
    let Err(failure) = clean_up(node, machine, cleanup.clone()).await else { return };
    tracing::warn!(host = %machine, ?cleanup, error = %failure, "a clean-up failed");
    if let Err(failure) = owe(node, machine, cleanup).await {
        tracing::error!(host = %machine, error = %failure, "an owed clean-up could not be noted");
    }
}

/// Has a connected machine do what it owes, in the order in which it was due. What it refuses stays owed.
pub async fn settle(node: &Arc<Node>, machine: HostUuid) -> Result<(), Failure> {
    let most = node.settings.now().gc_max_attempts;
    for uuid in node.store.read(move |tx| tx.owed_cleanups(machine, most).map_err(Failure::from)).await? {
        if node.store.read(move |tx| comes_too_early(tx, uuid)).await? {
            tracing::warn!(host = %machine, gc_job = %uuid, "the machine's agent stays until the machine owes nothing else");
            continue;
        }
        if let Err(failure) = attempt(node, uuid).await {
            tracing::error!(host = %machine, gc_job = %uuid, error = %failure, "an owed clean-up failed; it stays owed");
        }
    }
    Ok(())
}

/// Whether a machine's agent is to go while it has other clean-ups to do.
fn comes_too_early(tx: &Tx<'_>, uuid: GcJobUuid) -> Result<bool, Failure> {
    let Some(job) = tx.get::<GcJob>(uuid)?.filter(|job| job.runner_class == AGENT) else { return Ok(false) };
    let idle = [("machine_uuid", job.machine_uuid.to_sql()), ("status", GcStatus::Idle.to_sql())];
    Ok(tx.find::<GcJob>(&idle)?.iter().any(|other| other.runner_class != AGENT))
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
    let (machine, has_left) = (job.machine_uuid, job.runner_class == AGENT && outcome.is_ok());
    let is_gone = node
        .store
        .write(move |tx| {
            tx.save(&GcJob { status, attempts, last_op_date: Timestamp::now(), ..job })?;
            given_up.map_or(Ok(()), |notice| notice.record(tx, &settings))?;
            if has_left { forget_machine(tx, machine) } else { Ok(false) }
        })
        .await?;
    if is_gone {
        // Whoever listens to the host must not wait for the end of listening.
        let node = node.clone();
        tokio::spawn(async move { node.fleet.forget(machine).await });
    }
    outcome.map(|()| Attempt::Done)
}

/// Forgets a machine, unless something is on it. Answers whether it is forgotten.
fn forget_machine(tx: &Tx<'_>, machine: HostUuid) -> Result<bool, Failure> {
    if is_needed(tx, machine, None)? {
        return Ok(false);
    }
    tx.forget_cleanups(machine)?;
    tx.delete::<Machine>(machine)?;
    Ok(true)
}

/// Drops an owed clean-up: what it was to remove stays. A machine whose agent was to go, and need not any more, is
/// forgotten; answers it.
pub fn drop_owed(tx: &Tx<'_>, job: &GcJob) -> Result<Option<HostUuid>, Failure> {
    tx.delete::<GcJob>(job.uuid)?;
    let is_forgotten = job.runner_class == AGENT && forget_machine(tx, job.machine_uuid)?;
    Ok(is_forgotten.then_some(job.machine_uuid))
}

/// Carries out an owed clean-up, unless the host has since come to need what it would remove.
async fn overtaken_or_done(node: &Arc<Node>, machine: HostUuid, cleanup: Cleanup) -> Result<(), Failure> {
    if let Cleanup::CachedImage(command) = cleanup {
        return evict_owed(node, machine, command).await;
    }
    // A job may be changing the VM's devices: what is to be is known when it has ended.
    let _turn = match &cleanup {
        Cleanup::Devices(vm) => Some(node.jobs.turn(vm.to_string()).await),
        _ => None,
    };
    let asked = cleanup.clone();
    if node.store.read(move |tx| is_overtaken(tx, machine, &asked)).await? {
        tracing::info!(host = %machine, ?cleanup, "the host needs again what was to be removed: it stays");
        return Ok(());
    }
    carry_out(node, machine, cleanup).await
}

fn is_overtaken(tx: &Tx<'_>, machine: HostUuid, cleanup: &Cleanup) -> Result<bool, Failure> {
    if matches!(cleanup, Cleanup::Agent) {
        return is_needed(tx, machine, None);
    }
    if let Cleanup::Export(command) = cleanup {
        let copies = tx.find::<ImageBackupStorageRef>(&[("install_path", command.path.to_sql())])?;
        return Ok(copies.iter().any(|copy| copy.export_url.is_some()));
    }
    let Some(host) = tx.get::<Host>(machine)? else { return Ok(false) };
    let is_here = |vm: Option<VmInstance>| vm.is_some_and(|vm| vm.host_uuid == Some(machine));
    match cleanup {
        Cleanup::Devices(vm) => Ok(!is_here(tx.get::<VmInstance>(*vm)?)),
        // The path of a file is never used again, but for a cached image's, which is claimed when it goes.
        Cleanup::Volume(_) | Cleanup::Image(_) | Cleanup::CachedImage(_) | Cleanup::Export(_) | Cleanup::Agent => {
            Ok(false)
        }
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

/// Carries out a clean-up now.
///
/// # Errors
/// The machine is away or refuses.
pub async fn carry_out(node: &Arc<Node>, machine: HostUuid, cleanup: Cleanup) -> Result<(), Failure> {
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
        Cleanup::Devices(uuid) => {
            let settings = node.settings.now();
            let vm = node.store.read(move |tx| vm::spec(tx, &settings, uuid)).await?;
            let discs = SetDiscs { vm: uuid, drives: vm.cdroms.clone() };
            node.call(machine, operation, discs).await?;
            node.call(machine, OperationId::random(), SetNics { vm }).await
        }
        Cleanup::Agent => node.call(machine, operation, Retire {}).await,
    }
}

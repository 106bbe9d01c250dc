//! Carrying out a plan, part by part. A part that was begun before the node's restart is begun again: all it does on hosts is
//! idempotent, and what it changes in the inventory is one transaction with the note that it is done.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{StreamExt, stream};
use gantry_common::{
    agent::{StopMode, StopVm, VmState},
    error::ErrorKind,
    id::{HostUuid, JobUuid, NicUuid, OperationId, VmUuid},
};

use tokio_util::sync::CancellationToken;

use super::{
    Mode,
    job::{Deletes, Deleting, Deletion},
    kinds::{kind_of, remove_row},
    plan::{Fate, Part},
    progress::Progress,
};
use crate::{
    cleanup::{self, Cleanup, clean_up_some_time},
    failure::Failure,
    hosts::{prepare_host, refresh_network},
    job::Run,
    node::Node,
    operations::{require, set_off, set_state, unplug_nics},
    resource::{GcJob, Host, VmInstance, VmInstanceState, VmNic},
    store::{Row, SqlValue, Tx},
};

/// How many parts are under way at the same time. Each host bounds its own commands besides.
const AT_ONCE: usize = 16;

/// Does all parts that are not done, stage by stage.
pub(super) async fn carry_out<D: Deletes>(run: Run<Deleting<D>>) -> Result<Deletion, Failure> {
    let progress = progress(&run.node, run.job).await?;
    let worker = Worker { node: run.node.clone(), job: run.job, mode: run.params.0.mode(), nics: progress.nics() };
    let (done, all) = (AtomicUsize::new(progress.done()), progress.parts.len());
    // What was not begun when one fails is not begun any more; what was is waited for.
    let stop = CancellationToken::new();
    let stages: BTreeSet<usize> = progress.parts.iter().map(|(part, _)| part.stage).collect();
    for stage in stages {
        let open = (0_u32..).zip(&progress.parts).filter(|(_, (part, is_done))| part.stage == stage && !is_done);
        let open: Vec<(u32, Part)> = open.map(|(number, (part, _))| (number, part.clone())).collect();
        let begin = |(number, part): (u32, Part)| {
            let (worker, run, stop, done) = (&worker, &run, &stop, &done);
            async move {
                if stop.is_cancelled() {
                    return Ok(());
                }
                let outcome = match run.cancelled.is_cancelled() {
                    true => Err(Failure::new(ErrorKind::Cancelled, "it was cancelled")),
                    false => worker.part(number, &part).await,
                };
                match &outcome {
                    Ok(()) => run.report(done.fetch_add(1, Ordering::Relaxed) as u64 + 1, all as u64),
                    Err(_) => stop.cancel(),
                }
                outcome.map_err(|failure| (part, failure))
            }
        };
        let outcomes: Vec<Result<(), (Part, Failure)>> =
            stream::iter(open).map(begin).buffer_unordered(AT_ONCE).collect().await;
        if let Some((part, failure)) = outcomes.into_iter().find_map(Result::err) {
            return Err(worker.stopped(&run.state.what, &part, &failure).await);
        }
    }
    Ok(run.state)
}

/// Gives back to the hosts and guests that stay what a deletion that did not come to its end took from them.
pub(super) async fn put_right<D: Deletes>(run: Run<Deleting<D>>) -> Result<Deletion, Failure> {
    let job = run.job;
    let (hosts, vms) = run
        .node
        .store
        .write(move |tx| {
            tx.let_stay(job)?;
            let claimed = tx.claims_of(job)?.into_iter().filter_map(|claim| claim.resource.parse::<HostUuid>().ok());
            let mut hosts = Vec::new();
            for uuid in claimed {
                hosts.extend(tx.get::<Host>(uuid)?.map(|host| host.uuid));
            }
            Ok::<_, Failure>((hosts, deprived(tx, job)?))
        })
        .await?;
    for (host, vm) in vms {
        clean_up_some_time(&run.node, host, Cleanup::Devices(vm)).await;
    }
    for host in hosts.into_iter().filter(|host| run.node.fleet.is_connected(*host)) {
        if let Err(failure) = prepare_host(&run.node, host).await {
            tracing::warn!(%host, error = %failure, "the host that stays is not ready for its cluster");
        }
    }
    Ok(run.state)
}

struct Worker {
    node: Arc<Node>,
    job: JobUuid,
    mode: Mode,
    /// The interfaces that go.
    nics: HashSet<NicUuid>,
}

impl Worker {
    async fn stopped(&self, what: &str, part: &Part, failure: &Failure) -> Failure {
        let told =
            progress(&self.node, self.job).await.map_or_else(|failure| failure.to_string(), |progress| progress.told());
        let remedy = match self.mode {
            Mode::Permissive => "Mend this and call again, or delete with deleteMode=Enforcing",
            Mode::Enforcing => "Call again",
        };
        let details = format!(
            "the deletion of {what} stopped at {}: {}. {told}. {remedy}",
            part.label,
            failure.details.trim_end_matches('.')
        );
        Failure { kind: failure.kind, details, cause: Some(Box::new(failure.to_wire())) }
    }

    async fn part(&self, number: u32, part: &Part) -> Result<(), Failure> {
        let (job, key) = (self.job, part.row.clone());
        let found = self.node.store.read(move |tx| tx.row(&key).map_err(Failure::from)).await?;
        let Some(row) = found else {
            return self.node.store.write(move |tx| tx.finish_part(job, number).map_err(Failure::from)).await;
        };
        match (part.fate, row.parsed::<VmUuid>("uuid").filter(|_| part.row.resource == "VmInstance")) {
            (Fate::Stop, Some(vm)) => self.stop(number, vm, part.before).await,
            (Fate::Unplug, Some(vm)) => self.unplug(number, vm, part.before).await,
            (Fate::Stop | Fate::Unplug, None) => {
                Err(Failure::new(ErrorKind::Internal, format!("{} is no VM that stays", part.label)))
            }
            (Fate::Remove, None) => self.remove(number, row).await,
            (Fate::Remove, Some(vm)) => {
                self.in_state(vm, VmInstanceState::Destroying).await?;
                let removed = self.remove(number, row).await;
                if removed.is_err() {
                    self.back(vm, part.before).await?;
                }
                self.node.looks.forget(vm);
                removed
            }
        }
    }

    /// Has the VM in hand: what hosts say of it waits.
    async fn in_state(&self, vm: VmUuid, state: VmInstanceState) -> Result<(), Failure> {
        self.node.store.write(move |tx| set_state(tx, vm, state).map(drop)).await
    }

    /// Lets a VM go whose part failed; what it really is, the next look at its host says.
    async fn back(&self, vm: VmUuid, before: Option<VmInstanceState>) -> Result<(), Failure> {
        self.in_state(vm, before.unwrap_or(VmInstanceState::Unknown)).await
    }

    /// Stops a VM that stays, as StopVmInstance does.
    async fn stop(&self, number: u32, vm: VmUuid, before: Option<VmInstanceState>) -> Result<(), Failure> {
        let known = self.node.store.read(move |tx| require::<VmInstance>(tx, "uuid", vm)).await?;
        let mut owed = Vec::new();
        if let Some(host) = known.host_uuid {
            self.in_state(vm, VmInstanceState::Stopping).await?;
            if let Err(failure) = self.shut_down(host, vm).await {
                if self.mode == Mode::Permissive {
                    self.back(vm, before).await?;
                    return Err(failure);
                }
                owed.push(Cleanup::Vm(vm).owed_by(host, self.node.uuid)?);
            }
        }
        let (job, is_on_a_host) = (self.job, known.host_uuid.is_some());
        self.node
            .store
            .write(move |tx| {
                insert_owed(tx, &owed)?;
                if is_on_a_host {
                    set_off(tx, vm, VmInstanceState::Stopped)?;
                }
                Ok(tx.finish_part(job, number)?)
            })
            .await
    }

    /// Has the guest of a VM that stays let go of the interfaces that go. Where the deletion is enforced, a guest that does
    /// not is stopped.
    async fn unplug(&self, number: u32, vm: VmUuid, before: Option<VmInstanceState>) -> Result<(), Failure> {
        let job = self.job;
        let (host, mut nics) = self.node.store.read(move |tx| at_and_with(tx, vm)).await?;
        nics.retain(|nic| self.nics.contains(nic));
        let outcome = match host {
            None => Ok(()),
            Some(host) if self.mode == Mode::Enforcing && !self.node.fleet.is_connected(host) => Err(is_away(host)),
            Some(host) => unplug_nics(&self.node, host, vm, nics).await,
        };
        match outcome {
            Ok(()) => self.node.store.write(move |tx| tx.finish_part(job, number).map_err(Failure::from)).await,
            Err(failure) if self.mode == Mode::Enforcing => {
                tracing::warn!(%vm, error = %failure, "the VM is stopped: its guest did not let go of interfaces");
                self.stop(number, vm, before).await
            }
            Err(failure) => Err(failure),
        }
    }

    async fn shut_down(&self, host: HostUuid, vm: VmUuid) -> Result<(), Failure> {
        if self.mode == Mode::Enforcing && !self.node.fleet.is_connected(host) {
            return Err(is_away(host));
        }
        let grace = self.node.settings.now().vm_stop_grace;
        let mode = StopMode::Grace { timeout_seconds: u32::try_from(grace.as_secs()).unwrap_or(u32::MAX) };
        let seen = self.node.call(host, OperationId::random(), StopVm { vm, mode }).await?;
        self.node.looks.note(host, &seen);
        match seen.state {
            VmState::Absent => Ok(()),
            other => Err(Failure::new(ErrorKind::HostCommand, format!("after it was stopped the VM is {other}"))),
        }
    }

    /// Removes what a row leaves on hosts, then the row. What a host that is away need not do now it owes; when the deletion
    /// is enforced that is everything.
    async fn remove(&self, number: u32, row: Row) -> Result<(), Failure> {
        let Some((_, kind)) = kind_of(row.declaration.name) else {
            return Err(Failure::new(ErrorKind::Internal, format!("{} does not go by itself", row.declaration.name)));
        };
        let known = row.clone();
        let leaves = self.node.store.read(move |tx| (kind.leaves)(tx, &known)).await?;
        let mut owed = Vec::new();
        for (machine, cleanup) in leaves {
            match self.clean_up(machine, &cleanup).await {
                Ok(()) => {}
                Err(failure) if self.may_owe(&cleanup, &failure) => {
                    tracing::warn!(host = %machine, error = %failure, ?cleanup, "the host owes a clean-up");
                    owed.push(cleanup.owed_by(machine, self.node.uuid)?);
                }
                Err(failure) => return Err(failure),
            }
        }
        let (job, node_uuid, served) = (self.job, self.node.uuid, (kind.served_otherwise)(&row));
        let last = self
            .node
            .store
            .write(move |tx| {
                insert_owed(tx, &owed)?;
                let mut last = Vec::new();
                for (machine, cleanup) in remove_row(tx, &row)? {
                    tx.insert(&cleanup.owed_by(machine, node_uuid)?)?;
                    last.push(machine);
                }
                tx.finish_part(job, number)?;
                Ok::<_, Failure>(last)
            })
            .await?;
        for machine in last.into_iter().filter(|machine| self.node.fleet.is_connected(*machine)) {
            cleanup::settle(&self.node, machine).await?;
        }
        if let Some(l3_network) = served {
            refresh_network(&self.node, l3_network).await;
        }
        Ok(())
    }

    async fn clean_up(&self, machine: HostUuid, cleanup: &Cleanup) -> Result<(), Failure> {
        let waits_for_nobody = self.mode == Mode::Enforcing || cleanup.can_wait();
        if waits_for_nobody && !self.node.fleet.is_connected(machine) {
            return Err(is_away(machine));
        }
        cleanup::carry_out(&self.node, machine, cleanup.clone()).await
    }

    /// Whether a clean-up that failed is left to be owed.
    fn may_owe(&self, cleanup: &Cleanup, failure: &Failure) -> bool {
        let is_away = failure.kind == ErrorKind::HostDisconnected;
        // Once the files are gone, what they were for is no reason to stop.
        let comes_last = matches!(cleanup, Cleanup::CachedImage(_) | Cleanup::Export(_));
        self.mode == Mode::Enforcing || (cleanup.can_wait() && (is_away || comes_last))
    }
}

async fn progress(node: &Node, job: JobUuid) -> Result<Progress, Failure> {
    node.store.read(move |tx| Progress::of(tx, job)).await
}

fn is_away(host: HostUuid) -> Failure {
    Failure::new(ErrorKind::HostDisconnected, format!("host {host} is away"))
}

/// Where a VM runs, and its interfaces.
fn at_and_with(tx: &Tx<'_>, vm: VmUuid) -> Result<(Option<HostUuid>, Vec<NicUuid>), Failure> {
    let nics = tx.find::<VmNic>(&[("vm_instance_uuid", vm.to_sql())])?;
    Ok((require::<VmInstance>(tx, "uuid", vm)?.host_uuid, nics.into_iter().map(|nic| nic.uuid).collect()))
}

/// The VMs that may have been told to let go of interfaces which stay, each with its host.
fn deprived(tx: &Tx<'_>, job: JobUuid) -> Result<Vec<(HostUuid, VmUuid)>, Failure> {
    let mut vms = Vec::new();
    for (part, _) in Progress::of(tx, job)?.parts {
        let vm = tx.row(&part.row)?.filter(|_| part.fate == Fate::Unplug);
        vms.extend(vm.and_then(|vm| Some((vm.parsed("host_uuid")?, vm.parsed("uuid")?))));
    }
    Ok(vms)
}

fn insert_owed(tx: &Tx<'_>, owed: &[GcJob]) -> Result<(), Failure> {
    owed.iter().try_for_each(|job| tx.insert(job).map_err(Failure::from))
}

//! What looks at VMs mean for the inventory. Every look, by event or by comparison, goes the same way.

use std::{collections::HashSet, sync::Arc};

use gantry_common::{
    agent::{Observation, StopMode, StopVm, VmState},
    id::{HostUuid, OperationId, VmUuid},
};

use crate::{
    clock::Timestamp,
    failure::Failure,
    node::Node,
    resource::{VmInstance, VmInstanceState},
    store::{SqlValue, Tx},
    vm::{Verdict, Whereabouts, is_in_hand, judge},
};

/// Records looks at VMs, and has the host stop what must not run there.
pub async fn observe(node: &Arc<Node>, host: HostUuid, seen: Vec<Observation>) -> Result<(), Failure> {
    let seen: Vec<Observation> = seen.into_iter().filter(|look| node.looks.note(host, look)).collect();
    if seen.is_empty() {
        return Ok(());
    }
    let rest = node.store.write(move |tx| record(tx, host, &seen)).await?;
    for look in rest.deferred {
        node.looks.defer(host, look);
    }
    for vm in rest.unwanted {
        tracing::warn!(%vm, %host, "the VM runs on a host where it must not: it is stopped there");
        let (node, command) = (node.clone(), StopVm { vm, mode: StopMode::Force });
        tokio::spawn(async move {
            if let Err(failure) = node.call(host, OperationId::random(), command).await {
                tracing::error!(%vm, %host, error = %failure, "the VM could not be stopped");
            }
        });
    }
    Ok(())
}

/// Compares everything a host sees with the inventory: what it does not list does not run there.
pub async fn compare(
    node: &Arc<Node>,
    host: HostUuid,
    mut seen: Vec<Observation>,
    revision: u64,
) -> Result<(), Failure> {
    let listed: HashSet<VmUuid> = seen.iter().map(|look| look.vm).collect();
    let expected =
        node.store.read(move |tx| Ok::<_, Failure>(tx.find::<VmInstance>(&[("host_uuid", host.to_sql())])?)).await?;
    let gone = expected.into_iter().map(|vm| vm.uuid).filter(|vm| !listed.contains(vm));
    seen.extend(gone.map(|vm| Observation { vm, state: VmState::Absent, revision }));
    observe(node, host, seen).await
}

/// Judges the looks that came while jobs had their VMs in hand. Called whenever a job has ended.
pub async fn judge_deferred(node: &Arc<Node>) {
    for (host, look) in node.looks.take_deferred() {
        let vm = look.vm;
        if let Err(failure) = observe(node, host, vec![look]).await {
            tracing::error!(%vm, %host, error = %failure, "what a host said of the VM could not be recorded");
        }
    }
}

/// What a recording of looks leaves to do.
#[derive(Default)]
struct Rest {
    unwanted: Vec<VmUuid>,
    deferred: Vec<Observation>,
}

fn record(tx: &Tx<'_>, host: HostUuid, seen: &[Observation]) -> Result<Rest, Failure> {
    let mut rest = Rest::default();
    for look in seen {
        let Some(mut vm) = tx.get::<VmInstance>(look.vm)? else {
            if look.state != VmState::Absent {
                tracing::error!(vm = %look.vm, %host, "a VM that is in no record runs on the host; it is left alone");
            }
            continue;
        };
        if is_in_hand(vm.state) {
            rest.deferred.push(look.clone());
            continue;
        }
        let place = match vm.host_uuid {
            Some(recorded) if recorded == host => Whereabouts::Here,
            Some(_) => Whereabouts::Elsewhere,
            None => Whereabouts::Nowhere,
        };
        match judge(vm.state, place, look.state) {
            Verdict::Keep => {}
            Verdict::MustStop => rest.unwanted.push(vm.uuid),
            Verdict::Becomes(state) => {
                tracing::info!(vm = %vm.uuid, %host, before = %vm.state, after = %state, "the VM changed");
                vm.state = state;
                vm.last_op_date = Timestamp::now();
                if state == VmInstanceState::Stopped {
                    tx.release_host(vm.uuid)?;
                    vm.last_host_uuid = vm.host_uuid.take();
                } else if vm.host_uuid.is_none() {
                    vm.host_uuid = Some(host);
                    if !tx.allocate_host(host, vm.uuid, vm.cpu_num, vm.memory_size)? {
                        tracing::error!(vm = %vm.uuid, %host, "the VM runs on a host that has no capacity left for it");
                        tx.promise_host(host, vm.uuid, vm.cpu_num, vm.memory_size)?;
                    }
                }
                tx.save(&vm)?;
            }
        }
    }
    Ok(rest)
}

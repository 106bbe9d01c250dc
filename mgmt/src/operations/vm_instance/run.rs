//! Steps that several operations on VMs share.

use std::time::Duration;

use gantry_common::{
    agent::{StartVm, StopMode, VmState},
    error::ErrorKind,
    id::{HostUuid, VmUuid},
};

use super::super::making::require;
use crate::{
    cleanup::{Cleanup, clean_up},
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Run},
    resource::{AdminState, ConnectionStatus, Host, PrimaryStorage, VmInstance, VmInstanceState, Volume},
    store::{SqlValue, Tx},
    vm,
};

/// Refuses a VM that has a volume on a storage in maintenance.
pub fn require_storages_in_service(tx: &Tx<'_>, vm: &VmInstance) -> Result<(), Failure> {
    for volume in tx.find::<Volume>(&[("vm_instance_uuid", vm.uuid.to_sql())])? {
        let Some(storage) = volume.primary_storage_uuid else { continue };
        let storage = require::<PrimaryStorage>(tx, "primaryStorageUuid", storage)?;
        if storage.state == AdminState::Maintenance {
            let details = format!(
                "volume '{}' of VM '{}' is on primary storage '{}', which is in Maintenance: enable it",
                volume.name, vm.name, storage.name
            );
            return Err(Failure::new(ErrorKind::StateForbids, details));
        }
    }
    Ok(())
}

/// Starts a VM on a host.
pub async fn start_on<O: JobOperation>(run: &Run<O>, uuid: VmUuid, host: HostUuid) -> Result<(), Failure> {
    let settings = run.node.settings.now();
    let spec = run.node.store.read(move |tx| vm::spec(tx, &settings, uuid)).await?;
    let seen = run.call(host, "start", StartVm { vm: spec }).await?;
    run.node.looks.note(host, &seen);
    match seen.state {
        VmState::Running => Ok(()),
        other => Err(Failure::new(
            ErrorKind::HostCommand,
            format!("the VM was started and is {other}: see its serial console's record"),
        )),
    }
}

/// Makes sure that a VM does not run on a host, now or when the host is back.
pub async fn stop_for_good<O: JobOperation>(run: &Run<O>, vm: VmUuid, host: Option<HostUuid>) -> Result<(), Failure> {
    match host {
        Some(host) => clean_up(&run.node, host, Cleanup::Vm(vm)).await,
        None => Ok(()),
    }
}

/// Sets a VM's state. One whose host cannot be asked is not said to run there.
pub fn set_state(tx: &Tx<'_>, uuid: VmUuid, state: VmInstanceState) -> Result<VmInstance, Failure> {
    let mut vm = require::<VmInstance>(tx, "uuid", uuid)?;
    let host = vm.host_uuid.map(|host| tx.get::<Host>(host)).transpose()?.flatten();
    let is_away = host.is_some_and(|host| host.status == ConnectionStatus::Disconnected);
    vm.state = match state {
        VmInstanceState::Running | VmInstanceState::Paused if is_away => VmInstanceState::Unknown,
        state => state,
    };
    vm.last_op_date = Timestamp::now();
    tx.save(&vm)?;
    Ok(vm)
}

/// Records that a VM runs on no host any more, in the given state.
pub fn set_off(tx: &Tx<'_>, uuid: VmUuid, state: VmInstanceState) -> Result<(), Failure> {
    let mut vm = set_state(tx, uuid, state)?;
    tx.release_host(uuid)?;
    vm.last_host_uuid = vm.host_uuid.or(vm.last_host_uuid);
    vm.host_uuid = None;
    tx.save(&vm)?;
    Ok(())
}

/// How a VM is stopped that the caller may ask to be stopped `cold`.
pub fn stop_mode(kind: Option<&str>, grace: Duration) -> StopMode {
    match kind {
        Some("cold") => StopMode::Force,
        _ => StopMode::Grace { timeout_seconds: u32::try_from(grace.as_secs()).unwrap_or(u32::MAX) },
    }
}

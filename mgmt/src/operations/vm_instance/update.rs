//! UpdateVmInstance.

use gantry_common::{
    error::ErrorKind,
    id::{L3NetworkUuid, VmUuid},
};

use super::{
    super::changing::{Change, describe},
    resize::resize,
};
use crate::{
    failure::Failure,
    operation,
    resource::{ConnectionStatus, GuestPlatform, Host, VmInstance, VmInstanceState, VmNic},
    store::{SqlValue, Tx},
};

operation! {
    /// Gives a VM another name, description, platform, default L3 network or size. Platform, network and size are those of
    /// its next start; a size also that of its next reboot, if its host has room for it then. The state is the host's to
    /// tell: it is set only to correct a record that has gone wrong, and the next look at the host has the last word.
    UpdateVmInstance, "3.1.50", Put "/vm-instances/{uuid}/actions", Job -> VmInstance; {
        /// The VM.
        uuid: VmUuid;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
        /// The state to record.
        state: Option<String>, values &["Stopped", "Running"];
        /// The L3 network of its default route from its next start on: one it is on.
        default_l3_network_uuid: Option<L3NetworkUuid>;
        /// The family of its guest system, which decides its devices from its next start on.
        platform: Option<GuestPlatform>, values GuestPlatform::TEXTS;
        /// Virtual processors.
        cpu_num: Option<u32>, range 1..=1024;
        /// Memory in bytes.
        memory_size: Option<u64>, range 1..=i64::MAX;
    }
}

impl Change for UpdateVmInstance {
    type Resource = VmInstance;

    fn key(&self) -> VmUuid {
        self.uuid
    }

    fn apply(&self, tx: &Tx<'_>, vm: &mut VmInstance) -> Result<(), Failure> {
        describe((&mut vm.name, self.name.as_deref()), (&mut vm.description, self.description.as_deref()))?;
        if let Some(l3) = self.default_l3_network_uuid {
            let on_it = [("vm_instance_uuid", vm.uuid.to_sql()), ("l3_network_uuid", l3.to_sql())];
            if tx.count::<VmNic>(&on_it)? == 0 {
                let remedy = format!("VM '{}' has no interface on it: attach it with AttachL3NetworkToVm", vm.name);
                return Err(Failure::argument("defaultL3NetworkUuid", l3, remedy));
            }
            vm.default_l3_network_uuid = Some(l3);
        }
        vm.platform = self.platform.unwrap_or(vm.platform);
        resize(vm, self.cpu_num, self.memory_size)?;
        match self.state.as_deref() {
            Some("Stopped") => record_stopped(tx, vm),
            Some(_) => record_running(tx, vm),
            None => Ok(()),
        }
    }
}

fn refuse_gone(vm: &VmInstance) -> Result<(), Failure> {
    if matches!(vm.state, VmInstanceState::Destroying | VmInstanceState::Destroyed | VmInstanceState::Expunging) {
        let details = format!("VM '{}' ({}) is {}: recover it first", vm.name, vm.uuid, vm.state);
        return Err(Failure::new(ErrorKind::StateForbids, details));
    }
    Ok(())
}

/// The VM's jobs are done, or this one would not run: whatever state it is in, nothing is under way.
fn record_stopped(tx: &Tx<'_>, vm: &mut VmInstance) -> Result<(), Failure> {
    refuse_gone(vm)?;
    tx.release_host(vm.uuid)?;
    vm.last_host_uuid = vm.host_uuid.take().or(vm.last_host_uuid);
    vm.state = VmInstanceState::Stopped;
    Ok(())
}

fn record_running(tx: &Tx<'_>, vm: &mut VmInstance) -> Result<(), Failure> {
    refuse_gone(vm)?;
    let Some(uuid) = vm.host_uuid.or(vm.last_host_uuid) else {
        let remedy = format!("VM '{}' was never on a host: start it with StartVmInstance", vm.name);
        return Err(Failure::argument("state", VmInstanceState::Running, remedy));
    };
    let host = tx.get::<Host>(uuid)?.filter(|host| host.status == ConnectionStatus::Connected);
    let Some(host) = host else {
        let remedy = format!("host {uuid}, the last that VM '{}' was on, is not Connected: nobody knows", vm.name);
        return Err(Failure::argument("state", VmInstanceState::Running, remedy));
    };
    if vm.host_uuid.is_none() {
        if !tx.allocate_host(host.uuid, vm.uuid, vm.cpu_num, vm.memory_size)? {
            tracing::error!(vm = %vm.uuid, host = %host.uuid, "the VM is said to run on a host that has no capacity left for it");
        }
        vm.host_uuid = Some(host.uuid);
    }
    vm.state = VmInstanceState::Running;
    Ok(())
}

//! StopVmInstance, RebootVmInstance, PauseVmInstance, ResumeVmInstance: commands to the host on which a VM runs.

use gantry_common::{
    agent::{PauseVm, RebootVm, ResumeVm, StopVm, VmState},
    error::ErrorKind,
    id::{HostUuid, VmUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::making::require,
    resize::promise_anew,
    run::{set_off, set_state, stop_mode},
};
use crate::{
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{VmInstance, VmInstanceState},
    store::{HostPromise, Tx},
    vm::{self, Admission, Command, admit_vm},
};

/// The VM's host and the state it had; no host where there is nothing to do.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Commanding {
    host: Option<HostUuid>,
    before: Option<VmInstanceState>,
    /// What it was promised, where it is promised something else now.
    #[serde(default)]
    promised: Option<HostPromise>,
}

/// Admits a command and moves the VM into the state it has meanwhile.
fn begin(tx: &Tx<'_>, uuid: VmUuid, command: Command) -> Result<Commanding, Failure> {
    let vm = require::<VmInstance>(tx, "uuid", uuid)?;
    match admit_vm(&vm, command)? {
        Admission::Done => Ok(Commanding::default()),
        Admission::Go(during) => {
            let host = vm.host_uuid.ok_or_else(|| {
                Failure::new(ErrorKind::Internal, format!("VM '{}' is {} and on no host", vm.name, vm.state))
            })?;
            // A reboot gives the guest the size that was put down since its start.
            let promised = if command == Command::Reboot { promise_anew(tx, &vm, host)? } else { None };
            set_state(tx, uuid, during)?;
            Ok(Commanding { host: Some(host), before: Some(vm.state), promised })
        }
    }
}

/// Puts the VM back into the state it had; what it really is, the next look at the host says.
fn step_back(tx: &Tx<'_>, uuid: VmUuid, state: &Commanding) -> Result<(), Failure> {
    if let Some(HostPromise { host, cpu_num, memory_bytes }) = state.promised
        && !tx.allocate_host(host, uuid, cpu_num, memory_bytes)?
    {
        tracing::error!(vm = %uuid, %host, "what the VM was promised has gone to others meanwhile");
    }
    state.before.map_or(Ok(()), |before| set_state(tx, uuid, before).map(drop))
}

/// Records where a command has brought the VM.
fn settle(tx: &Tx<'_>, uuid: VmUuid, state: &Commanding, now: VmInstanceState) -> Result<(), Failure> {
    match (state.host, now) {
        (None, _) => Ok(()),
        (Some(_), VmInstanceState::Stopped) => set_off(tx, uuid, now),
        (Some(_), now) => set_state(tx, uuid, now).map(drop),
    }
}

fn unexpected(seen: VmState) -> Failure {
    Failure::new(ErrorKind::HostCommand, format!("after the command the VM is {seen}: see its serial console's record"))
}

macro_rules! commands_a_running_vm {
    ($operation:ident, $command:expr, $name:literal, $work:ident, $after:expr) => {
        impl JobOperation for $operation {
            type State = Commanding;

            fn locks(&self) -> Vec<String> {
                vec![self.uuid.to_string()]
            }

            fn steps() -> Vec<Step<Self>> {
                vec![
                    Step::record("check the VM's state", |tx: &Tx<'_>, run: &mut Recording<'_, Self>| {
                        *run.state = begin(tx, run.params.uuid, $command)?;
                        Ok(())
                    })
                    .undo_record(|tx, run| step_back(tx, run.params.uuid, run.state)),
                    Step::remote($name, |run: Run<Self>| async move {
                        if let Some(host) = run.state.host {
                            $work(&run, host).await?;
                        }
                        Ok(run.state)
                    }),
                    Step::record("record the VM's state", |tx, run| settle(tx, run.params.uuid, run.state, $after)),
                ]
            }

            fn reply(&self, tx: &Tx<'_>, _state: &Commanding) -> Result<Value, Failure> {
                inventory_reply::<VmInstance>(tx, self.uuid)
            }
        }
    };
}

operation! {
    /// Stops a VM: the guest is asked to shut down, and when it has not in time, stopped by force.
    StopVmInstance, "3.1.7", Put "/vm-instances/{uuid}/actions", Job -> VmInstance; {
        /// The VM.
        uuid: VmUuid;
        /// `grace` or, at once by force, `cold`.
        kind as "type": Option<String>, values &["grace", "cold"];
        /// Whether a VM that is kept running is stopped for good.
        stop_ha as "stopHA": Option<String>, values &["true"];
    }
}

commands_a_running_vm!(StopVmInstance, Command::Stop, "stop the VM", stop, VmInstanceState::Stopped);

async fn stop(run: &Run<StopVmInstance>, host: HostUuid) -> Result<(), Failure> {
    let mode = stop_mode(run.params.kind.as_deref(), run.node.settings.now().vm_stop_grace);
    let seen = run.call(host, "stop", StopVm { vm: run.params.uuid, mode }).await?;
    run.node.looks.note(host, &seen);
    if seen.state == VmState::Absent { Ok(()) } else { Err(unexpected(seen.state)) }
}

operation! {
    /// Restarts a running VM.
    RebootVmInstance, "3.1.8", Put "/vm-instances/{uuid}/actions", Job -> VmInstance; {
        /// The VM.
        uuid: VmUuid;
    }
}

commands_a_running_vm!(RebootVmInstance, Command::Reboot, "restart the VM", reboot, VmInstanceState::Running);

async fn reboot(run: &Run<RebootVmInstance>, host: HostUuid) -> Result<(), Failure> {
    let (uuid, settings) = (run.params.uuid, run.node.settings.now());
    let spec = run.node.store.read(move |tx| vm::spec(tx, &settings, uuid)).await?;
    let mode = stop_mode(None, run.node.settings.now().vm_stop_grace);
    let seen = run.call(host, "reboot", RebootVm { vm: spec, mode }).await?;
    run.node.looks.note(host, &seen);
    if seen.state == VmState::Running { Ok(()) } else { Err(unexpected(seen.state)) }
}

operation! {
    /// Suspends a running VM's processors.
    PauseVmInstance, "3.1.9", Put "/vm-instances/{uuid}/actions", Job -> VmInstance; {
        /// The VM.
        uuid: VmUuid;
    }
}

commands_a_running_vm!(PauseVmInstance, Command::Pause, "suspend the VM", pause, VmInstanceState::Paused);

async fn pause(run: &Run<PauseVmInstance>, host: HostUuid) -> Result<(), Failure> {
    let seen = run.call(host, "pause", PauseVm { vm: run.params.uuid }).await?;
    run.node.looks.note(host, &seen);
    if seen.state == VmState::Paused { Ok(()) } else { Err(unexpected(seen.state)) }
}

operation! {
    /// Lets a paused VM go on.
    ResumeVmInstance, "3.1.10", Put "/vm-instances/{uuid}/actions", Job -> VmInstance; {
        /// The VM.
        uuid: VmUuid;
    }
}

commands_a_running_vm!(ResumeVmInstance, Command::Resume, "resume the VM", resume, VmInstanceState::Running);

async fn resume(run: &Run<ResumeVmInstance>, host: HostUuid) -> Result<(), Failure> {
    let seen = run.call(host, "resume", ResumeVm { vm: run.params.uuid }).await?;
    run.node.looks.note(host, &seen);
    if seen.state == VmState::Running { Ok(()) } else { Err(unexpected(seen.state)) }
}

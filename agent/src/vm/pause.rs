//! Suspending a VM's processors, and letting them go on.

use std::time::Duration;

use gantry_common::{
    agent::{AgentError, Observation, VmState},
    id::VmUuid,
};
use virt::domain::Domain;
use virt_sys as sys;

use super::{Host, look::find_ours, wrong_state};
use crate::libvirt::failed;

/// QEMU answers at once, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(40);

/// Suspends the VM's processors. A VM whose processors are suspended is left so.
pub async fn pause(host: &Host, vm: VmUuid) -> Result<Observation, AgentError> {
    match host.observer.sight(vm).await?.state() {
        VmState::Running => {
            const OPERATION: &str = "virDomainSuspend";
            act(host, vm, OPERATION, |domain| domain.suspend().map(drop).map_err(failed(OPERATION))).await?;
        }
        VmState::Paused => {}
        state @ VmState::Stalled => return Err(wrong_state(vm, state, "resume or stop it")),
        state @ VmState::Absent => return Err(wrong_state(vm, state, "start it")),
    }
    host.observer.observe(vm).await
}

/// Lets the VM's processors go on. A VM that runs is left running.
pub async fn resume(host: &Host, vm: VmUuid) -> Result<Observation, AgentError> {
    match host.observer.sight(vm).await?.state() {
        VmState::Running => {}
        VmState::Paused | VmState::Stalled => act(host, vm, "virDomainResume", wake).await?,
        state @ VmState::Absent => return Err(wrong_state(vm, state, "start it")),
    }
    host.observer.observe(vm).await
}

fn wake(domain: &Domain) -> Result<(), AgentError> {
    let (state, _) = domain.get_state().map_err(failed("virDomainGetState"))?;
    if state == sys::VIR_DOMAIN_PMSUSPENDED {
        domain.pm_wakeup(0).map(drop).map_err(failed("virDomainPMWakeup"))
    } else {
        domain.resume().map(drop).map_err(failed("virDomainResume"))
    }
}

async fn act(
    host: &Host,
    vm: VmUuid,
    operation: &'static str,
    action: impl FnOnce(&Domain) -> Result<(), AgentError> + Send + 'static,
) -> Result<(), AgentError> {
    let found = host
        .commands
        .call_on(vm, operation, DEADLINE, move |connection| {
            find_ours(connection, vm)?.map(|domain| action(&domain)).transpose()
        })
        .await?;
    found.ok_or_else(|| wrong_state(vm, VmState::Absent, "start it"))
}

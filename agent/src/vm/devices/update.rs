//! Changing a device in place: the medium of a CD-ROM drive, the link of an interface.

use std::time::Duration;

use gantry_common::{
    agent::{AgentError, VmState},
    id::VmUuid,
};
use virt_sys as sys;

use super::{Device, live::look_for};
use crate::{
    libvirt::failed,
    vm::{Host, look::find_ours, wrong_state},
};

const OPERATION: &str = "virDomainUpdateDeviceFlags";
/// libvirt waits for a guest to open its drive.
const DEADLINE: Duration = Duration::from_secs(60);

/// Gives the VM's device the parts of `device` that can change while it runs. Call it in the VM's turn.
///
/// # Errors
/// `NotFound` where the VM has no such device; libvirt's refusal where something else would change.
pub async fn update(host: &Host, vm: VmUuid, device: Device) -> Result<(), AgentError> {
    match host.observer.sight(vm).await?.state() {
        VmState::Running | VmState::Paused => {}
        state @ VmState::Stalled => return Err(wrong_state(vm, state, "resume it, or stop it")),
        state @ VmState::Absent => return Err(wrong_state(vm, state, "start it")),
    }
    if look_for(host, vm, &device.name).await?.is_none() {
        return Err(AgentError::NotFound { what: format!("VM {vm}"), name: device.name.to_string() });
    }
    let xml = device.xml;
    host.commands
        .call_on(vm, OPERATION, DEADLINE, move |connection| {
            let domain = find_ours(connection, vm)?.ok_or_else(|| wrong_state(vm, VmState::Absent, "start it"))?;
            // A guest that locked its drive is overruled, as by the pin beside a real drive's button.
            let flags = sys::VIR_DOMAIN_AFFECT_LIVE | sys::VIR_DOMAIN_DEVICE_MODIFY_FORCE;
            domain.update_device_flags(&xml, flags).map(drop).map_err(failed(OPERATION))
        })
        .await
}

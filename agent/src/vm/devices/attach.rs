//! Attaching a device.

use std::{sync::Arc, time::Duration};

use gantry_common::{
    agent::{AgentError, VmState},
    id::VmUuid,
};
use virt_sys as sys;

use super::{Device, detach::detach, live::look_for};
use crate::{
    libvirt::failed,
    vm::{Host, look::find_ours, turn::Turn, wrong_state},
};

const OPERATION: &str = "virDomainAttachDeviceFlags";
/// QEMU opens the device's files, whose storage may be slow.
const DEADLINE: Duration = Duration::from_secs(60);

/// Attaches the device to the VM, which has to run or be paused. One that is attached already is left as it is. The turn
/// is kept for as long as it is not certain whether the device will be attached.
pub async fn attach(host: &Arc<Host>, turn: &Arc<Turn>, vm: VmUuid, device: Device) -> Result<(), AgentError> {
    match host.observer.sight(vm).await?.state() {
        VmState::Running | VmState::Paused => {}
        state @ VmState::Stalled => return Err(wrong_state(vm, state, "resume it, or stop it")),
        state @ VmState::Absent => return Err(wrong_state(vm, state, "start it")),
    }
    if let Some(before) = look_for(host, vm, &device.name).await? {
        if before.file == device.file {
            return Ok(());
        }
        let file = before.file.unwrap_or_default();
        return Err(AgentError::InUse {
            what: device.name.to_string(),
            user: format!("VM {vm}, which has it already, with the file '{file}'; detach it first"),
        });
    }
    let xml = device.xml.clone();
    let mut attaching = host.commands.submit(OPERATION, move |connection| {
        let domain = find_ours(connection, vm)?.ok_or_else(|| wrong_state(vm, VmState::Absent, "start it"))?;
        domain.attach_device_flags(&xml, sys::VIR_DOMAIN_AFFECT_LIVE).map(drop).map_err(failed(OPERATION))
    })?;
    let outcome = attaching.wait(DEADLINE).await;
    if matches!(outcome, Err(AgentError::Timeout { .. })) {
        let (host, turn) = (host.clone(), turn.clone());
        // The caller is told that it did not come about, so it must not stay.
        tokio::spawn(async move {
            if attaching.join().await.is_ok()
                && let Err(error) = detach(&host, &turn, vm, &device.name).await
            {
                tracing::error!(%vm, device = %device.name, %error, "a device that was attached too late is still there");
            }
        });
    }
    outcome
}

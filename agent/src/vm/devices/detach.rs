//! Detaching a device: the guest is asked to let go of it, and has to.

use std::{sync::Arc, time::Duration};

use gantry_common::{
    agent::{AgentError, VmState},
    id::VmUuid,
};
use tokio::time::{Instant, sleep_until};
use virt_sys as sys;

use super::{
    live::{DeviceName, LiveDevice, look_for},
    removals::Removal,
};
use crate::{
    libvirt::{failed, ffi, is_gone},
    vm::{Host, look::find_ours, turn::Turn, wrong_state},
};

const OPERATION: &str = "virDomainDetachDeviceAlias";
/// A guest that is still booting misses the request: it is repeated. QEMU takes a repetition after five seconds.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(6);
/// QEMU answers at once, unless it hangs.
const ASK_DEADLINE: Duration = Duration::from_secs(30);

/// Detaches the device and answers when it is gone. A device that is not there, or a VM that does not run, is a success.
///
/// # Errors
/// `InUse` where the guest did not let go of it in time; it keeps the device then.
pub async fn detach(host: &Arc<Host>, _turn: &Arc<Turn>, vm: VmUuid, name: &DeviceName) -> Result<(), AgentError> {
    match host.observer.sight(vm).await?.state() {
        VmState::Absent => return Ok(()),
        VmState::Running => {}
        state @ (VmState::Paused | VmState::Stalled) => {
            return Err(wrong_state(vm, state, "resume it, so that its guest can let go of the device, or stop it"));
        }
    }
    let mut news = host.removals.subscribe(vm);
    let Some(device) = find(host, vm, name).await? else { return Ok(()) };
    host.removals.forget(vm, &device.alias);
    let patience = host.settings.device_patience;
    let deadline = Instant::now() + patience;
    loop {
        let asked = ask(host, vm, device.alias.clone()).await;
        if asked.is_err() && find(host, vm, name).await?.is_none() {
            return Ok(());
        }
        // An earlier request that the guest has not answered yet is an error of QEMU's.
        asked.or_else(|error| if is_from_qemu(&error) { Ok(()) } else { Err(error) })?;
        let refused = tokio::select! {
            removal = news.about(&device.alias) => removal == Removal::Refused,
            () = sleep_until(deadline.min(Instant::now() + ASK_AGAIN_AFTER)) => false,
        };
        let is_late = Instant::now() >= deadline;
        if refused || is_late {
            host.removals.give_up(vm, name, &device);
        }
        // An event may have been lost with the connection.
        if find(host, vm, name).await?.is_none() {
            host.removals.forget(vm, &device.alias);
            return Ok(());
        }
        if refused || is_late {
            let refusal = if refused { "refused to let go of it".to_owned() } else { did_not_answer(patience) };
            return Err(AgentError::InUse {
                what: name.to_string(),
                user: format!("the guest of VM {vm}, which {refusal}; end its use in the guest, or stop the VM"),
            });
        }
    }
}

fn did_not_answer(patience: Duration) -> String {
    format!("did not let go of it within {} s", patience.as_secs())
}

/// The device, as long as the VM runs and has it.
async fn find(host: &Host, vm: VmUuid, name: &DeviceName) -> Result<Option<LiveDevice>, AgentError> {
    match look_for(host, vm, name).await {
        Err(AgentError::NotFound { .. }) => Ok(None),
        Err(error) if is_gone(&error) => Ok(None),
        found => found,
    }
}

async fn ask(host: &Host, vm: VmUuid, alias: String) -> Result<(), AgentError> {
    host.commands
        .call_on(vm, OPERATION, ASK_DEADLINE, move |connection| match find_ours(connection, vm)? {
            Some(domain) => ffi::ask_to_release_device(&domain, &alias).map_err(failed(OPERATION)),
            None => Ok(()),
        })
        .await
}

fn is_from_qemu(error: &AgentError) -> bool {
    matches!(error, AgentError::Libvirt { code, .. } if *code == sys::VIR_ERR_INTERNAL_ERROR as i32)
}

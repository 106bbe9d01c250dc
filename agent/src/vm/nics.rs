//! The network interfaces of a VM that runs.

use std::sync::Arc;

use gantry_common::{
    agent::{AgentError, TAP_PREFIX, VmSpec, VmState},
    net::MacAddress,
};

use super::{
    Host,
    devices::{self, Device, DeviceName},
    turn::Turn,
    wrong_state,
};
use crate::libvirt::domain_xml;

/// Gives the VM the interfaces of `spec`: what is not in it any more is unplugged first, and given up to no other before
/// the guest let go of it. A VM that does not run is left as it is.
pub async fn set(host: &Arc<Host>, turn: &Arc<Turn>, spec: &VmSpec) -> Result<(), AgentError> {
    domain_xml::check(spec)?;
    let vm = spec.uuid;
    match host.observer.sight(vm).await?.state() {
        VmState::Absent => return Ok(()),
        VmState::Running => {}
        state @ (VmState::Paused | VmState::Stalled) => {
            return Err(wrong_state(vm, state, "resume it, so that its guest can let go of interfaces, or stop it"));
        }
    }
    let outcome = change(host, turn, spec).await;
    // What ended in the middle of it has nothing to change, and what its networks have is taken away for that.
    match outcome {
        Err(_) if host.observer.sight(vm).await?.state() == VmState::Absent => Ok(()),
        outcome => outcome,
    }
}

async fn change(host: &Arc<Host>, turn: &Arc<Turn>, spec: &VmSpec) -> Result<(), AgentError> {
    let vm = spec.uuid;
    let plugged = plugged(host, spec).await?;
    for mac in plugged.iter().filter(|mac| spec.nics.iter().all(|nic| nic.mac != **mac)) {
        devices::detach(host, turn, vm, &DeviceName::Interface(*mac)).await?;
    }
    host.networks.attach_vm(spec).await?;
    for nic in spec.nics.iter().filter(|nic| !plugged.contains(&nic.mac)) {
        let xml = domain_xml::render_interface(spec, nic)?;
        let device = Device { name: DeviceName::Interface(nic.mac), file: None, xml };
        if let Err(error) = devices::attach(host, turn, vm, device).await {
            take_back(host, spec).await;
            return Err(error);
        }
    }
    Ok(())
}

/// Takes what the networks have of interfaces that could not be plugged in.
async fn take_back(host: &Arc<Host>, spec: &VmSpec) {
    let taken_back = async {
        let plugged = plugged(host, spec).await?;
        let mut less = spec.clone();
        less.nics.retain(|nic| plugged.contains(&nic.mac));
        host.networks.attach_vm(&less).await
    };
    if let Err(error) = taken_back.await {
        tracing::error!(vm = %spec.uuid, %error, "an interface that could not be plugged in is still served");
    }
}

/// The interfaces of Gantry's that the running VM has.
async fn plugged(host: &Host, spec: &VmSpec) -> Result<Vec<MacAddress>, AgentError> {
    let live = devices::interfaces(host, spec.uuid).await?;
    let is_ours = |tap: &str| tap.starts_with(TAP_PREFIX) || spec.nics.iter().any(|nic| nic.tap == tap);
    Ok(live.into_iter().filter(|interface| is_ours(&interface.tap)).map(|interface| interface.mac).collect())
}

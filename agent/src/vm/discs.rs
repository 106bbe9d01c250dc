//! The discs in the CD-ROM drives of a VM that runs.

use std::sync::Arc;

use gantry_common::{
    agent::{AgentError, Cdrom, VmState},
    id::VmUuid,
};

use super::{
    Host,
    devices::{self, Device, DeviceName},
    files,
};
use crate::libvirt::domain_xml;

/// Puts the discs into the VM's drives that are to be in them, and takes out the others. Call it in the VM's turn. A VM
/// that does not run is left as it is.
pub async fn set(host: &Arc<Host>, vm: VmUuid, drives: &[Cdrom]) -> Result<(), AgentError> {
    if host.observer.sight(vm).await?.state() == VmState::Absent {
        return Ok(());
    }
    files::inspect(&[], drives).await?;
    // They were given their targets in the order of their numbers.
    let live = devices::cdroms(host, vm).await?;
    for drive in drives {
        let Some(there) = live.get(drive.device_id as usize) else {
            if drive.path.is_none() {
                continue;
            }
            let name = format!("CD-ROM drive {} of VM {vm}; it has it from its next start on", drive.device_id);
            return Err(AgentError::NotFound { what: "drive".to_owned(), name });
        };
        if there.disc == drive.path {
            continue;
        }
        let xml = domain_xml::render_cdrom(drive.path.as_deref(), &there.target, &there.bus)?;
        let name = DeviceName::Drive(there.target.clone());
        devices::update(host, vm, Device { name, file: drive.path.clone(), xml }).await?;
    }
    Ok(())
}

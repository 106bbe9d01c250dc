//! The disks of a VM that runs.

use std::{sync::Arc, time::Duration};

use gantry_common::{
    agent::{AgentError, Disk, Platform},
    id::{VmUuid, VolumeUuid},
};
use virt::domain::Domain;
use virt_sys as sys;

use super::{
    Host,
    devices::{self, Device, DeviceName},
    files,
    look::find_ours,
    turn::Turn,
};
use crate::{
    libvirt::{domain_xml, failed},
    storage::{asked_bytes, smaller_than_it_is},
};

/// QEMU writes a larger qcow2's tables, on storage that may be slow.
const RESIZE_DEADLINE: Duration = Duration::from_secs(60);

/// Attaches a data disk, once its file was found usable on this host.
pub async fn attach(
    host: &Arc<Host>,
    turn: &Arc<Turn>,
    vm: VmUuid,
    platform: Platform,
    disk: Disk,
) -> Result<(), AgentError> {
    let direct_io = files::inspect(std::slice::from_ref(&disk), &[]).await?.contains(&disk.path);
    let xml = domain_xml::render_disk(&disk, platform, direct_io)?;
    let device = Device { name: DeviceName::Volume(disk.volume), file: Some(disk.path), xml };
    devices::attach(host, turn, vm, device).await
}

/// The target name of a volume's disk, where the VM runs with it.
pub async fn find(host: &Host, vm: VmUuid, volume: VolumeUuid) -> Result<Option<String>, AgentError> {
    match devices::look_for(host, vm, &DeviceName::Volume(volume)).await {
        Ok(device) => Ok(device.and_then(|device| device.target)),
        Err(AgentError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a disk of the running VM larger. Call it in the VM's turn.
pub async fn resize(host: &Host, vm: VmUuid, target: String, size_bytes: u64) -> Result<(), AgentError> {
    const OPERATION: &str = "virDomainBlockResize";
    let wanted_bytes = asked_bytes(size_bytes, false)?;
    let grow = move |domain: Domain| {
        let now_bytes = domain.get_block_info(&target, 0).map_err(failed("virDomainGetBlockInfo"))?.capacity;
        if wanted_bytes < now_bytes {
            return Err(smaller_than_it_is(size_bytes, now_bytes));
        }
        if wanted_bytes == now_bytes {
            return Ok(());
        }
        let flags = sys::VIR_DOMAIN_BLOCK_RESIZE_BYTES;
        domain.block_resize(&target, wanted_bytes, flags).map(drop).map_err(failed(OPERATION))
    };
    let grown = host
        .commands
        .call_on(vm, OPERATION, RESIZE_DEADLINE, move |connection| find_ours(connection, vm)?.map(grow).transpose())
        .await?;
    grown.ok_or_else(|| AgentError::NotFound { what: "running VM".into(), name: vm.to_string() })
}

//! The disks of a VM that runs.

use std::sync::Arc;

use gantry_common::{
    agent::{AgentError, Disk, Platform},
    id::VmUuid,
};

use super::{
    Host,
    devices::{self, Device, DeviceName},
    files,
    turn::Turn,
};
use crate::libvirt::domain_xml;

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

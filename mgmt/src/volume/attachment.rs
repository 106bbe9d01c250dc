//! Which data volumes a VM can have, and which it can give away. The lists of candidates go by the same checks as the
//! operations.

use std::collections::BTreeSet;

use gantry_common::{
    error::ErrorKind,
    id::{HostUuid, PrimaryStorageUuid},
};
use serde::{Deserialize, Serialize};

use super::{VolumeAdmission, VolumeCommand, admit_volume, choose_storage};
use crate::{
    failure::Failure,
    hosts::host_name,
    operations::require,
    resource::{
        AdminState, ConnectionStatus, GuestPlatform, Host, MediaStatus, PrimaryStorage, PrimaryStorageClusterRef,
        VmInstance, VmInstanceState, Volume,
    },
    settings::Values,
    store::{SqlValue, Tx},
};

/// An IDE machine has places for four drives: the root disk, a CD-ROM drive, and these.
const IDE_DATA_DISKS: usize = 2;

/// How a volume is attached to a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The disk's number in the VM.
    pub device_id: u32,
    /// The host on which the VM runs, if it does.
    pub live_on: Option<HostUuid>,
    /// Where the volume's file is to be made, if it has none.
    pub home: Option<(PrimaryStorageUuid, HostUuid)>,
}

fn forbids<T>(details: String) -> Result<T, Failure> {
    Err(Failure::new(ErrorKind::StateForbids, details))
}

/// How the volume would be attached to the VM, or why it cannot be.
pub fn admit_attachment(
    tx: &Tx<'_>,
    settings: &Values,
    volume: &Volume,
    vm: &VmInstance,
) -> Result<Attachment, Failure> {
    admit_volume(volume, VolumeCommand::Attach)?;
    let live_on = match vm.state {
        VmInstanceState::Created | VmInstanceState::Stopped => None,
        VmInstanceState::Running | VmInstanceState::Paused => {
            require_pluggable(vm)?;
            vm.host_uuid
        }
        state => {
            return forbids(format!("VM '{}' is {state}: it must be Running, Paused, Stopped or Created", vm.name));
        }
    };
    let device_id = free_device_id(tx, settings, vm)?;
    let root = vm.root_volume_uuid.map(|root| tx.get::<Volume>(root)).transpose()?.flatten();
    let Some((storage, host)) = root.and_then(|root| Some((root.primary_storage_uuid?, root.host_uuid?))) else {
        return forbids(format!("VM '{}' has no root volume yet", vm.name));
    };
    let home = match volume.host_uuid {
        Some(at) => {
            require_same_host(tx, volume, vm, at, host)?;
            None
        }
        None => {
            // Beside the root volume, if that can be.
            let at = require::<Host>(tx, "hostUuid", host)?;
            Some((choose_storage(tx, settings, volume, storage, &at)?, host))
        }
    };
    Ok(Attachment { device_id, live_on, home })
}

fn require_same_host(
    tx: &Tx<'_>,
    volume: &Volume,
    vm: &VmInstance,
    at: HostUuid,
    vm_at: HostUuid,
) -> Result<(), Failure> {
    let on = require::<Host>(tx, "hostUuid", at)?;
    if at != vm_at {
        return forbids(format!(
            "volume '{}' is on the local storage of {} and VM '{}' on that of {}: move it with LocalStorageMigrateVolume",
            volume.name,
            host_name(tx, at)?,
            vm.name,
            host_name(tx, vm_at)?
        ));
    }
    let storage = volume.primary_storage_uuid.map(|uuid| tx.get::<PrimaryStorage>(uuid)).transpose()?.flatten();
    let Some(storage) = storage else { return forbids(format!("volume '{}' is on no primary storage", volume.name)) };
    let link = [("primary_storage_uuid", storage.uuid.to_sql()), ("cluster_uuid", on.cluster_uuid.to_sql())];
    if tx.count::<PrimaryStorageClusterRef>(&link)? == 0 {
        return forbids(format!(
            "primary storage '{}' of volume '{}' is not attached to the cluster of VM '{}'",
            storage.name, volume.name, vm.name
        ));
    }
    if storage.state == AdminState::Maintenance {
        return forbids(format!(
            "volume '{}' is on primary storage '{}', which is in Maintenance: enable it",
            volume.name, storage.name
        ));
    }
    Ok(())
}

/// QEMU plugs no SATA and no IDE disks.
fn require_pluggable(vm: &VmInstance) -> Result<(), Failure> {
    match vm.platform {
        GuestPlatform::Linux | GuestPlatform::Paravirtualization | GuestPlatform::WindowsVirtio => Ok(()),
        platform @ (GuestPlatform::Windows | GuestPlatform::Other) => forbids(format!(
            "VM '{}' is {} and its platform is {platform}, whose disks cannot come and go while it runs: stop it first",
            vm.name, vm.state
        )),
    }
}

/// The lowest number that no disk of the VM has; 0 is the root disk's.
fn free_device_id(tx: &Tx<'_>, settings: &Values, vm: &VmInstance) -> Result<u32, Failure> {
    let disks = tx.find::<Volume>(&[("vm_instance_uuid", vm.uuid.to_sql())])?;
    let data_disks = disks.iter().filter(|disk| Some(disk.uuid) != vm.root_volume_uuid).count();
    let refuse = |why: String| Err(Failure::new(ErrorKind::Refused, format!("VM '{}' has {why}", vm.name)));
    if data_disks >= settings.vm_max_data_volumes as usize {
        return refuse(format!(
            "{data_disks} data volumes, and the setting kvm dataVolume.maxNum allows {}",
            settings.vm_max_data_volumes
        ));
    }
    if vm.platform == GuestPlatform::Other && data_disks >= IDE_DATA_DISKS {
        return refuse(format!("{data_disks} data volumes, and platform Other has room for {IDE_DATA_DISKS}"));
    }
    let taken: BTreeSet<u32> = disks.iter().filter_map(|disk| disk.device_id).collect();
    Ok((1..).find(|number| !taken.contains(number)).unwrap_or(1))
}

/// Whether the volume has to be taken from a VM, and from which host's domain: `None` where no VM has it, `Some(None)` where
/// its VM does not run.
pub fn admit_detachment(tx: &Tx<'_>, volume: &Volume) -> Result<Option<Option<HostUuid>>, Failure> {
    if admit_volume(volume, VolumeCommand::Detach)? == VolumeAdmission::Done {
        return Ok(None);
    }
    let vm = volume.vm_instance_uuid.map(|vm| tx.get::<VmInstance>(vm)).transpose()?.flatten();
    let Some(vm) = vm else { return Ok(Some(None)) };
    match vm.state {
        VmInstanceState::Created | VmInstanceState::Stopped | VmInstanceState::Destroyed => Ok(Some(None)),
        VmInstanceState::Running => {
            require_pluggable(&vm)?;
            Ok(Some(vm.host_uuid))
        }
        state => forbids(format!(
            "volume '{}' is attached to VM '{}', which is {state}: it must be Running, so that its guest can let go of the disk, or Stopped",
            volume.name, vm.name
        )),
    }
}

/// Refuses a volume whose file cannot be worked on, because its host is away.
pub fn require_host(tx: &Tx<'_>, volume: &Volume) -> Result<(), Failure> {
    let host = volume.host_uuid.map(|host| tx.get::<Host>(host)).transpose()?.flatten();
    match host {
        Some(host) if host.status != ConnectionStatus::Connected => Err(Failure::new(
            ErrorKind::HostDisconnected,
            format!(
                "volume '{}' is on {}, which is {}: see QueryHost",
                volume.name,
                host_name(tx, host.uuid)?,
                host.status
            ),
        )),
        _ => Ok(()),
    }
}

/// Gives the volume to a VM, under a number.
pub fn attach(volume: &mut Volume, vm: &VmInstance, device_id: u32) {
    volume.vm_instance_uuid = Some(vm.uuid);
    volume.device_id = Some(device_id);
}

/// Takes the volume from its VM.
pub fn detach(volume: &mut Volume) {
    volume.vm_instance_uuid = None;
    volume.device_id = None;
}

/// What a volume is when it is no longer set aside.
pub fn status_at_rest(volume: &Volume) -> MediaStatus {
    if volume.install_path.is_some() { MediaStatus::Ready } else { MediaStatus::NotInstantiated }
}

//! AttachIsoToVmInstance, DetachIsoFromVmInstance: discs in the CD-ROM drives of a VM that runs or is off.

use gantry_common::{
    error::ErrorKind,
    id::{HostUuid, ImageUuid, VmUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::making::require,
    caching::Caching,
    devices::{Without, set_discs, set_discs_back},
};
use crate::{
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{AdminState, Image, MediaStatus, MediaType, VmInstance, Volume},
    store::Tx,
    vm::{Disc, disc_storage, discs, eject_disc, empty_drive, insert_disc, require_running_or_off},
};

operation! {
    /// Puts an ISO image into a CD-ROM drive of a VM: at once where it runs, else for its next start.
    AttachIsoToVmInstance, "3.1.18", Post "/vm-instances/{vmInstanceUuid}/iso/{isoUuid}", Job -> VmInstance; {
        /// The VM.
        vm_instance_uuid: VmUuid;
        /// The ISO image.
        iso_uuid: ImageUuid;
    }
}

/// How the image gets to the VM.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Inserting {
    /// The host on which the VM runs.
    host: Option<HostUuid>,
    cache: Option<Caching>,
}

/// The drive that an ISO image would go into, and how it would get to the VM's host.
pub struct Insertion {
    drive: u32,
    cache: Option<Caching>,
}

/// Whether an ISO image can be put into a drive of a VM, and how.
pub fn check_insertable(tx: &Tx<'_>, vm: &VmInstance, iso: &Image) -> Result<Insertion, Failure> {
    require_running_or_off(vm)?;
    if iso.media_type != MediaType::Iso {
        return Err(Failure::argument(
            "isoUuid",
            iso.uuid,
            format!("image '{}' is a {}: an ISO is needed", iso.name, iso.media_type),
        ));
    }
    if iso.status != MediaStatus::Ready || iso.state != AdminState::Enabled {
        return Err(Failure::new(
            ErrorKind::StateForbids,
            format!("image '{}' is {} and {}: it must be Ready and Enabled", iso.name, iso.status, iso.state),
        ));
    }
    if discs(tx, vm.uuid)?.iter().any(|disc| disc.image == iso.uuid) {
        let details = format!("ISO image '{}' is in a drive of VM '{}' already", iso.name, vm.name);
        return Err(Failure::new(ErrorKind::Duplicate, details));
    }
    let drive = empty_drive(tx, vm)?;
    let storage = disc_storage(tx, vm)?;
    let cache = host_of_discs(tx, vm)?.map(|host| Caching::plan(tx, iso, &storage, host)).transpose()?;
    Ok(Insertion { drive, cache })
}

/// Where a VM's discs are needed: the host on which it runs, or the one that its volumes keep it on.
fn host_of_discs(tx: &Tx<'_>, vm: &VmInstance) -> Result<Option<HostUuid>, Failure> {
    let root = vm.root_volume_uuid.map(|uuid| require::<Volume>(tx, "rootVolumeUuid", uuid)).transpose()?;
    Ok(vm.host_uuid.or(root.and_then(|root| root.host_uuid)))
}

impl JobOperation for AttachIsoToVmInstance {
    type State = Inserting;

    fn locks(&self) -> Vec<String> {
        vec![self.vm_instance_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("choose a drive", |tx, run: &mut Recording<'_, Self>| {
                let vm = require::<VmInstance>(tx, "vmInstanceUuid", run.params.vm_instance_uuid)?;
                let iso = require::<Image>(tx, "isoUuid", run.params.iso_uuid)?;
                let Insertion { drive, cache } = check_insertable(tx, &vm, &iso)?;
                insert_disc(tx, vm.uuid, Disc { drive, image: iso.uuid })?;
                *run.state = Inserting { host: vm.host_uuid, cache };
                Ok(tx.touch::<VmInstance>(vm.uuid)?)
            })
            .undo_record(|tx, run| eject_disc(tx, run.params.vm_instance_uuid, run.params.iso_uuid)),
            Step::remote("bring the ISO image to the host", |mut run: Run<Self>| async move {
                if let Some(mut cache) = run.state.cache.clone() {
                    cache.bring(&run).await?;
                    run.state.cache = Some(cache);
                }
                Ok(run.state)
            })
            .cancellable(),
            Step::record("note the cached image", |tx, run| {
                run.state.cache.as_ref().map_or(Ok(()), |cache| cache.note(tx))
            }),
            Step::remote("put the disc in", |run: Run<Self>| async move {
                if let Some(host) = run.state.host {
                    set_discs(&run, host, run.params.vm_instance_uuid, Without::Nothing).await?;
                }
                Ok(run.state)
            })
            .undo_remote(|run: Run<Self>| async move {
                if let Some(host) = run.state.host {
                    let without = Without::Disc(run.params.iso_uuid);
                    set_discs_back(&run.node, host, run.params.vm_instance_uuid, without).await?;
                }
                Ok(run.state)
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Inserting) -> Result<Value, Failure> {
        inventory_reply::<VmInstance>(tx, self.vm_instance_uuid)
    }
}

operation! {
    /// Takes an ISO image out of the CD-ROM drive of a VM that runs or is off.
    DetachIsoFromVmInstance, "3.1.19", Delete "/vm-instances/{vmInstanceUuid}/iso", Job -> VmInstance; {
        /// The VM.
        vm_instance_uuid: VmUuid;
        /// The ISO image; may be left out where only one is in the VM's drives.
        iso_uuid: Option<ImageUuid>;
    }
}

/// The image that is taken out, and the host on which the VM runs; no image where none is in.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Ejecting {
    iso: Option<ImageUuid>,
    host: Option<HostUuid>,
}

impl Ejecting {
    fn live(&self) -> Option<(HostUuid, ImageUuid)> {
        Some((self.host?, self.iso?))
    }
}

impl JobOperation for DetachIsoFromVmInstance {
    type State = Ejecting;

    fn locks(&self) -> Vec<String> {
        vec![self.vm_instance_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("find the disc", |tx, run: &mut Recording<'_, Self>| {
                let vm = require::<VmInstance>(tx, "vmInstanceUuid", run.params.vm_instance_uuid)?;
                require_running_or_off(&vm)?;
                *run.state = Ejecting { iso: disc_to_eject(tx, &vm, run.params.iso_uuid)?, host: vm.host_uuid };
                Ok(())
            }),
            Step::remote("take the disc out", |run: Run<Self>| async move {
                if let Some((host, iso)) = run.state.live() {
                    set_discs(&run, host, run.params.vm_instance_uuid, Without::Disc(iso)).await?;
                }
                Ok(run.state)
            })
            .undo_remote(|run: Run<Self>| async move {
                if let Some((host, _)) = run.state.live() {
                    set_discs_back(&run.node, host, run.params.vm_instance_uuid, Without::Nothing).await?;
                }
                Ok(run.state)
            }),
            Step::record("record that the drive is empty", |tx, run| match run.state.iso {
                Some(iso) => {
                    eject_disc(tx, run.params.vm_instance_uuid, iso)?;
                    Ok(tx.touch::<VmInstance>(run.params.vm_instance_uuid)?)
                }
                None => Ok(()),
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Ejecting) -> Result<Value, Failure> {
        inventory_reply::<VmInstance>(tx, self.vm_instance_uuid)
    }
}

/// The disc that is meant; none where the drives are empty and none was named.
fn disc_to_eject(tx: &Tx<'_>, vm: &VmInstance, named: Option<ImageUuid>) -> Result<Option<ImageUuid>, Failure> {
    let images: Vec<ImageUuid> = discs(tx, vm.uuid)?.into_iter().map(|disc| disc.image).collect();
    match named {
        Some(iso) if images.contains(&iso) => Ok(Some(iso)),
        Some(iso) => Err(Failure::argument("isoUuid", iso, format!("it is in no drive of VM '{}'", vm.name))),
        None if images.len() <= 1 => Ok(images.first().copied()),
        None => {
            let there: Vec<String> = images.iter().map(ToString::to_string).collect();
            let remedy =
                format!("several ISO images are in drives of VM '{}': name one of {}", vm.name, there.join(", "));
            Err(Failure::argument("isoUuid", "", remedy))
        }
    }
}

//! The CD-ROM drives of a VM, and the discs in them. Which ISO image is in which drive stands in a system tag of the VM,
//! `iso::{imageUuid}::{drive}`, as clients know it.

use gantry_common::{
    agent::Cdrom,
    error::ErrorKind,
    id::{ImageUuid, VmUuid},
};

use super::cached_path;
use crate::{
    failure::Failure,
    operations::require,
    resource::{GuestPlatform, Image, PrimaryStorage, VmInstance, Volume},
    store::{SqlValue, Tx},
    tags,
};

/// What the system tag of a disc begins with.
pub const DISC_TAG: &str = "iso::";

/// How many CD-ROM drives a VM has where its platform has room for them.
const CD_DRIVES: u32 = 3;

/// How many disks and CD-ROM drives platform Other has room for: its IDE bus has two channels of two drives.
const IDE_DRIVES: u32 = 4;

/// An ISO image in a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disc {
    /// The drive's number.
    pub drive: u32,
    /// The image.
    pub image: ImageUuid,
}

impl Disc {
    fn parse(tag: &str) -> Option<Self> {
        let (image, drive) = tag.strip_prefix(DISC_TAG)?.split_once("::")?;
        Some(Self { drive: drive.parse().ok()?, image: image.parse().ok()? })
    }

    fn tag(self) -> String {
        format!("{DISC_TAG}{}::{}", self.image, self.drive)
    }
}

/// The discs in a VM's drives, by the drives' numbers.
pub fn discs(tx: &Tx<'_>, vm: VmUuid) -> Result<Vec<Disc>, Failure> {
    let tags = tx.system_tags(&vm.to_string())?;
    let mut discs: Vec<Disc> = tags.iter().filter_map(|tag| Disc::parse(tag)).collect();
    discs.sort_by_key(|disc| disc.drive);
    Ok(discs)
}

/// Records that a disc is in a VM's drive.
pub fn insert_disc(tx: &Tx<'_>, vm: VmUuid, disc: Disc) -> Result<(), Failure> {
    let mut discs = discs(tx, vm)?;
    discs.retain(|other| other.drive != disc.drive);
    discs.push(disc);
    set_discs(tx, vm, &discs)
}

/// Records that an image is in none of a VM's drives.
pub fn eject_disc(tx: &Tx<'_>, vm: VmUuid, image: ImageUuid) -> Result<(), Failure> {
    let mut discs = discs(tx, vm)?;
    discs.retain(|disc| disc.image != image);
    set_discs(tx, vm, &discs)
}

fn set_discs(tx: &Tx<'_>, vm: VmUuid, discs: &[Disc]) -> Result<(), Failure> {
    let tags: Vec<String> = discs.iter().map(|disc| disc.tag()).collect();
    tags::set_inherent(tx, VmInstance::declaration(), &vm.to_string(), DISC_TAG, &tags).map(drop)
}

/// The number of a VM's first empty drive, or a refusal that names what is in them.
pub fn empty_drive(tx: &Tx<'_>, vm: &VmInstance) -> Result<u32, Failure> {
    let taken = discs(tx, vm.uuid)?;
    let drives = drive_count(tx, vm)?;
    (0..drives).find(|drive| taken.iter().all(|disc| disc.drive != *drive)).ok_or_else(|| {
        let images: Vec<String> = taken.iter().map(|disc| disc.image.to_string()).collect();
        let details = if images.is_empty() {
            format!("VM '{}' has no CD-ROM drive: its disks take all {IDE_DRIVES} places of its IDE bus", vm.name)
        } else {
            format!(
                "VM '{}' has {drives} CD-ROM drives, and ISO images are in all of them ({}): detach one first",
                vm.name,
                images.join(", ")
            )
        };
        Failure::new(ErrorKind::StateForbids, details)
    })
}

fn drive_count(tx: &Tx<'_>, vm: &VmInstance) -> Result<u32, Failure> {
    if vm.platform != GuestPlatform::Other {
        return Ok(CD_DRIVES);
    }
    let disks = tx.count::<Volume>(&[("vm_instance_uuid", vm.uuid.to_sql())])?;
    Ok(IDE_DRIVES.saturating_sub(u32::try_from(disks).unwrap_or(IDE_DRIVES)).min(CD_DRIVES))
}

/// The primary storage whose cache a VM's discs are in: that of its root volume.
pub fn disc_storage(tx: &Tx<'_>, vm: &VmInstance) -> Result<PrimaryStorage, Failure> {
    let root = vm.root_volume_uuid.map(|uuid| require::<Volume>(tx, "rootVolumeUuid", uuid)).transpose()?;
    let storage = root.and_then(|root| root.primary_storage_uuid).ok_or_else(|| {
        Failure::new(ErrorKind::StateForbids, format!("VM '{}' has no root volume on a primary storage", vm.name))
    })?;
    require::<PrimaryStorage>(tx, "primaryStorageUuid", storage)
}

/// A VM's drives as its host needs to know them.
pub fn cd_drives(tx: &Tx<'_>, vm: &VmInstance) -> Result<Vec<Cdrom>, Failure> {
    let discs = discs(tx, vm.uuid)?;
    let mut drives: Vec<Cdrom> = (0..drive_count(tx, vm)?).map(|device_id| Cdrom { path: None, device_id }).collect();
    for Disc { drive, image } in discs {
        let path = cached_path(&disc_storage(tx, vm)?, &require::<Image>(tx, "isoUuid", image)?);
        drives.retain(|other| other.device_id != drive);
        drives.push(Cdrom { path: Some(path), device_id: drive });
    }
    drives.sort_by_key(|drive| drive.device_id);
    Ok(drives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disc_is_read_as_it_was_written() {
        let disc = Disc { drive: 2, image: ImageUuid::random() };
        assert_eq!(Disc::parse(&disc.tag()), Some(disc));
        for other in ["iso::", "iso::x::0", "hostname::iso"] {
            assert_eq!(Disc::parse(other), None, "{other}");
        }
    }
}

//! Disks and CD-ROM drives.

use std::collections::BTreeSet;

use gantry_common::agent::{Cdrom, Disk, ImageFormat, VmSpec};

use super::{Placement, boot::BootOrder, hardware::Hardware, xml::Element};

/// The disks, each under the letter of its number.
pub fn disks(spec: &VmSpec, hardware: Hardware, boot: BootOrder, placement: &Placement) -> Vec<Element> {
    let root = spec.disks.first().map(|disk| disk.volume);
    spec.disks
        .iter()
        .map(|disk| {
            let order = boot.root_disk.filter(|_| Some(disk.volume) == root);
            self::disk(disk, hardware, placement.direct_io.contains(&disk.path)).children(order.map(super::boot::order))
        })
        .collect()
}

/// One disk. `direct_io` says whether its file system can do direct I/O.
pub fn disk(disk: &Disk, hardware: Hardware, direct_io: bool) -> Element {
    let format = match disk.format {
        ImageFormat::Qcow2 => "qcow2",
        ImageFormat::Raw | ImageFormat::Iso => "raw",
    };
    // Without O_DIRECT, QEMU refuses cache=none. Write-back is as safe: what the guest flushes is flushed to the disk.
    let cache = if direct_io { "none" } else { "writeback" };
    Element::new("disk").attr("type", "file").attr("device", "disk").children([
        Element::new("driver").attr("name", "qemu").attr("type", format).attr("cache", cache).attr("discard", "unmap"),
        Element::new("source").attr("file", &disk.path),
        Element::new("target").attr("dev", hardware.disks.target(disk.device_id)).attr("bus", hardware.disks.as_str()),
        Element::text("serial", disk.volume),
    ])
}

/// The CD-ROM drives, in order of their number, under the letters that the disks leave free.
pub fn cdroms(spec: &VmSpec, hardware: Hardware, boot: BootOrder) -> Vec<Element> {
    let taken: BTreeSet<u32> = if hardware.cdroms == hardware.disks {
        spec.disks.iter().map(|disk| disk.device_id).collect()
    } else {
        BTreeSet::new()
    };
    let free = (0..).filter(|index| !taken.contains(index));
    let mut drives: Vec<&Cdrom> = spec.cdroms.iter().collect();
    drives.sort_by_key(|drive| drive.device_id);
    let boots = boot_drive(&drives);
    drives
        .into_iter()
        .zip(free)
        .map(|(drive, index)| {
            let order = boot.first_cdrom.filter(|_| Some(drive.device_id) == boots);
            let (target, bus) = (hardware.cdroms.target(index), hardware.cdroms.as_str());
            cdrom(drive.path.as_deref(), &target, bus).children(order.map(super::boot::order))
        })
        .collect()
}

/// The number of the drive to boot from: the first one with a disc in it, or the first.
fn boot_drive(drives: &[&Cdrom]) -> Option<u32> {
    drives.iter().find(|drive| drive.path.is_some()).or(drives.first()).map(|drive| drive.device_id)
}

/// A drive with a disc in it, or an empty one.
pub fn cdrom(disc: Option<&str>, target: &str, bus: &str) -> Element {
    Element::new("disk")
        .attr("type", "file")
        .attr("device", "cdrom")
        .child(Element::new("driver").attr("name", "qemu").attr("type", "raw"))
        .children(disc.map(|path| Element::new("source").attr("file", path)))
        .children([Element::new("target").attr("dev", target).attr("bus", bus), Element::new("readonly")])
}

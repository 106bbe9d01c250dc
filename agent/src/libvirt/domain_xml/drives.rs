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
    drives
        .into_iter()
        .zip(free)
        .enumerate()
        .map(|(position, (drive, index))| {
            let order = boot.first_cdrom.filter(|_| position == 0);
            Element::new("disk")
                .attr("type", "file")
                .attr("device", "cdrom")
                .children([
                    Element::new("driver").attr("name", "qemu").attr("type", "raw"),
                    Element::new("source").attr("file", &drive.path),
                    Element::new("target")
                        .attr("dev", hardware.cdroms.target(index))
                        .attr("bus", hardware.cdroms.as_str()),
                    Element::new("readonly"),
                ])
                .children(order.map(super::boot::order))
        })
        .collect()
}

//! What the firmware tries to boot from, in which order.

use gantry_common::agent::{BootDevice, VmSpec};

use super::xml::Element;

/// The place of each bootable device in the order, from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BootOrder {
    /// The root disk.
    pub root_disk: Option<u32>,
    /// The CD-ROM drive that `drives` chooses.
    pub first_cdrom: Option<u32>,
    /// The network interface with the lowest number.
    pub first_nic: Option<u32>,
}

impl BootOrder {
    /// The order of `spec`, or the root disk where it names none. Classes without a device take no place.
    pub fn of(spec: &VmSpec) -> Self {
        let classes = if spec.boot_order.is_empty() { &[BootDevice::HardDisk][..] } else { &spec.boot_order };
        let mut order = Self::default();
        let mut next = 1;
        for class in classes {
            let (place, exists) = match class {
                BootDevice::HardDisk => (&mut order.root_disk, !spec.disks.is_empty()),
                BootDevice::CdRom => (&mut order.first_cdrom, !spec.cdroms.is_empty()),
                BootDevice::Network => (&mut order.first_nic, !spec.nics.is_empty()),
            };
            if exists && place.is_none() {
                *place = Some(next);
                next += 1;
            }
        }
        order
    }
}

/// The element that gives a device its place.
pub fn order(place: u32) -> Element {
    Element::new("boot").attr("order", place)
}

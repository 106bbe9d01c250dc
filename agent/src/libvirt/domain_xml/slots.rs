//! Places for devices that come while the machine runs.

use super::{hardware::Hardware, xml::Element};

/// How many PCI Express devices a machine takes, those that it starts with included. 24 data disks, the most that a VM
/// may have unless a setting says otherwise, find room beside the root disk, the machine's own four devices and three
/// interfaces. More of them cost a guest boot time.
const PCIE_SLOTS: u32 = 32;

/// The machine's root ports. libvirt makes as many as the devices need that a machine starts with, and none to spare.
/// On i440FX every place of its one bus takes a device at any time.
pub fn slots(hardware: Hardware) -> Vec<Element> {
    if hardware.machine != "q35" {
        return Vec::new();
    }
    let controller = |model| Element::new("controller").attr("type", "pci").attr("model", model);
    let ports = (1..=PCIE_SLOTS).map(|index| controller("pcie-root-port").attr("index", index));
    [controller("pcie-root").attr("index", 0)].into_iter().chain(ports).collect()
}

//! Which emulated hardware each family of guest systems gets.

use gantry_common::agent::Platform;

/// A bus that disks and CD-ROM drives sit on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// virtio-blk.
    Virtio,
    /// AHCI.
    Sata,
    /// IDE: two channels of two drives.
    Ide,
}

impl Bus {
    /// libvirt's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Virtio => "virtio",
            Self::Sata => "sata",
            Self::Ide => "ide",
        }
    }

    /// The target name of the drive number `index` on this bus, such as `vda`.
    pub fn target(self, index: u32) -> String {
        let prefix = match self {
            Self::Virtio => "vd",
            Self::Sata => "sd",
            Self::Ide => "hd",
        };
        format!("{prefix}{}", letters(index))
    }

    /// Whether drives can come and go while the machine runs. QEMU emulates no hot-plug on the others.
    pub fn is_pluggable(self) -> bool {
        self == Self::Virtio
    }

    /// How many drives fit, where that is limited.
    pub fn max_drives(self) -> Option<u32> {
        (self == Self::Ide).then_some(4)
    }
}

/// a, b, … z, aa, ab, …
fn letters(index: u32) -> String {
    let last = char::from(b'a' + (index % 26) as u8);
    match index / 26 {
        0 => last.to_string(),
        more => letters(more - 1) + &last.to_string(),
    }
}

/// The hardware of one family of guest systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardware {
    /// QEMU's machine type.
    pub machine: &'static str,
    /// Where disks sit.
    pub disks: Bus,
    /// Where CD-ROM drives sit.
    pub cdroms: Bus,
    /// The network interfaces' model.
    pub nic_model: &'static str,
    /// The USB controller's model.
    pub usb: &'static str,
    /// Whether the guest drives virtio, so that it gets a balloon, a random number source and an agent channel.
    pub virtio: bool,
    /// Whether the guest keeps local time in its clock and knows Hyper-V's interfaces.
    pub windows: bool,
}

impl From<Platform> for Hardware {
    fn from(platform: Platform) -> Self {
        let linux = Self {
            machine: "q35",
            disks: Bus::Virtio,
            cdroms: Bus::Sata,
            nic_model: "virtio",
            usb: "qemu-xhci",
            virtio: true,
            windows: false,
        };
        match platform {
            Platform::Linux | Platform::Paravirtualization => linux,
            Platform::WindowsVirtio => Self { windows: true, ..linux },
            Platform::Windows => Self { disks: Bus::Sata, nic_model: "e1000e", virtio: false, windows: true, ..linux },
            Platform::Other => Self {
                machine: "pc",
                disks: Bus::Ide,
                cdroms: Bus::Ide,
                nic_model: "e1000",
                usb: "piix3-uhci",
                virtio: false,
                windows: false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_are_lettered_past_z() {
        let names = [0, 1, 25, 26, 27, 51, 52, 701, 702].map(|index| Bus::Virtio.target(index));
        assert_eq!(names, ["vda", "vdb", "vdz", "vdaa", "vdab", "vdaz", "vdba", "vdzz", "vdaaa"]);
    }
}

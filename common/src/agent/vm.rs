//! VMs on a host.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use serde::{Deserialize, Serialize};

use super::{ImageFormat, Network};
use crate::{
    cpu_set::CpuSet,
    id::{L3NetworkUuid, NicUuid, VmUuid, VolumeUuid},
    net::MacAddress,
};

/// A VM as it is to run: everything the host needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VmSpec {
    /// The VM; also the domain's uuid.
    pub uuid: VmUuid,
    /// The VM's name, free text.
    pub name: String,
    /// Virtual processors.
    pub cpu_num: u32,
    /// Those of them that run on certain processors of the host alone, each once.
    #[serde(default)]
    pub cpu_pins: Vec<CpuPin>,
    /// Memory.
    pub memory_bytes: u64,
    /// Which devices the guest can drive.
    pub platform: Platform,
    /// BIOS or UEFI.
    pub firmware: Firmware,
    /// Disks, the root disk first.
    pub disks: Vec<Disk>,
    /// CD-ROM drives, the empty ones included: a disc can be put into them while the VM runs.
    pub cdroms: Vec<Cdrom>,
    /// What to boot from, in order.
    pub boot_order: Vec<BootDevice>,
    /// Network interfaces.
    pub nics: Vec<Nic>,
    /// The networks the interfaces are on, each once.
    pub networks: Vec<Network>,
    /// The address on which the VNC console has a TCP port. Without one it is reached through the agent alone.
    #[serde(default)]
    pub console_listen: Option<IpAddr>,
    /// What the guest is told at 169.254.169.254.
    pub guest_data: GuestData,
}

/// A virtual processor that runs on certain processors of the host alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuPin {
    /// The virtual processor's number, from 0.
    pub vcpu: u32,
    /// The host's processors.
    pub cpus: CpuSet,
}

/// The family of guest systems, which decides the devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Platform {
    /// virtio.
    Linux,
    /// Windows without virtio drivers: SATA and e1000.
    Windows,
    /// Windows with virtio drivers.
    WindowsVirtio,
    /// Unknown: IDE and e1000 on the i440FX machine.
    Other,
    /// virtio, the older name.
    Paravirtualization,
}

/// The firmware a VM boots with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Firmware {
    /// SeaBIOS.
    #[default]
    Bios,
    /// OVMF.
    Uefi,
}

/// A device class to boot from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BootDevice {
    /// The root disk.
    HardDisk,
    /// The first CD-ROM drive with a disc in it, or the first one where all are empty.
    CdRom,
    /// The first network interface.
    Network,
}

/// A volume attached as a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The volume; also the disk's serial number in the guest.
    pub volume: VolumeUuid,
    /// The file.
    pub path: String,
    /// The file's format: qcow2 or raw.
    pub format: ImageFormat,
    /// The disk's number: 0 is the root disk.
    pub device_id: u32,
}

/// A CD-ROM drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cdrom {
    /// The ISO image in it; `None` while it is empty.
    pub path: Option<String>,
    /// The drive's number.
    pub device_id: u32,
}

/// What the names of all taps begin with that Gantry gives to interfaces. One of another name in a domain of Gantry's was
/// put there by somebody else and is left alone.
pub const TAP_PREFIX: &str = "vnic";

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// The interface.
    pub uuid: NicUuid,
    /// The interface's number in the VM.
    pub device_id: u32,
    /// The L3 network it is on, one of [`VmSpec::networks`].
    pub l3_network: L3NetworkUuid,
    /// The tap device's name on the host, at most 15 characters.
    pub tap: String,
    /// Its Ethernet address.
    pub mac: MacAddress,
    /// Its IP address.
    pub ip: Ipv4Addr,
    /// Whether it carries the guest's default route.
    pub is_default: bool,
    /// Whether packets from other MAC or IP addresses are dropped.
    pub anti_spoofing: bool,
}

/// What a guest is told about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestData {
    /// The guest's host name.
    pub hostname: Option<String>,
    /// User data, as the caller gave it.
    pub userdata: Option<String>,
    /// Public SSH keys for the default user.
    pub ssh_keys: Vec<String>,
}

/// Starts a VM.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartVm {
    /// The VM.
    pub vm: VmSpec,
}

/// Stops a VM.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StopVm {
    /// The VM.
    pub vm: VmUuid,
    /// How.
    pub mode: StopMode,
}

/// How a VM is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StopMode {
    /// Asks the guest to shut down, and pulls the plug when it has not after the given time.
    Grace {
        /// How long the guest has.
        timeout_seconds: u32,
    },
    /// Pulls the plug.
    Force,
}

/// Restarts a guest: asked first where `mode` says so, else reset.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RebootVm {
    /// The VM as it is to run after the restart.
    pub vm: VmSpec,
    /// How the running guest is stopped.
    pub mode: StopMode,
}

/// Gives a running VM the network interfaces of its specification: those that are missing are plugged in, those that are
/// not in it any more are unplugged, and what all of them are served is brought up to date.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetNics {
    /// The VM as it is to be.
    pub vm: VmSpec,
}

/// Puts discs into the drives of a running VM, and takes out those that are not to be in them, also where its guest holds
/// them fast.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetDiscs {
    /// The VM.
    pub vm: VmUuid,
    /// All of its drives, as they are to be.
    pub drives: Vec<Cdrom>,
}

/// Suspends a VM's processors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PauseVm {
    /// The VM.
    pub vm: VmUuid,
}

/// Lets a paused VM go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResumeVm {
    /// The VM.
    pub vm: VmUuid,
}

/// Attaches a data disk to a VM that runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttachDisk {
    /// The VM.
    pub vm: VmUuid,
    /// The VM's platform, which decides the disk's bus.
    pub platform: Platform,
    /// The disk.
    pub disk: Disk,
}

/// Detaches a volume's disk from a VM.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DetachDisk {
    /// The VM.
    pub vm: VmUuid,
    /// The volume.
    pub volume: VolumeUuid,
}

/// Looks at a VM.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ObserveVm {
    /// The VM.
    pub vm: VmUuid,
}

/// Asks where a VM's console is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConsoleAddressOf {
    /// The VM.
    pub vm: VmUuid,
}

/// Where VNC viewers reach a VM's console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleAddress {
    /// The address it listens on.
    pub listen: IpAddr,
    /// The TCP port.
    pub port: u16,
}

/// One look at a VM. Looks are numbered: a later look has a higher number, so that an old one never overrules a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The VM.
    pub vm: VmUuid,
    /// What libvirt said.
    pub state: VmState,
    /// The look's number, counted up by the agent from a start that only grows over its restarts.
    pub revision: u64,
}

/// A VM's state on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VmState {
    /// It runs (`VIR_DOMAIN_RUNNING`, `VIR_DOMAIN_BLOCKED`, and `VIR_DOMAIN_SHUTDOWN` while it still exists).
    Running,
    /// Its processors are suspended (`VIR_DOMAIN_PAUSED`).
    Paused,
    /// QEMU stopped it, for an I/O error for example, and waits.
    Stalled,
    /// It is not on this host: domains are transient, so one that ended is gone.
    Absent,
}

impl fmt::Display for VmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stalled => "stalled",
            Self::Absent => "not running",
        })
    }
}

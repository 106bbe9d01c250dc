//! The host as a whole.

use serde::{Deserialize, Serialize};

use crate::cpu_set::CpuSet;

/// Asks for [`HostFacts`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DescribeHost {}

/// Ends the host's membership of its management node.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Retire {}

/// What the host is and has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The agent's version.
    pub agent_version: String,
    /// The kernel's boot id; it changes when the host restarts.
    pub boot_id: String,
    /// The host's name.
    pub hostname: String,
    /// The operating system, such as `Debian GNU/Linux 12 (bookworm)`.
    pub operating_system: String,
    /// The kernel's release.
    pub kernel: String,
    /// The processor's model name.
    pub cpu_model: String,
    /// How many logical processors are online.
    pub cpu_num: u32,
    /// Which these are; none where the agent does not say.
    #[serde(default)]
    pub cpus: CpuSet,
    /// Processor sockets.
    pub cpu_sockets: u32,
    /// The processors' clock rate.
    pub cpu_mhz: u32,
    /// Physical memory.
    pub memory_bytes: u64,
    /// How guests run here.
    pub acceleration: Acceleration,
    /// libvirt's version, empty while libvirtd is not reachable.
    pub libvirt_version: String,
    /// QEMU's version, empty while libvirtd is not reachable.
    pub qemu_version: String,
    /// Physical and bonded network interfaces, which can carry an L2 network.
    pub interfaces: Vec<String>,
}

/// How guests run on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Acceleration {
    /// Hardware virtualisation: `<domain type='kvm'>`.
    Kvm,
    /// Emulation by TCG: `<domain type='qemu'>`.
    Emulation,
}

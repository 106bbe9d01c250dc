//! What the probe finds on a host.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    str::FromStr,
};

use serde::Serialize;

use super::packages::PackageManager;
use crate::id::{HostUuid, NodeUuid};

/// Everything the probe finds on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbedHost {
    /// The user the probe ran as; 0 is root.
    pub uid: u32,
    /// The host's clock when the probe ran, in seconds since 1970.
    pub clock_epoch_seconds: i64,
    /// The host's name.
    pub hostname: String,
    /// Its global addresses.
    pub addresses: Vec<IpAddr>,
    /// The machine's architecture as `uname -m` says it.
    pub architecture: String,
    /// The kernel's release.
    pub kernel: String,
    /// The operating system.
    pub os: OperatingSystem,
    /// The version of systemd, where it runs as init.
    pub systemd: Option<u32>,
    /// Logical processors that are online.
    pub cpu_count: u32,
    /// The processor's virtualisation extension, as its flags show it.
    pub cpu_virtualisation: Option<CpuVirtualisation>,
    /// Physical memory.
    pub memory_bytes: u64,
    /// Whether `/dev/kvm` is there. It alone proves nothing: it may belong to a hypervisor that cannot nest.
    pub kvm_device: bool,
    /// Whether QEMU may use `/dev/kvm`; `None` where it is not there or that cannot be seen.
    pub kvm_access: Option<KvmAccess>,
    /// IOMMU groups; without any, no device can be passed through.
    pub iommu_groups: u32,
    /// What the kernel can do.
    pub features: BTreeMap<KernelFeature, FeatureState>,
    /// libvirt.
    pub libvirt: LibvirtFacts,
    /// The emulator.
    pub qemu: Option<Qemu>,
    /// Whether `qemu-img` is there.
    pub qemu_img: bool,
    /// Whether `dnsmasq` is there.
    pub dnsmasq: bool,
    /// Whether `nft` is there.
    pub nft: bool,
    /// Whether UEFI firmware for guests is there.
    pub firmware: bool,
    /// What the package manager could install.
    pub packages: PackageFacts,
    /// The file systems that onboarding writes to.
    pub disks: Vec<DiskSpace>,
    /// TCP ports that something listens on.
    pub listening_ports: BTreeSet<u16>,
    /// The agent that is there already.
    pub agent: InstalledAgent,
}

/// An operating system by its `os-release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatingSystem {
    /// `ID`, such as `debian`.
    pub id: String,
    /// `VERSION_ID`; rolling distributions have none.
    pub version: String,
    /// `PRETTY_NAME`.
    pub name: String,
}

/// A processor's virtualisation extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CpuVirtualisation {
    /// Intel VT-x.
    Vmx,
    /// AMD-V.
    Svm,
}

/// Whether the user that libvirt runs QEMU as may use `/dev/kvm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KvmAccess {
    /// The user, such as `libvirt-qemu`.
    pub user: String,
    /// Whether it may read and write the device.
    pub allowed: bool,
}

/// A part of the kernel that Gantry needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelFeature {
    /// Ethernet bridges.
    Bridge,
    /// Virtual Ethernet pairs.
    Veth,
    /// TUN/TAP devices.
    Tun,
    /// nftables.
    NfTables,
}

impl KernelFeature {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bridge, Self::Veth, Self::Tun, Self::NfTables];

    /// The kernel module's name.
    pub const fn module(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Veth => "veth",
            Self::Tun => "tun",
            Self::NfTables => "nf_tables",
        }
    }
}

/// Whether the running kernel has a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureState {
    /// Built in or loaded.
    Present,
    /// A module that is loaded on demand.
    Loadable,
    /// The running kernel's modules are here and it is not among them.
    Missing,
    /// The running kernel's modules are not here, so nothing can be said.
    Unknown,
}

/// libvirt on a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LibvirtFacts {
    /// The installed daemons that can run QEMU guests, with their versions.
    pub daemons: BTreeMap<LibvirtDaemon, Version>,
    /// systemd's units of these daemons.
    pub units: Vec<SystemdUnit>,
    /// Daemons whose socket is there.
    pub sockets: BTreeSet<LibvirtDaemon>,
}

impl LibvirtFacts {
    /// The daemon to use: the one that runs, else the one that is enabled, else the one that is installed. Where both
    /// are alike the modular one is meant: it is installed beside the other only by distributions that prefer it.
    pub fn daemon(&self) -> Option<(LibvirtDaemon, Version)> {
        let rank = |daemon: LibvirtDaemon| (self.is_running(daemon), self.is_enabled(daemon), daemon);
        self.daemons.iter().map(|(daemon, version)| (*daemon, *version)).max_by_key(|(daemon, _)| rank(*daemon))
    }

    /// Whether the daemon answers: its service or its socket unit is active, or, without systemd, its socket is there.
    pub fn is_running(&self, daemon: LibvirtDaemon) -> bool {
        let mut units = self.units.iter().filter(|unit| unit.belongs_to(daemon)).peekable();
        if units.peek().is_some() { units.any(|unit| unit.active) } else { self.sockets.contains(&daemon) }
    }

    /// Whether the daemon comes back after a reboot.
    pub fn is_enabled(&self, daemon: LibvirtDaemon) -> bool {
        self.units.iter().any(|unit| unit.belongs_to(daemon) && unit.enabled)
    }
}

/// A libvirt daemon that can run QEMU guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LibvirtDaemon {
    /// The monolithic daemon.
    Libvirtd,
    /// The modular daemon for QEMU.
    Virtqemud,
}

impl LibvirtDaemon {
    /// The program's name, which is its units' name too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Libvirtd => "libvirtd",
            Self::Virtqemud => "virtqemud",
        }
    }
}

/// A unit that systemd knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemdUnit {
    /// Such as `libvirtd.socket`.
    pub name: String,
    /// Whether it is active.
    pub active: bool,
    /// Whether it is started at boot.
    pub enabled: bool,
}

impl SystemdUnit {
    fn belongs_to(&self, daemon: LibvirtDaemon) -> bool {
        self.name.split('.').next() == Some(daemon.name())
    }
}

/// The emulator of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Qemu {
    /// Its path.
    pub path: String,
    /// Its version.
    pub version: Version,
}

/// The version of a program: major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Version {
    type Err = ();

    /// Reads the first two numbers of `9.0.0` or `7.2.22`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.split('.').map(|number| number.parse().map_err(|_| ()));
        Ok(Self(numbers.next().ok_or(())??, numbers.next().ok_or(())??))
    }
}

/// What the package manager of a host could install.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageFacts {
    /// The package manager; `None` for one that Gantry does not know.
    pub manager: Option<PackageManager>,
    /// How many indexes its sources have. `None`: nothing is missing, so it was not asked.
    pub sources: Option<u32>,
    /// The packages it offers by what it knows now. Its lists may never have been fetched.
    pub offered: BTreeSet<String>,
}

/// A file system that onboarding writes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskSpace {
    /// The directory that was asked about.
    pub path: String,
    /// Bytes that can be written.
    pub available_bytes: u64,
    /// Files that can be made; `None` where the file system has no limit.
    pub available_inodes: Option<u64>,
    /// Whether the user of the probe may write there.
    pub writable: bool,
}

/// The agent that is on a host already.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstalledAgent {
    /// The program's SHA-256.
    pub digest: Option<Sha256Digest>,
    /// Whether it has a configuration, readable or not.
    pub configured: bool,
    /// The management node it belongs to, by its configuration. Only root can read that.
    pub node: Option<NodeUuid>,
    /// The host it is to that node.
    pub host: Option<HostUuid>,
    /// Whether its service runs.
    pub running: bool,
}

/// A SHA-256 as 64 lower-case hex characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sha256Digest(String);

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<[u8; 32]> for Sha256Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl FromStr for Sha256Digest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let hex = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if text.len() == 64 && hex { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

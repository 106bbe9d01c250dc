//! What a KVM host needs installed, and what each package manager calls it.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// A package manager that onboarding can drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageManager {
    /// Debian, Ubuntu.
    Apt,
    /// Fedora, RHEL and its rebuilds.
    Dnf,
    /// openSUSE, SLES.
    Zypper,
}

impl PackageManager {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apt => "apt",
            Self::Dnf => "dnf",
            Self::Zypper => "zypper",
        }
    }
}

impl fmt::Display for PackageManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PackageManager {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Apt, Self::Dnf, Self::Zypper].into_iter().find(|manager| manager.name() == text).ok_or(())
    }
}

/// Something a KVM host needs that a package brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Component {
    /// A libvirt daemon with the QEMU driver.
    Libvirt,
    /// The emulator.
    Qemu,
    /// `qemu-img`.
    QemuImg,
    /// UEFI firmware for guests.
    Firmware,
    /// `dnsmasq`.
    Dnsmasq,
    /// `nft`.
    Nftables,
}

impl Component {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Libvirt, Self::Qemu, Self::QemuImg, Self::Firmware, Self::Dnsmasq, Self::Nftables];

    /// The package that brings it. `architecture` is what `uname -m` says.
    pub fn package(self, manager: PackageManager, architecture: &str) -> &'static str {
        use PackageManager::{Apt, Dnf, Zypper};
        let arm = architecture == "aarch64";
        match (self, manager) {
            (Self::Libvirt, Apt) => "libvirt-daemon-system",
            (Self::Libvirt, Dnf) => "libvirt-daemon-kvm",
            (Self::Libvirt, Zypper) => "libvirt-daemon-qemu",
            (Self::Qemu, Apt) if arm => "qemu-system-arm",
            (Self::Qemu, Apt) => "qemu-system-x86",
            (Self::Qemu, Dnf) => "qemu-kvm",
            (Self::Qemu, Zypper) if arm => "qemu-arm",
            (Self::Qemu, Zypper) => "qemu-x86",
            (Self::QemuImg, Apt) => "qemu-utils",
            (Self::QemuImg, Dnf) => "qemu-img",
            (Self::QemuImg, Zypper) => "qemu-tools",
            (Self::Firmware, Apt) if arm => "qemu-efi-aarch64",
            (Self::Firmware, Apt) => "ovmf",
            (Self::Firmware, Dnf) if arm => "edk2-aarch64",
            (Self::Firmware, Dnf) => "edk2-ovmf",
            (Self::Firmware, Zypper) if arm => "qemu-uefi-aarch64",
            (Self::Firmware, Zypper) => "qemu-ovmf-x86_64",
            (Self::Dnsmasq, Apt) => "dnsmasq-base",
            (Self::Dnsmasq, Dnf | Zypper) => "dnsmasq",
            (Self::Nftables, _) => "nftables",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Libvirt => "libvirt",
            Self::Qemu => "QEMU",
            Self::QemuImg => "qemu-img",
            Self::Firmware => "UEFI firmware",
            Self::Dnsmasq => "dnsmasq",
            Self::Nftables => "nftables",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::PROBE, *};

    #[test]
    fn the_probe_asks_for_every_package_that_could_be_installed() {
        for manager in [PackageManager::Apt, PackageManager::Dnf, PackageManager::Zypper] {
            let begin = PROBE.find(&format!("    {manager})\n")).unwrap();
            let asked = &PROBE[begin..begin + PROBE[begin..].find(";;").unwrap()];
            for component in Component::ALL {
                for architecture in ["x86_64", "aarch64"] {
                    let package = component.package(manager, architecture);
                    assert!(asked.split_whitespace().any(|word| word == package), "{manager}: {package}");
                }
            }
        }
    }
}

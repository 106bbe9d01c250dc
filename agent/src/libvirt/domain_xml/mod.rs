//! From a VM's specification to libvirt's domain XML.

mod boot;
mod consoles;
mod drives;
mod hardware;
mod interfaces;
mod machine;
mod ownership;
mod slots;
mod validate;
mod xml;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, path::PathBuf};

use gantry_common::agent::{Acceleration, AgentError, Disk, Nic, Platform, VmSpec};

pub use self::ownership::is_ours;
use self::{boot::BootOrder, hardware::Hardware, xml::Element};

/// libvirt's limit is higher; a title is one line for people to read.
const TITLE_CHARACTERS: usize = 255;

/// What carries out the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hypervisor {
    /// QEMU with hardware virtualisation.
    Kvm,
    /// QEMU with emulation (TCG).
    Qemu,
    /// libvirt's own test driver, which runs nothing.
    #[cfg(test)]
    Test,
}

impl From<Acceleration> for Hypervisor {
    fn from(acceleration: Acceleration) -> Self {
        match acceleration {
            Acceleration::Kvm => Self::Kvm,
            Acceleration::Emulation => Self::Qemu,
        }
    }
}

impl Hypervisor {
    fn as_str(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Qemu => "qemu",
            #[cfg(test)]
            Self::Test => "test",
        }
    }
}

/// What the domain's XML has to know of the host it runs on.
#[derive(Debug, Clone)]
pub struct Placement {
    /// How guests run here.
    pub hypervisor: Hypervisor,
    /// The disks whose file system can do direct I/O.
    pub direct_io: BTreeSet<String>,
    /// Where the guest's serial line is recorded.
    pub serial_log: PathBuf,
    /// Where the guest's UEFI variables are kept; `None` leaves that to libvirt.
    pub nvram: Option<PathBuf>,
}

/// Refuses a specification that cannot become a domain on any host.
pub fn check(spec: &VmSpec) -> Result<(), AgentError> {
    let hardware = Hardware::from(spec.platform);
    validate::validate(spec, hardware)?;
    interfaces::interfaces(spec, hardware, BootOrder::default()).map(drop)
}

/// The XML of the transient domain that is to run `spec` here.
pub fn render(spec: &VmSpec, placement: &Placement) -> Result<String, AgentError> {
    let hardware = Hardware::from(spec.platform);
    validate::validate(spec, hardware)?;
    let boot = BootOrder::of(spec);
    let devices = Element::new("devices")
        .children(slots::slots(hardware))
        .children(drives::disks(spec, hardware, boot, placement))
        .children(drives::cdroms(spec, hardware, boot))
        .children(interfaces::interfaces(spec, hardware, boot)?)
        .children(consoles::serial(placement))
        .children(consoles::screen(spec, hardware))
        .children(consoles::guest_support(hardware));
    let domain = Element::new("domain")
        .attr("type", placement.hypervisor.as_str())
        .children([
            Element::text("name", spec.uuid),
            Element::text("uuid", spec.uuid.hyphenated()),
            Element::text("title", title(&spec.name)),
            ownership::mark(spec.uuid),
            machine::memory(spec),
            machine::vcpu(spec),
        ])
        .children(machine::cputune(spec))
        .children([
            machine::sysinfo(spec),
            machine::os(spec, hardware, placement),
            machine::features(hardware, placement.hypervisor),
            machine::cpu(spec, placement.hypervisor),
            machine::clock(hardware, placement.hypervisor),
        ])
        .children(machine::lifecycle())
        .children([machine::power_management(), devices]);
    write(&domain)
}

/// The XML of a data disk for a domain that runs already. `direct_io` says whether its file system can do direct I/O.
///
/// # Errors
/// The platform's disks can only be there when the machine starts, or the disk's path or number is not usable.
pub fn render_disk(disk: &Disk, platform: Platform, direct_io: bool) -> Result<String, AgentError> {
    let hardware = Hardware::from(platform);
    validate::live_disk(disk, platform, hardware)?;
    write(&drives::disk(disk, hardware, direct_io))
}

/// The XML of one of the interfaces of `spec` for a domain that runs already.
///
/// # Errors
/// The interface's network is not in `spec`.
pub fn render_interface(spec: &VmSpec, nic: &Nic) -> Result<String, AgentError> {
    write(&interfaces::plugged(spec, nic, Hardware::from(spec.platform))?)
}

/// The XML of a CD-ROM drive of a domain that runs already, with or without a disc in it.
pub fn render_cdrom(disc: Option<&str>, target: &str, bus: &str) -> Result<String, AgentError> {
    disc.map_or(Ok(()), validate::disc)?;
    write(&drives::cdrom(disc, target, bus))
}

fn write(element: &Element) -> Result<String, AgentError> {
    element.to_document().map_err(|error| AgentError::Internal { reason: format!("domain XML: {error}") })
}

/// The VM's name as one line; it identifies nothing, so that what XML cannot carry may be replaced.
fn title(name: &str) -> String {
    let visible = |character: char| if character.is_control() || !xml::is_allowed(character) { ' ' } else { character };
    let title: String = name.chars().map(visible).take(TITLE_CHARACTERS).collect();
    title.trim().to_owned()
}

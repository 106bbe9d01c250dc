//! What libvirt or QEMU would refuse late, or with words that help nobody, is refused here.

use std::{collections::BTreeSet, path::Path};

use gantry_common::agent::{AgentError, Disk, Platform, VmSpec};

use super::{hardware::Hardware, xml::is_allowed};

/// The kernel's limit (`IFNAMSIZ`), without the terminating zero.
const INTERFACE_NAME_MAX: usize = 15;

/// Checks `spec` as far as that takes no look at the host.
pub fn validate(spec: &VmSpec, hardware: Hardware) -> Result<(), AgentError> {
    if spec.cpu_num == 0 {
        return Err(AgentError::invalid("vm.cpuNum", 0, "give the VM at least one processor"));
    }
    if spec.memory_bytes == 0 {
        return Err(AgentError::invalid("vm.memoryBytes", 0, "give the VM memory"));
    }
    cpu_pins(spec)?;
    spec.disks.iter().try_for_each(|disk| file_path("vm.disks.path", &disk.path))?;
    spec.cdroms
        .iter()
        .filter_map(|drive| drive.path.as_ref())
        .try_for_each(|path| file_path("vm.cdroms.path", path))?;
    unique("vm.disks.deviceId", spec.disks.iter().map(|disk| disk.device_id))?;
    unique("vm.cdroms.deviceId", spec.cdroms.iter().map(|drive| drive.device_id))?;
    unique("vm.nics.deviceId", spec.nics.iter().map(|nic| nic.device_id))?;
    for nic in &spec.nics {
        interface_name("vm.nics.tap", &nic.tap)?;
    }
    for network in &spec.networks {
        interface_name("vm.networks.bridge", &network.bridge.name)?;
    }
    drives_fit(spec, hardware)
}

/// Checks a disk that is to be attached to a machine that runs.
pub fn live_disk(disk: &Disk, platform: Platform, hardware: Hardware) -> Result<(), AgentError> {
    if !hardware.disks.is_pluggable() {
        let remedy = format!(
            "stop the VM first: the {} disks of this platform cannot come and go while it runs",
            hardware.disks.as_str()
        );
        return Err(AgentError::invalid("platform", format!("{platform:?}"), remedy));
    }
    file_path("disk.path", &disk.path)
}

/// Checks the path of a disc.
pub fn disc(path: &str) -> Result<(), AgentError> {
    file_path("drives.path", path)
}

fn cpu_pins(spec: &VmSpec) -> Result<(), AgentError> {
    for pin in &spec.cpu_pins {
        if pin.vcpu >= spec.cpu_num {
            let remedy = format!("the VM's processors are 0 to {}", spec.cpu_num - 1);
            return Err(AgentError::invalid("vm.cpuPins.vcpu", pin.vcpu, remedy));
        }
        if pin.cpus.is_empty() {
            return Err(AgentError::invalid("vm.cpuPins.cpus", "", "name at least one processor of the host"));
        }
    }
    unique("vm.cpuPins.vcpu", spec.cpu_pins.iter().map(|pin| pin.vcpu))
}

fn drives_fit(spec: &VmSpec, hardware: Hardware) -> Result<(), AgentError> {
    let Some(max) = hardware.disks.max_drives() else { return Ok(()) };
    let bus = hardware.disks.as_str();
    let drives = spec.disks.len() + spec.cdroms.len();
    if drives > max as usize {
        let remedy = format!(
            "the {bus} bus of platform Other takes {max} disks and CD-ROM drives together; use another platform"
        );
        return Err(AgentError::invalid("vm.disks", drives, remedy));
    }
    match spec.disks.iter().find(|disk| disk.device_id >= max) {
        Some(disk) => {
            let remedy = format!("disk numbers on the {bus} bus of platform Other are 0 to {}", max - 1);
            Err(AgentError::invalid("vm.disks.deviceId", disk.device_id, remedy))
        }
        None => Ok(()),
    }
}

fn file_path(field: &str, path: &str) -> Result<(), AgentError> {
    let plain = path.chars().all(|character| is_allowed(character) && !character.is_control());
    if plain && Path::new(path).is_absolute() {
        return Ok(());
    }
    Err(AgentError::invalid(field, path.escape_debug(), "give an absolute path without control characters"))
}

fn interface_name(field: &str, name: &str) -> Result<(), AgentError> {
    let usable = |character: char| character.is_ascii_graphic() && !matches!(character, '/' | ':' | '%');
    if (1..=INTERFACE_NAME_MAX).contains(&name.len()) && name.chars().all(usable) && name != "." && name != ".." {
        return Ok(());
    }
    Err(AgentError::invalid(
        field,
        name.escape_debug(),
        format!("an interface name has 1 to {INTERFACE_NAME_MAX} visible ASCII characters other than '/', ':' and '%'"),
    ))
}

fn unique(field: &str, numbers: impl Iterator<Item = u32>) -> Result<(), AgentError> {
    let mut seen = BTreeSet::new();
    for number in numbers {
        if !seen.insert(number) {
            return Err(AgentError::invalid(field, number, "give each a number of its own"));
        }
    }
    Ok(())
}

//! A VM as its host needs to know it, put together from the inventory.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use gantry_common::{
    agent::{BootDevice, Disk, Firmware, ImageFormat, Nic, Platform, VmSpec},
    error::ErrorKind,
    id::VmUuid,
};

use super::{VmTags, cd_drives};
use crate::{
    failure::Failure,
    network,
    operations::require,
    resource::{GuestPlatform, Host, VmInstance, VmNic, Volume},
    settings::{Values, VncListen},
    store::{SqlValue, Tx},
};

/// The VM's specification.
pub fn spec(tx: &Tx<'_>, settings: &Values, vm: VmUuid) -> Result<VmSpec, Failure> {
    let vm = require::<VmInstance>(tx, "uuid", vm)?;
    let tags = VmTags::parse(&tx.system_tags(&vm.uuid.to_string())?)?;
    let on_vm = [("vm_instance_uuid", vm.uuid.to_sql())];
    let mut volumes = tx.find::<Volume>(&on_vm)?;
    volumes.sort_by_key(|volume| volume.device_id);
    let disks = volumes
        .into_iter()
        .map(|volume| {
            let (Some(path), Some(device_id)) = (volume.install_path, volume.device_id) else {
                return Err(Failure::new(ErrorKind::StateForbids, format!("volume '{}' has no file", volume.name)));
            };
            let format = if volume.format == "raw" { ImageFormat::Raw } else { ImageFormat::Qcow2 };
            Ok(Disk { volume: volume.uuid, path, format, device_id })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut nics = tx.find::<VmNic>(&on_vm)?;
    nics.sort_by_key(|nic| nic.device_id);
    let mut networks = BTreeMap::new();
    for nic in &nics {
        let found = network::spec(tx, nic.l3_network_uuid)?.ok_or_else(|| {
            Failure::new(ErrorKind::NoAddress, format!("L3 network {} has no IP range any more", nic.l3_network_uuid))
        })?;
        networks.insert(nic.l3_network_uuid, found);
    }
    let cdroms = cd_drives(tx, &vm)?;
    let host = vm.host_uuid.map(|host| tx.get::<Host>(host)).transpose()?.flatten();
    let console_listen = match settings.console_listen {
        VncListen::Nowhere => None,
        // A name may mean another address on the host itself than to the node.
        VncListen::ManagementIp => {
            host.map(|host| host.management_ip.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
        }
    };
    Ok(VmSpec {
        uuid: vm.uuid,
        name: vm.name,
        cpu_num: vm.cpu_num,
        cpu_pins: tags.cpu_pinning.pins(vm.cpu_num),
        memory_bytes: vm.memory_size,
        platform: platform(vm.platform),
        firmware: firmware(tx, &vm.uuid.to_string())?,
        disks,
        cdroms,
        // The disk first: an installer leaves it bootable, and until then the firmware goes on to the disc.
        boot_order: vec![BootDevice::HardDisk, BootDevice::CdRom],
        nics: nics
            .into_iter()
            .map(|nic| Nic {
                uuid: nic.uuid,
                device_id: nic.device_id,
                l3_network: nic.l3_network_uuid,
                tap: nic.internal_name,
                mac: nic.mac,
                ip: nic.ip,
                is_default: vm.default_l3_network_uuid == Some(nic.l3_network_uuid),
                anti_spoofing: settings.vm_clean_traffic,
            })
            .collect(),
        networks: networks.into_values().collect(),
        console_listen,
        guest_data: tags.guest_data,
    })
}

/// The platform as hosts know it.
pub fn platform(platform: GuestPlatform) -> Platform {
    match platform {
        GuestPlatform::Linux => Platform::Linux,
        GuestPlatform::Windows => Platform::Windows,
        GuestPlatform::Other => Platform::Other,
        GuestPlatform::Paravirtualization => Platform::Paravirtualization,
        GuestPlatform::WindowsVirtio => Platform::WindowsVirtio,
    }
}

/// UEFI where the VM, after its image, is tagged so: `bootMode::UEFI`.
fn firmware(tx: &Tx<'_>, vm: &str) -> Result<Firmware, Failure> {
    let tagged = tx.system_tags(vm)?.iter().any(|tag| tag.eq_ignore_ascii_case("bootMode::UEFI"));
    Ok(if tagged { Firmware::Uefi } else { Firmware::Bios })
}

//! What a new VM consists of: interfaces with their addresses, volumes with their places.

use std::net::Ipv4Addr;

use gantry_common::{
    agent::TAP_PREFIX,
    error::ErrorKind,
    id::{HostUuid, ImageUuid, L3NetworkUuid, NicUuid, VmUuid, VolumeUuid},
    net::MacAddress,
};

use super::super::{affinity_group::expel, making::require, network_service::take_service_address};
use crate::{
    clock::Timestamp,
    failure::Failure,
    resource::{AdminState, L3Network, MediaStatus, PrimaryStorage, UsedIp, VmInstance, VmNic, Volume, VolumeType},
    store::{SqlValue, Tx},
    vm::{self, VmTags},
    volume::{self, NewVolume},
};

/// Gives a VM an interface on each of the L3 networks, in order.
pub fn make_nics(tx: &Tx<'_>, vm: VmUuid, l3_networks: &[L3NetworkUuid], tags: &VmTags) -> Result<(), Failure> {
    for named in tags.static_ips.keys().chain(tags.custom_macs.keys()) {
        if !l3_networks.contains(named) {
            return Err(Failure::argument(
                "systemTags",
                named,
                "staticIp and customMac must name one of l3NetworkUuids",
            ));
        }
    }
    for (device_id, l3_uuid) in (0..).zip(l3_networks) {
        let l3 = usable_l3(tx, *l3_uuid)?;
        let address =
            NicAddress { ip: tags.static_ips.get(l3_uuid).copied(), mac: tags.custom_macs.get(l3_uuid).copied() };
        make_nic(tx, vm, l3, device_id, &address)?;
    }
    Ok(())
}

/// An L3 network that VMs may join.
pub fn usable_l3(tx: &Tx<'_>, uuid: L3NetworkUuid) -> Result<L3Network, Failure> {
    let l3 = require::<L3Network>(tx, "l3NetworkUuids", uuid)?;
    if l3.state != AdminState::Enabled {
        return Err(Failure::new(
            ErrorKind::StateForbids,
            format!("L3 network '{}' is {}: enable it", l3.name, l3.state),
        ));
    }
    Ok(l3)
}

/// An L3 network has no address for a VM, or not the one it asks for.
pub fn no_address(l3_network: &str, wanted: Option<Ipv4Addr>) -> Failure {
    let details = match wanted {
        Some(ip) => format!("{ip} is taken, or in no range of L3 network '{l3_network}': choose another staticIp"),
        None => format!("L3 network '{l3_network}' has no free address: add a range with AddIpRange"),
    };
    Failure::new(ErrorKind::NoAddress, details)
}

/// What is asked of a new interface's addresses.
#[derive(Debug, Clone, Copy, Default)]
pub struct NicAddress {
    pub ip: Option<Ipv4Addr>,
    pub mac: Option<MacAddress>,
}

/// Gives a VM an interface on an L3 network.
pub fn make_nic(
    tx: &Tx<'_>,
    vm: VmUuid,
    l3: L3Network,
    device_id: u32,
    address: &NicAddress,
) -> Result<NicUuid, Failure> {
    let (name, l3_uuid) = (l3.name.clone(), l3.uuid);
    take_service_address(tx, l3)?;
    let used = match address.ip {
        Some(ip) => vm::take(tx, l3_uuid, ip, vm)?,
        None => tx.take_address(l3_uuid, None, &vm::used_for(vm))?.ok_or_else(|| no_address(&name, None))?,
    };
    let uuid = NicUuid::random();
    let now = Timestamp::now();
    tx.insert(&VmNic {
        uuid,
        vm_instance_uuid: vm,
        l3_network_uuid: l3_uuid,
        ip: used.ip,
        mac: choose_mac(tx, address.mac)?,
        netmask: used.netmask,
        gateway: used.gateway,
        meta_data: None,
        device_id,
        internal_name: format!("{TAP_PREFIX}{}", &uuid.to_string()[..11]),
        used_ip_uuid: used.uuid,
        create_date: now,
        last_op_date: now,
    })?;
    Ok(uuid)
}

/// Takes an interface from a VM, with its address and with what the VM's tags ask for on its network. The default route
/// moves to the VM's next interface.
pub fn forget_nic(tx: &Tx<'_>, nic: NicUuid) -> Result<(), Failure> {
    let Some(nic) = tx.get::<VmNic>(nic)? else { return Ok(()) };
    let mut vm = require::<VmInstance>(tx, "vmInstanceUuid", nic.vm_instance_uuid)?;
    tx.delete::<VmNic>(nic.uuid)?;
    tx.release_address(nic.used_ip_uuid)?;
    vm::forget_wishes(tx, &vm, nic.l3_network_uuid)?;
    if vm.default_l3_network_uuid == Some(nic.l3_network_uuid) {
        let mut left = tx.find::<VmNic>(&[("vm_instance_uuid", vm.uuid.to_sql())])?;
        left.sort_by_key(|nic| nic.device_id);
        vm.default_l3_network_uuid = left.first().map(|next| next.l3_network_uuid);
    }
    vm.last_op_date = Timestamp::now();
    tx.save(&vm)?;
    Ok(())
}

/// How often a random address is drawn before giving up; two draws in a row are all but never taken.
const DRAWS: usize = 16;

fn choose_mac(tx: &Tx<'_>, wanted: Option<MacAddress>) -> Result<MacAddress, Failure> {
    let is_free = |mac: MacAddress| Ok::<_, Failure>(tx.count::<VmNic>(&[("mac", mac.to_sql())])? == 0);
    if let Some(mac) = wanted {
        return if is_free(mac)? {
            Ok(mac)
        } else {
            Err(Failure::new(
                ErrorKind::Duplicate,
                format!("customMac {mac} belongs to another VM's interface: choose another one"),
            ))
        };
    }
    for _ in 0..DRAWS {
        let [a, b, c, d, e]: [u8; 5] = rand::random();
        // 0xfa marks a locally administered unicast address (IEEE 802, bit 1 of the first octet).
        let mac = MacAddress::from([0xfa, a, b, c, d, e]);
        if is_free(mac)? {
            return Ok(mac);
        }
    }
    Err(Failure::new(ErrorKind::Internal, "no free MAC address was found"))
}

/// Lets a VM that is to be forgotten keep none of its data volumes: they stay, and may be attached to another one.
pub fn detach_data_volumes(tx: &Tx<'_>, vm: VmUuid) -> Result<(), Failure> {
    for mut volume in tx.find::<Volume>(&[("vm_instance_uuid", vm.to_sql()), ("kind", VolumeType::Data.to_sql())])? {
        volume::detach(&mut volume);
        volume.last_op_date = Timestamp::now();
        tx.save(&volume)?;
    }
    Ok(())
}

/// Gives back all that a VM's record holds, volumes included, and forgets it.
pub fn forget_vm(tx: &Tx<'_>, vm: VmUuid) -> Result<(), Failure> {
    let of_vm = [("vm_instance_uuid", vm.to_sql())];
    tx.release_host(vm)?;
    expel(tx, vm)?;
    for nic in tx.find::<VmNic>(&of_vm)? {
        tx.delete::<VmNic>(nic.uuid)?;
        tx.release_address(nic.used_ip_uuid)?;
    }
    // Those that are kept for its next start, too.
    tx.delete_where::<UsedIp>(&[("used_for", vm::used_for(vm).to_sql())])?;
    for volume in tx.find::<Volume>(&of_vm)? {
        volume::release(tx, &volume)?;
        tx.delete::<Volume>(volume.uuid)?;
    }
    Ok(tx.delete::<VmInstance>(vm)?)
}

/// A volume of a new VM, as its maker describes it.
pub struct VolumeDraft<'a> {
    pub vm: VmUuid,
    pub name: String,
    pub kind: VolumeType,
    pub device_id: u32,
    pub size_bytes: u64,
    pub image: Option<ImageUuid>,
    pub backing_path: Option<String>,
    pub disk_offering: Option<gantry_common::id::DiskOfferingUuid>,
    pub storage: &'a PrimaryStorage,
    pub host: HostUuid,
    pub account: gantry_common::id::AccountUuid,
}

/// Records a volume and promises it its space.
pub fn draft_volume(tx: &Tx<'_>, draft: VolumeDraft<'_>) -> Result<NewVolume, Failure> {
    let now = Timestamp::now();
    let mut volume = Volume {
        uuid: VolumeUuid::random(),
        name: draft.name,
        description: None,
        primary_storage_uuid: None,
        vm_instance_uuid: Some(draft.vm),
        disk_offering_uuid: draft.disk_offering,
        root_image_uuid: draft.image,
        install_path: None,
        kind: draft.kind,
        format: "qcow2".to_owned(),
        size: draft.size_bytes,
        actual_size: None,
        device_id: Some(draft.device_id),
        state: AdminState::Enabled,
        status: MediaStatus::Creating,
        create_date: now,
        last_op_date: now,
        is_shareable: false,
        host_uuid: None,
    };
    let made = volume::settle(tx, &mut volume, draft.storage, draft.host, draft.account, draft.backing_path)?;
    tx.insert(&volume)?;
    Ok(made)
}

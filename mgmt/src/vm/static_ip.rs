//! The addresses that a VM's `staticIp` tags ask for. A VM that is off moves to them at once; for one that runs they are
//! kept until its next start.

use std::{collections::HashMap, net::Ipv4Addr};

use gantry_common::{
    error::ErrorKind,
    id::{L3NetworkUuid, VmUuid},
};

use super::VmTags;
use crate::{
    clock::Timestamp,
    failure::Failure,
    resource::{IpRange, L3Network, SystemTag, UsedIp, VmInstance, VmInstanceState, VmNic},
    store::{SqlValue, Tx},
    tags,
};

const STATIC_IP: &str = "staticIp::";
const CUSTOM_MAC: &str = "customMac::";

/// What a VM's addresses are taken for.
pub fn used_for(vm: VmUuid) -> String {
    format!("VM {vm}")
}

/// Brings a VM's addresses in line with its tags.
pub fn settle_static_ips(tx: &Tx<'_>, vm: &VmInstance) -> Result<(), Failure> {
    let is_off = matches!(vm.state, VmInstanceState::Stopped | VmInstanceState::Created);
    let wanted = VmTags::parse(&tx.system_tags(&vm.uuid.to_string())?)?.static_ips;
    let nics = tx.find::<VmNic>(&[("vm_instance_uuid", vm.uuid.to_sql())])?;
    let mut kept = release_unwanted(tx, vm.uuid, &nics, &wanted)?;
    for (l3, ip) in wanted {
        let Some(nic) = nics.iter().find(|nic| nic.l3_network_uuid == l3) else {
            return Err(not_on(l3));
        };
        if nic.ip == ip {
            continue;
        }
        let used = match kept.remove(&l3) {
            Some(used) => used,
            None => take(tx, l3, ip, vm.uuid)?,
        };
        if is_off {
            tx.save(&VmNic {
                ip: used.ip,
                netmask: used.netmask,
                gateway: used.gateway,
                used_ip_uuid: used.uuid,
                last_op_date: Timestamp::now(),
                ..nic.clone()
            })?;
            tx.release_address(nic.used_ip_uuid)?;
        }
    }
    Ok(())
}

/// Whether a VM that is off would get all the addresses that its tags ask for.
pub fn check_static_ips(tx: &Tx<'_>, vm: VmUuid) -> Result<(), Failure> {
    let nics = tx.find::<VmNic>(&[("vm_instance_uuid", vm.to_sql())])?;
    for (l3, ip) in VmTags::parse(&tx.system_tags(&vm.to_string())?)?.static_ips {
        let nic = nics.iter().find(|nic| nic.l3_network_uuid == l3).ok_or_else(|| not_on(l3))?;
        let kept = [
            ("l3_network_uuid", l3.to_sql()),
            ("used_for", used_for(vm).to_sql()),
            ("ip_in_long", ip.to_bits().to_sql()),
        ];
        if nic.ip != ip && !tx.is_available(l3, ip)? && tx.count::<UsedIp>(&kept)? == 0 {
            return Err(Failure::new(ErrorKind::NoAddress, obstacle(tx, l3, ip)?));
        }
    }
    Ok(())
}

fn not_on(l3: L3NetworkUuid) -> Failure {
    Failure::argument("systemTags", l3, "staticIp must name an L3 network that the VM is on")
}

/// Gives back the addresses that are kept for a VM and not asked for any more. Answers the others, by their networks.
fn release_unwanted(
    tx: &Tx<'_>,
    vm: VmUuid,
    nics: &[VmNic],
    wanted: &HashMap<L3NetworkUuid, Ipv4Addr>,
) -> Result<HashMap<L3NetworkUuid, UsedIp>, Failure> {
    let mut kept = HashMap::new();
    for used in tx.find::<UsedIp>(&[("used_for", used_for(vm).to_sql())])? {
        if nics.iter().any(|nic| nic.used_ip_uuid == used.uuid) {
            continue;
        }
        if wanted.get(&used.l3_network_uuid) == Some(&used.ip) {
            kept.insert(used.l3_network_uuid, used);
        } else {
            tx.release_address(used.uuid)?;
        }
    }
    Ok(kept)
}

/// Takes the address that a VM is to have on an L3 network, or says what stands in the way.
pub fn take(tx: &Tx<'_>, l3: L3NetworkUuid, ip: Ipv4Addr, vm: VmUuid) -> Result<UsedIp, Failure> {
    match tx.take_address(l3, Some(ip), &used_for(vm))? {
        Some(used) => Ok(used),
        None => Err(Failure::new(ErrorKind::NoAddress, obstacle(tx, l3, ip)?)),
    }
}

/// Why an address of an L3 network cannot be taken, and what could be.
fn obstacle(tx: &Tx<'_>, l3: L3NetworkUuid, ip: Ipv4Addr) -> Result<String, Failure> {
    let network = tx.get::<L3Network>(l3)?;
    let name = network.as_ref().map_or_else(|| l3.to_string(), |l3| format!("'{}'", l3.name));
    let ranges = tx.find::<IpRange>(&[("l3_network_uuid", l3.to_sql())])?;
    if ranges.iter().any(|range| range.gateway == ip) {
        return Ok(format!("{ip} is the gateway of L3 network {name}: choose another address"));
    }
    if network.is_some_and(|l3| l3.router_interface_ip == Some(ip)) {
        return Ok(format!("{ip} is kept for the router of L3 network {name}: choose another address"));
    }
    if !ranges.iter().any(|range| (range.start_ip..=range.end_ip).contains(&ip)) {
        let ranges: Vec<String> =
            ranges.iter().map(|range| format!("{} to {}", range.start_ip, range.end_ip)).collect();
        let ranges = if ranges.is_empty() { "it has none".to_owned() } else { ranges.join(", ") };
        return Ok(format!("{ip} is in no range of L3 network {name} ({ranges}): choose an address in one"));
    }
    let taken = tx.find::<UsedIp>(&[("l3_network_uuid", l3.to_sql()), ("ip_in_long", ip.to_bits().to_sql())])?;
    let holder = taken.into_iter().next().and_then(|used| used.used_for).unwrap_or_else(|| "another VM".to_owned());
    Ok(format!("{ip} is taken on L3 network {name}, by {holder}: choose another address"))
}

/// Makes an address the one that a VM asks for on an L3 network, or has it ask for none.
pub fn set_static_ip(tx: &Tx<'_>, vm: &VmInstance, l3: L3NetworkUuid, ip: Option<Ipv4Addr>) -> Result<(), Failure> {
    drop_tags(tx, vm.uuid, &format!("{STATIC_IP}{l3}::"))?;
    if let Some(ip) = ip {
        let tag = format!("{STATIC_IP}{l3}::{ip}");
        tags::put(tx, VmInstance::declaration(), &vm.uuid.to_string(), &[tag], &[])?;
    }
    settle_static_ips(tx, vm)
}

/// Drops what a VM's tags ask for on an L3 network, and the address that is kept for it.
pub fn forget_wishes(tx: &Tx<'_>, vm: &VmInstance, l3: L3NetworkUuid) -> Result<(), Failure> {
    drop_tags(tx, vm.uuid, &format!("{CUSTOM_MAC}{l3}::"))?;
    set_static_ip(tx, vm, l3, None)
}

fn drop_tags(tx: &Tx<'_>, vm: VmUuid, prefix: &str) -> Result<(), Failure> {
    for tag in tx.find::<SystemTag>(&[("resource_uuid", vm.to_string().to_sql())])? {
        if tag.tag.starts_with(prefix) {
            tx.delete::<SystemTag>(tag.uuid)?;
        }
    }
    Ok(())
}

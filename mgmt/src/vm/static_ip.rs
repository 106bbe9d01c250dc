//! Giving a VM that is off the addresses that its `staticIp` tags ask for.

use std::net::Ipv4Addr;

use gantry_common::{
    error::ErrorKind,
    id::{L3NetworkUuid, VmUuid},
};

use super::VmTags;
use crate::{
    clock::Timestamp,
    failure::Failure,
    resource::VmNic,
    store::{SqlValue, Tx},
};

/// Moves the VM's interfaces to the addresses that its tags ask for. Addresses it has already stay.
pub fn apply_static_ips(tx: &Tx<'_>, vm: VmUuid) -> Result<(), Failure> {
    let tags = VmTags::parse(&tx.system_tags(&vm.to_string())?)?;
    let nics = tx.find::<VmNic>(&[("vm_instance_uuid", vm.to_sql())])?;
    for (l3, ip) in &tags.static_ips {
        let Some(nic) = nics.iter().find(|nic| nic.l3_network_uuid == *l3) else {
            return Err(not_on(*l3));
        };
        if nic.ip == *ip {
            continue;
        }
        let used = tx.take_address(*l3, Some(*ip), &format!("VM {vm}"))?.ok_or_else(|| no_address(*l3, *ip))?;
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
    Ok(())
}

/// Whether [`apply_static_ips`] would succeed now.
pub fn check_static_ips(tx: &Tx<'_>, vm: VmUuid) -> Result<(), Failure> {
    let tags = VmTags::parse(&tx.system_tags(&vm.to_string())?)?;
    let nics = tx.find::<VmNic>(&[("vm_instance_uuid", vm.to_sql())])?;
    for (l3, ip) in &tags.static_ips {
        match nics.iter().find(|nic| nic.l3_network_uuid == *l3) {
            None => return Err(not_on(*l3)),
            Some(nic) if nic.ip != *ip && !tx.is_available(*l3, *ip)? => return Err(no_address(*l3, *ip)),
            Some(_) => {}
        }
    }
    Ok(())
}

fn not_on(l3: L3NetworkUuid) -> Failure {
    Failure::argument("systemTags", l3, "staticIp must name an L3 network that the VM is on")
}

fn no_address(l3: L3NetworkUuid, ip: Ipv4Addr) -> Failure {
    let details = format!("{ip} is taken, or in no range of L3 network {l3}: choose another staticIp");
    Failure::new(ErrorKind::NoAddress, details)
}

//! Which VMs are in an affinity group. What counts are the rows of `affinity_group_usage`; for clients that look there, a
//! VM in a group also has the system tag `affinityGroupUuid::<uuid>`.

use gantry_common::{
    error::ErrorKind,
    id::{AffinityGroupUsageUuid, AffinityGroupUuid, HostUuid, VmUuid},
};

use super::super::making::require;
use crate::{
    clock::Timestamp,
    failure::Failure,
    hosts::host_name,
    resource::{AffinityGroup, AffinityGroupUsage, AffinityPolicy, VmInstance, VmInstanceState},
    store::{SqlValue, Tx},
    tags,
    vm::Affinity,
};

const TAG: &str = "affinityGroupUuid::";

/// Whether a VM that is there may join the group.
pub fn admit(tx: &Tx<'_>, group: &AffinityGroup, vm: VmUuid) -> Result<(), Failure> {
    let vm = require::<VmInstance>(tx, "uuid", vm)?;
    let refuse = |details: String| Err(Failure::new(ErrorKind::StateForbids, details));
    if matches!(vm.state, VmInstanceState::Destroying | VmInstanceState::Destroyed | VmInstanceState::Expunging) {
        return refuse(format!("VM '{}' ({}) is {}: recover it first", vm.name, vm.uuid, vm.state));
    }
    if let Some(usage) = tx.find::<AffinityGroupUsage>(&[("resource_uuid", vm.uuid.to_sql())])?.pop()
        && usage.affinity_group_uuid != group.uuid
    {
        let other = require::<AffinityGroup>(tx, "affinityGroupUuid", usage.affinity_group_uuid)?;
        return refuse(format!(
            "VM '{}' ({}) is in affinity group '{}' ({}): take it out with RemoveVmFromAffinityGroup first",
            vm.name, vm.uuid, other.name, other.uuid
        ));
    }
    let Some(host) = vm.host_uuid else { return Ok(()) };
    match Affinity::of_group(tx, group.uuid, Some(vm.uuid))?.and_then(|affinity| affinity.refuse(host)) {
        Some(reason) => refuse(format!(
            "VM '{}' ({}) cannot join while it is on {}: {reason}; stop one of them",
            vm.name,
            vm.uuid,
            host_name(tx, host)?
        )),
        None => Ok(()),
    }
}

/// Puts a VM into a group. One that is in it stays so.
pub fn enroll(tx: &Tx<'_>, group: AffinityGroupUuid, vm: VmUuid) -> Result<(), Failure> {
    let now = Timestamp::now();
    tx.link(&AffinityGroupUsage {
        uuid: AffinityGroupUsageUuid::random(),
        affinity_group_uuid: group,
        resource_uuid: vm,
        resource_type: tags::resource_type(VmInstance::declaration()),
        create_date: now,
        last_op_date: now,
    })?;
    set_tag(tx, vm, &[format!("{TAG}{group}")])
}

/// Takes a VM out of the group that it is in.
pub fn expel(tx: &Tx<'_>, vm: VmUuid) -> Result<(), Failure> {
    tx.delete_where::<AffinityGroupUsage>(&[("resource_uuid", vm.to_sql())])?;
    set_tag(tx, vm, &[])
}

fn set_tag(tx: &Tx<'_>, vm: VmUuid, wanted: &[String]) -> Result<(), Failure> {
    tags::set_inherent(tx, VmInstance::declaration(), &vm.to_string(), TAG, wanted).map(drop)
}

/// An `antiHard` group is in force only while each of its VMs has a host of its own.
pub fn refuse_neighbours(tx: &Tx<'_>, group: &AffinityGroup) -> Result<(), Failure> {
    if group.policy != AffinityPolicy::AntiHard {
        return Ok(());
    }
    let mut placed: Vec<(HostUuid, VmInstance)> = Vec::new();
    for usage in tx.find::<AffinityGroupUsage>(&[("affinity_group_uuid", group.uuid.to_sql())])? {
        let vm = tx.get::<VmInstance>(usage.resource_uuid)?;
        placed.extend(vm.and_then(|vm| Some((vm.host_uuid?, vm))));
    }
    for (number, (host, vm)) in placed.iter().enumerate() {
        if let Some((_, other)) = placed[..number].iter().find(|(other, _)| other == host) {
            return Err(Failure::new(
                ErrorKind::StateForbids,
                format!(
                    "affinity group '{}' is antiHard, and VMs '{}' ({}) and '{}' ({}) are both on {}: stop one of them",
                    group.name,
                    other.name,
                    other.uuid,
                    vm.name,
                    vm.uuid,
                    host_name(tx, *host)?
                ),
            ));
        }
    }
    Ok(())
}

//! Changing the devices of a running VM on its host. What a VM is to have stands in the inventory; a step that adds
//! something finds it there already, and one that takes something away names it.

use std::sync::Arc;

use gantry_common::{
    agent::{SetDiscs, SetNics, VmSpec},
    id::{HostUuid, ImageUuid, NicUuid, OperationId, VmUuid},
};

use crate::{
    cleanup::{Cleanup, owe},
    failure::Failure,
    job::{JobOperation, Run},
    node::Node,
    resource::VmNic,
    store::{SqlValue, Tx},
    vm::{self, discs},
};

/// What is to be taken from a VM beyond what the inventory says.
#[derive(Debug, Clone)]
pub enum Without {
    /// Nothing.
    Nothing,
    /// Interfaces.
    Nics(Vec<NicUuid>),
    /// A disc.
    Disc(ImageUuid),
}

/// Gives the VM on a host the interfaces that it is to have.
pub async fn set_nics<O: JobOperation>(
    run: &Run<O>,
    host: HostUuid,
    vm: VmUuid,
    without: Without,
) -> Result<(), Failure> {
    let command = nics(&run.node, vm, without).await?;
    run.call(host, "interfaces", command).await
}

/// Puts the discs into the drives of the VM on a host that are to be in them.
pub async fn set_discs<O: JobOperation>(
    run: &Run<O>,
    host: HostUuid,
    vm: VmUuid,
    without: Without,
) -> Result<(), Failure> {
    let command = drives(&run.node, vm, without).await?;
    run.call(host, "discs", command).await
}

/// Has the guest of the VM on a host let go of interfaces that are still in the inventory.
pub async fn unplug_nics(node: &Node, host: HostUuid, vm: VmUuid, going: Vec<NicUuid>) -> Result<(), Failure> {
    let command = nics(node, vm, Without::Nics(going)).await?;
    node.call(host, OperationId::random(), command).await
}

/// Undoes [`set_nics`]. What the host does not do now it owes: it then brings the VM to what the inventory says by then.
pub async fn set_nics_back(node: &Arc<Node>, host: HostUuid, vm: VmUuid, without: Without) -> Result<(), Failure> {
    let command = nics(node, vm, without).await?;
    let outcome = node.call(host, OperationId::random(), command).await;
    or_owe(node, host, vm, outcome).await
}

/// Undoes [`set_discs`]; see [`set_nics_back`].
pub async fn set_discs_back(node: &Arc<Node>, host: HostUuid, vm: VmUuid, without: Without) -> Result<(), Failure> {
    let command = drives(node, vm, without).await?;
    let outcome = node.call(host, OperationId::random(), command).await;
    or_owe(node, host, vm, outcome).await
}

async fn or_owe(node: &Arc<Node>, host: HostUuid, vm: VmUuid, outcome: Result<(), Failure>) -> Result<(), Failure> {
    let Err(failure) = outcome else { return Ok(()) };
    tracing::warn!(%host, %vm, error = %failure, "a running VM's devices are not as they were");
    owe(node, host, Cleanup::Devices(vm)).await
}

async fn nics(node: &Node, uuid: VmUuid, without: Without) -> Result<SetNics, Failure> {
    let settings = node.settings.now();
    node.store
        .read(move |tx| {
            let mut spec = vm::spec(tx, &settings, uuid)?;
            if let Without::Nics(nics) = without {
                nics.into_iter().for_each(|nic| take_nic(&mut spec, nic));
            }
            Ok(SetNics { vm: spec })
        })
        .await
}

/// Takes an interface from a specification. The default route moves to the next one.
fn take_nic(spec: &mut VmSpec, nic: NicUuid) {
    let carried_default = spec.nics.iter().any(|other| other.uuid == nic && other.is_default);
    spec.nics.retain(|other| other.uuid != nic);
    if let (true, Some(next)) = (carried_default, spec.nics.iter_mut().min_by_key(|nic| nic.device_id)) {
        next.is_default = true;
    }
    let nics = &spec.nics;
    spec.networks.retain(|network| nics.iter().any(|nic| nic.l3_network == network.l3_network));
}

async fn drives(node: &Node, uuid: VmUuid, without: Without) -> Result<SetDiscs, Failure> {
    let settings = node.settings.now();
    node.store
        .read(move |tx| {
            let mut drives = vm::spec(tx, &settings, uuid)?.cdroms;
            if let Without::Disc(image) = without {
                for disc in discs(tx, uuid)?.into_iter().filter(|disc| disc.image == image) {
                    drives.iter_mut().filter(|drive| drive.device_id == disc.drive).for_each(|drive| drive.path = None);
                }
            }
            Ok(SetDiscs { vm: uuid, drives })
        })
        .await
}

/// The lowest number that none of a VM's interfaces has.
pub fn free_nic_number(tx: &Tx<'_>, vm: VmUuid) -> Result<u32, Failure> {
    let taken: Vec<u32> =
        tx.find::<VmNic>(&[("vm_instance_uuid", vm.to_sql())])?.iter().map(|nic| nic.device_id).collect();
    Ok((0..).find(|number| !taken.contains(number)).unwrap_or_default())
}

//! AttachL3NetworkToVm, DetachL3NetworkFromVm: interfaces that come and go while a VM runs, or while it is off.

use std::net::Ipv4Addr;

use gantry_common::{
    error::ErrorKind,
    id::{HostUuid, L3NetworkUuid, NicUuid, VmUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::making::require,
    devices::{Without, free_nic_number, set_nics, set_nics_back},
    plan::{NicAddress, forget_nic, make_nic, no_address},
};
use crate::{
    clock::Timestamp,
    failure::Failure,
    job::{FindLocks, JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{AdminState, Cluster, IpRange, L2Network, L2NetworkClusterRef, L3Network, VmInstance, VmNic},
    store::{SqlValue, Tx},
    vm::{require_running_or_off, set_static_ip},
};

operation! {
    /// Gives a VM an interface on an L3 network. A VM that runs gets it at once.
    AttachL3NetworkToVm, "3.1.22",
        Post "/vm-instances/{vmInstanceUuid}/l3-networks/{l3NetworkUuid}", Job -> VmInstance; {
        /// The VM.
        vm_instance_uuid: VmUuid;
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
        /// The address that the interface gets, now and at every start.
        static_ip: Option<Ipv4Addr>;
    }
}

/// The interface, and the host on which the VM runs.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Plugging {
    vm: Option<VmUuid>,
    nic: Option<NicUuid>,
    host: Option<HostUuid>,
}

impl Plugging {
    fn live(&self) -> Option<(HostUuid, VmUuid, NicUuid)> {
        Some((self.host?, self.vm?, self.nic?))
    }
}

impl JobOperation for AttachL3NetworkToVm {
    type State = Plugging;

    fn locks(&self) -> Vec<String> {
        vec![self.vm_instance_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("take an address for the interface", attach)
                .undo_record(|tx, run| run.state.nic.map_or(Ok(()), |nic| forget_nic(tx, nic))),
            Step::remote("plug the interface in", |run: Run<Self>| async move {
                if let Some((host, vm, _)) = run.state.live() {
                    set_nics(&run, host, vm, Without::Nothing).await?;
                }
                Ok(run.state)
            })
            .undo_remote(|run: Run<Self>| async move {
                if let Some((host, vm, nic)) = run.state.live() {
                    set_nics_back(&run.node, host, vm, Without::Nics(vec![nic])).await?;
                }
                Ok(run.state)
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Plugging) -> Result<Value, Failure> {
        inventory_reply::<VmInstance>(tx, self.vm_instance_uuid)
    }
}

fn attach(tx: &Tx<'_>, run: &mut Recording<'_, AttachL3NetworkToVm>) -> Result<(), Failure> {
    let params = run.params;
    let vm = require::<VmInstance>(tx, "vmInstanceUuid", params.vm_instance_uuid)?;
    let l3 = require::<L3Network>(tx, "l3NetworkUuid", params.l3_network_uuid)?;
    check_attachable(tx, &vm, &l3)?;
    let (vm_uuid, l3_uuid) = (vm.uuid, l3.uuid);
    let address = NicAddress { ip: params.static_ip, mac: None };
    let nic = make_nic(tx, vm_uuid, l3, free_nic_number(tx, vm_uuid)?, &address)?;
    let vm = VmInstance {
        default_l3_network_uuid: vm.default_l3_network_uuid.or(Some(l3_uuid)),
        last_op_date: Timestamp::now(),
        ..vm
    };
    tx.save(&vm)?;
    if params.static_ip.is_some() {
        set_static_ip(tx, &vm, l3_uuid, params.static_ip)?;
    }
    *run.state = Plugging { vm: Some(vm_uuid), nic: Some(nic), host: vm.host_uuid };
    Ok(())
}

/// Whether a VM can get an interface on an L3 network.
pub fn check_attachable(tx: &Tx<'_>, vm: &VmInstance, l3: &L3Network) -> Result<(), Failure> {
    require_running_or_off(vm)?;
    let refuse = |details: String| Err(Failure::new(ErrorKind::StateForbids, details));
    let on_both = [("vm_instance_uuid", vm.uuid.to_sql()), ("l3_network_uuid", l3.uuid.to_sql())];
    if let Some(nic) = tx.find::<VmNic>(&on_both)?.pop() {
        let details = format!("VM '{}' is on L3 network '{}' already, with {}", vm.name, l3.name, nic.ip);
        return Err(Failure::new(ErrorKind::Duplicate, details));
    }
    if l3.system {
        return refuse(format!("L3 network '{}' belongs to the system: it is not for VMs", l3.name));
    }
    if l3.state != AdminState::Enabled {
        return refuse(format!("L3 network '{}' is {}: enable it", l3.name, l3.state));
    }
    if let Some(cluster) = vm.cluster_uuid {
        let link = [("l2_network_uuid", l3.l2_network_uuid.to_sql()), ("cluster_uuid", cluster.to_sql())];
        if tx.count::<L2NetworkClusterRef>(&link)? == 0 {
            let l2 = require::<L2Network>(tx, "l2NetworkUuid", l3.l2_network_uuid)?;
            let cluster = require::<Cluster>(tx, "clusterUuid", cluster)?;
            return refuse(format!(
                "L2 network '{}' of L3 network '{}' is not attached to cluster '{}' of VM '{}': use AttachL2NetworkToCluster",
                l2.name, l3.name, cluster.name, vm.name
            ));
        }
    }
    for range in tx.find::<IpRange>(&[("l3_network_uuid", l3.uuid.to_sql())])? {
        if tx.address_capacity(&range)?.available > 0 {
            return Ok(());
        }
    }
    Err(no_address(&l3.name, None))
}

operation! {
    /// Takes an interface from a VM. From a VM that runs it is unplugged, for which its guest has to let go of it.
    DetachL3NetworkFromVm, "3.1.23", Delete "/vm-instances/nics/{vmNicUuid}", Job -> VmInstance; {
        /// The interface.
        vm_nic_uuid: NicUuid;
    }
}

impl JobOperation for DetachL3NetworkFromVm {
    type State = Plugging;

    fn locks(&self) -> Vec<String> {
        vec![self.vm_nic_uuid.to_string()]
    }

    const FIND_LOCKS: Option<FindLocks<Self>> = Some(|operation, tx| {
        let nic = tx.get::<VmNic>(operation.vm_nic_uuid)?;
        Ok(nic.iter().map(|nic| nic.vm_instance_uuid.to_string()).collect())
    });

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("check the VM's state", |tx, run: &mut Recording<'_, Self>| {
                let nic = require::<VmNic>(tx, "vmNicUuid", run.params.vm_nic_uuid)?;
                let vm = require::<VmInstance>(tx, "vmInstanceUuid", nic.vm_instance_uuid)?;
                require_running_or_off(&vm)?;
                *run.state = Plugging { vm: Some(vm.uuid), nic: Some(nic.uuid), host: vm.host_uuid };
                Ok(())
            }),
            Step::remote("unplug the interface", |run: Run<Self>| async move {
                if let Some((host, vm, nic)) = run.state.live() {
                    set_nics(&run, host, vm, Without::Nics(vec![nic])).await?;
                }
                Ok(run.state)
            })
            .undo_remote(|run: Run<Self>| async move {
                if let Some((host, vm, _)) = run.state.live() {
                    set_nics_back(&run.node, host, vm, Without::Nothing).await?;
                }
                Ok(run.state)
            }),
            Step::record("give its address back", |tx, run| forget_nic(tx, run.params.vm_nic_uuid)),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Plugging) -> Result<Value, Failure> {
        match state.vm {
            Some(vm) => inventory_reply::<VmInstance>(tx, vm),
            None => Err(Failure::new(ErrorKind::Internal, "the interface's VM was not noted")),
        }
    }
}

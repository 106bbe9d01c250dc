//! SetVmStaticIp, DeleteVmStaticIp: the address that a VM has on an L3 network for good.

use std::net::Ipv4Addr;

use gantry_common::id::{L3NetworkUuid, VmUuid};

use super::super::making::require;
use crate::{
    failure::Failure,
    job::{JobOperation, Step},
    operation,
    resource::{L3Network, VmInstance, VmNic},
    store::{SqlValue, Tx},
    vm::{require_running_or_off, set_static_ip},
};

operation! {
    /// Chooses the address of a VM on an L3 network. A VM that is off has it at once; one that runs from its next start
    /// on, and until then the address is kept for it.
    SetVmStaticIp, "3.1.47", Put "/vm-instances/{vmInstanceUuid}/actions", Job; {
        /// The VM.
        vm_instance_uuid: VmUuid;
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
        /// The address.
        ip: Ipv4Addr;
    }
}

impl JobOperation for SetVmStaticIp {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.vm_instance_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("take the address", |tx, run| {
            let params = run.params;
            let vm = vm_on(tx, params.vm_instance_uuid, params.l3_network_uuid)?;
            require_running_or_off(&vm)?;
            set_static_ip(tx, &vm, params.l3_network_uuid, Some(params.ip))?;
            Ok(tx.touch::<VmInstance>(vm.uuid)?)
        })]
    }
}

operation! {
    /// Chooses the address of a VM on an L3 network no more. The VM keeps the one it has.
    DeleteVmStaticIp, "3.1.48", Delete "/vm-instances/{vmInstanceUuid}/static-ips", Job; {
        /// The VM.
        vm_instance_uuid: VmUuid;
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

impl JobOperation for DeleteVmStaticIp {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.vm_instance_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("forget the address", |tx, run| {
            let vm = vm_on(tx, run.params.vm_instance_uuid, run.params.l3_network_uuid)?;
            set_static_ip(tx, &vm, run.params.l3_network_uuid, None)?;
            Ok(tx.touch::<VmInstance>(vm.uuid)?)
        })]
    }
}

/// The VM, if it is on the L3 network.
fn vm_on(tx: &Tx<'_>, vm: VmUuid, l3: L3NetworkUuid) -> Result<VmInstance, Failure> {
    let vm = require::<VmInstance>(tx, "vmInstanceUuid", vm)?;
    let l3 = require::<L3Network>(tx, "l3NetworkUuid", l3)?;
    let nic = [("vm_instance_uuid", vm.uuid.to_sql()), ("l3_network_uuid", l3.uuid.to_sql())];
    if tx.count::<VmNic>(&nic)? == 0 {
        let remedy = format!("VM '{}' has no interface on L3 network '{}'", vm.name, l3.name);
        return Err(Failure::argument("l3NetworkUuid", l3.uuid, remedy));
    }
    Ok(vm)
}

//! ChangeInstanceOffering, and what else bears on a VM's size.
//!
//! A VM's record says what it is to have. What a running VM has is what it was promised when it was started; the two come
//! together when it is started or rebooted.

use gantry_common::{
    error::ErrorKind,
    id::{HostUuid, InstanceOfferingUuid, VmUuid},
};
use serde_json::Value;

use super::super::{instance_offering::check_memory, making::require};
use crate::{
    clock::Timestamp,
    failure::Failure,
    hosts::host_name,
    job::{JobOperation, Step},
    operation,
    query::inventory_reply,
    resource::{AdminState, Host, InstanceOffering, VmInstance, VmInstanceState},
    store::{HostPromise, Tx},
    tags,
    vm::{CHOICE_TAGS, Choice},
};

operation! {
    /// Gives a VM the processors, the memory and the way of choosing hosts of another instance offering. A VM that is off
    /// has them at once; one that is running or paused gets them when it is next started or rebooted, if its host has
    /// room for them then.
    ChangeInstanceOffering, "3.5.4", Put "/vm-instances/{vmInstanceUuid}/actions", Job -> VmInstance; {
        /// The VM.
        vm_instance_uuid: VmUuid;
        /// The instance offering.
        instance_offering_uuid: InstanceOfferingUuid;
    }
}

impl JobOperation for ChangeInstanceOffering {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.vm_instance_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("change the VM's size", |tx, run| {
            let params = run.params;
            let mut vm = require::<VmInstance>(tx, "vmInstanceUuid", params.vm_instance_uuid)?;
            let offering = require::<InstanceOffering>(tx, "instanceOfferingUuid", params.instance_offering_uuid)?;
            if offering.state != AdminState::Enabled {
                let details = format!(
                    "instance offering '{}' is {}: enable it or use another one",
                    offering.name, offering.state
                );
                return Err(Failure::new(ErrorKind::StateForbids, details));
            }
            let offering_tags = tx.system_tags(&offering.uuid.to_string())?;
            Choice::of(&offering.allocator_strategy, &offering_tags)?;
            resize(&mut vm, Some(offering.cpu_num), Some(offering.memory_size))?;
            vm.instance_offering_uuid = offering.uuid;
            vm.allocator_strategy = offering.allocator_strategy;
            vm.last_op_date = Timestamp::now();
            tx.save(&vm)?;
            take_over_choice(tx, vm.uuid, &offering_tags)
        })]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        inventory_reply::<VmInstance>(tx, self.vm_instance_uuid)
    }
}

/// Puts down what a VM is to have.
pub fn resize(vm: &mut VmInstance, cpu_num: Option<u32>, memory_bytes: Option<u64>) -> Result<(), Failure> {
    use VmInstanceState::{Created, Paused, Running, Stopped};
    if cpu_num.is_none() && memory_bytes.is_none() {
        return Ok(());
    }
    if !matches!(vm.state, Created | Stopped | Running | Paused) {
        let details = format!(
            "VM '{}' ({}) is {}: its size can be changed when it is Stopped, Running or Paused",
            vm.name, vm.uuid, vm.state
        );
        return Err(Failure::new(ErrorKind::StateForbids, details));
    }
    if let Some(memory_bytes) = memory_bytes {
        check_memory(memory_bytes)?;
        vm.memory_size = memory_bytes;
    }
    vm.cpu_num = cpu_num.unwrap_or(vm.cpu_num);
    Ok(())
}

/// A VM chooses its hosts as its instance offering says, whatever becomes of the offering.
pub fn take_over_choice(tx: &Tx<'_>, vm: VmUuid, offering_tags: &[String]) -> Result<(), Failure> {
    for prefix in CHOICE_TAGS {
        let wanted: Vec<String> = offering_tags.iter().filter(|tag| tag.starts_with(prefix)).cloned().collect();
        tags::set_inherent(tx, VmInstance::declaration(), &vm.to_string(), prefix, &wanted)?;
    }
    Ok(())
}

/// Promises a VM that is rebooted what it is to have from now on. Answers what it was promised before, where that changes.
pub fn promise_anew(tx: &Tx<'_>, vm: &VmInstance, host: HostUuid) -> Result<Option<HostPromise>, Failure> {
    let wanted = HostPromise { host, cpu_num: vm.cpu_num, memory_bytes: vm.memory_size };
    let Some(before) = tx.host_promise(vm.uuid)?.filter(|before| *before != wanted) else { return Ok(None) };
    if tx.allocate_host(host, vm.uuid, wanted.cpu_num, wanted.memory_bytes)? {
        return Ok(Some(before));
    }
    let host = require::<Host>(tx, "hostUuid", host)?;
    let details = format!(
        "VM '{}' ({}) is to have {} CPUs and {} bytes of memory from its next start on, and beside its present {} CPUs and \
         {} bytes {} has {} CPUs and {} bytes left: stop it to start it elsewhere, or change its size back",
        vm.name,
        vm.uuid,
        wanted.cpu_num,
        wanted.memory_bytes,
        before.cpu_num,
        before.memory_bytes,
        host_name(tx, host.uuid)?,
        host.available_cpu_capacity.saturating_sub(u64::from(before.cpu_num)),
        host.available_memory_capacity.saturating_sub(before.memory_bytes),
    );
    Err(Failure::new(ErrorKind::NoHostCapacity, details))
}

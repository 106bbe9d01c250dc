//! 4.3.6, 4.3.7: how hosts are chosen, and what runs on them.

use serde_json::{Value, json};

use crate::{
    api::{Caller, Operation, SyncOperation, sync},
    failure::Failure,
    operation,
    vm::Strategy,
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![sync::<GetHostAllocatorStrategies>(), sync::<GetHypervisorTypes>()]
}

operation! {
    /// How a host can be chosen for a VM.
    GetHostAllocatorStrategies, "4.3.6", Get "/hosts/allocators/strategies", Sync -> { strategies: [String] }; {}
}

impl SyncOperation for GetHostAllocatorStrategies {
    async fn answer(self, _caller: Caller) -> Result<Value, Failure> {
        Ok(json!({ "strategies": Strategy::NAMES.map(|(name, _)| name) }))
    }
}

operation! {
    /// What VMs run on.
    GetHypervisorTypes, "4.3.7", Get "/hosts/hypervisor-types", Sync -> { hypervisorTypes: [String] }; {}
}

impl SyncOperation for GetHypervisorTypes {
    async fn answer(self, _caller: Caller) -> Result<Value, Failure> {
        Ok(json!({ "hypervisorTypes": ["KVM"] }))
    }
}

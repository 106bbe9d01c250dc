//! What can be attached to a VM: each list by the check that attaching itself makes.

use gantry_common::id::{ImageUuid, VmUuid};
use serde_json::Value;

use super::{
    super::{candidates::Candidates, making::require},
    isos::check_insertable,
    nics::check_attachable,
};
use crate::{
    api::{Caller, SyncOperation},
    failure::Failure,
    operation,
    resource::{Image, L3Network, MediaStatus, MediaType, VmInstance, VmInstanceState},
    store::{SqlValue, Tx},
};

operation! {
    /// The ISO images that can be put into a drive of a VM.
    GetCandidateIsoForAttachingVm, "3.1.16",
        Get "/vm-instances/{vmInstanceUuid}/iso-candidates", Sync -> { inventories: [Image], details: [Exclusion] }; {
        /// The VM.
        vm_instance_uuid: VmUuid;
    }
}

impl SyncOperation for GetCandidateIsoForAttachingVm {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let look = move |tx: &Tx<'_>| {
            let vm = require::<VmInstance>(tx, "vmInstanceUuid", self.vm_instance_uuid)?;
            let mut isos = tx.find::<Image>(&[("media_type", MediaType::Iso.to_sql())])?;
            isos.retain(|iso| iso.status != MediaStatus::Deleted);
            Candidates::sift(isos, |iso| &iso.name, |iso| check_insertable(tx, &vm, iso).map(drop))?.reply(tx)
        };
        caller.node.store.read(look).await
    }
}

operation! {
    /// The VMs into whose drives an ISO image can be put.
    GetCandidateVmForAttachingIso, "3.1.17",
        Get "/images/iso/{isoUuid}/vm-candidates", Sync -> { inventories: [VmInstance], details: [Exclusion] }; {
        /// The ISO image.
        iso_uuid: ImageUuid;
    }
}

impl SyncOperation for GetCandidateVmForAttachingIso {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let look = move |tx: &Tx<'_>| {
            let iso = require::<Image>(tx, "isoUuid", self.iso_uuid)?;
            if iso.media_type != MediaType::Iso {
                let remedy = format!("image '{}' is a {}: an ISO is needed", iso.name, iso.media_type);
                return Err(Failure::argument("isoUuid", iso.uuid, remedy));
            }
            let mut vms = tx.all::<VmInstance>()?;
            vms.retain(|vm| !matches!(vm.state, VmInstanceState::Destroyed | VmInstanceState::Expunging));
            Candidates::sift(vms, |vm| &vm.name, |vm| check_insertable(tx, vm, &iso).map(drop))?.reply(tx)
        };
        caller.node.store.read(look).await
    }
}

operation! {
    /// The L3 networks that a VM can get an interface on.
    GetVmAttachableL3Network, "3.1.21",
        Get "/vm-instances/{vmInstanceUuid}/l3-networks-candidates",
        Sync -> { inventories: [L3Network], details: [Exclusion] }; {
        /// The VM.
        vm_instance_uuid: VmUuid;
    }
}

impl SyncOperation for GetVmAttachableL3Network {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let look = move |tx: &Tx<'_>| {
            let vm = require::<VmInstance>(tx, "vmInstanceUuid", self.vm_instance_uuid)?;
            let mut networks = tx.all::<L3Network>()?;
            networks.retain(|l3| vm.zone_uuid.is_none_or(|zone| zone == l3.zone_uuid));
            Candidates::sift(networks, |l3| &l3.name, |l3| check_attachable(tx, &vm, l3))?.reply(tx)
        };
        caller.node.store.read(look).await
    }
}

//! 3.1.46: where a VM that is off can be started.

use gantry_common::{error::ErrorKind, id::VmUuid};
use serde_json::{Value, json};

use super::{super::making::require, Exclusion, destinations::Destinations};
use crate::{
    api::{Caller, SyncOperation},
    failure::Failure,
    operation,
    operations::vm_instance,
    resource::{Host, VmInstance},
    store::Tx,
    vm::{Admission, Affinity, Command, Target, VmTags, admit_vm, check_static_ips, survey},
};

operation! {
    /// Lists the hosts that a VM can be started on, the best first, and their clusters. `details` says why the other hosts of
    /// its zone are left out. With the system tag `affinityGroupUuid::<uuid>` it is seen as a VM of that group.
    GetVmStartingCandidateClustersHosts, "3.1.46", Get "/vm-instances/{uuid}/starting-target-hosts",
        Sync -> { hosts: [Host], clusters: [Cluster], details: [Exclusion] }; {
        /// The VM.
        uuid: VmUuid;
    }
}

impl SyncOperation for GetVmStartingCandidateClustersHosts {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        caller.node.store.read(move |tx| self.list(tx)).await
    }
}

impl GetVmStartingCandidateClustersHosts {
    fn list(&self, tx: &Tx<'_>) -> Result<Value, Failure> {
        let vm = require::<VmInstance>(tx, "uuid", self.uuid)?;
        if let Admission::Done = admit_vm(&vm, Command::Start)? {
            let host = vm.host_uuid.map_or_else(String::new, |host| format!(" on host {host}"));
            return Err(Failure::argument("uuid", vm.uuid, format!("VM '{}' runs already{host}", vm.name)));
        }
        check_static_ips(tx, vm.uuid)?;
        let target = vm.zone_uuid.map_or(Target::Anywhere, Target::Zone);
        let mut demand = vm_instance::start_demand(tx, &vm, target)?;
        if let Some(group) = VmTags::parse(&self.system_tags)?.affinity_group {
            demand.affinity = Affinity::of_group(tx, group, Some(vm.uuid))?;
        }
        let survey = survey(tx, &demand)?;
        let mut details = Exclusion::of_hosts(tx, &survey.refusals)?;
        let mut places = Vec::new();
        for place in survey.places {
            match vm_instance::discs_to_bring(tx, &vm, &place) {
                Ok(_) => places.push(place),
                Err(failure) if failure.kind == ErrorKind::Internal => return Err(failure),
                Err(failure) => {
                    let host = require::<Host>(tx, "hostUuid", place.host)?;
                    details.push(Exclusion::of_host(tx, &host, failure.details)?);
                }
            }
        }
        let found = Destinations::of(tx, &places)?;
        Ok(json!({ "hosts": found.hosts, "clusters": found.clusters, "details": details }))
    }
}

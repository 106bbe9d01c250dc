//! StartVmInstance.

use std::collections::HashSet;

use gantry_common::{
    error::ErrorKind,
    id::{ClusterUuid, HostUuid, VmUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::making::require,
    caching::Caching,
    run::{require_storages_in_service, set_state, start_on, stop_for_good},
};
use crate::{
    failure::Failure,
    hosts::host_name,
    job::{JobOperation, Recording, Run, Step},
    operation,
    operations::refuse_while_read,
    query::inventory_reply,
    resource::{Host, Image, L3Network, VmInstance, VmInstanceState, VmNic, Volume},
    store::{RowKey, SqlValue, Tx},
    vm::{
        Admission, Affinity, Choice, Command, Demand, Place, Target, VmTags, admit_vm, disc_storage, discs, place,
        settle_static_ips,
    },
};

operation! {
    /// Starts a VM.
    StartVmInstance, "3.1.6", Put "/vm-instances/{uuid}/actions", Job -> VmInstance; {
        /// The VM.
        uuid: VmUuid;
        /// The cluster it must be in.
        cluster_uuid: Option<ClusterUuid>;
        /// The host it must be on.
        host_uuid: Option<HostUuid>;
    }
}

/// Where the VM is started; nowhere where it runs already.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Starting {
    host: Option<HostUuid>,
    before: Option<VmInstanceState>,
    /// What is in its drives and not on that host yet.
    #[serde(default)]
    discs: Vec<Caching>,
}

impl JobOperation for StartVmInstance {
    type State = Starting;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("choose a host", choose).undo_record(|tx, run| {
                let Some(before) = run.state.before else { return Ok(()) };
                let mut vm = set_state(tx, run.params.uuid, before)?;
                tx.release_host(vm.uuid)?;
                vm.host_uuid = None;
                tx.save(&vm)?;
                Ok(())
            }),
            Step::remote("bring its discs to the host", |mut run: Run<Self>| async move {
                let mut discs = std::mem::take(&mut run.state.discs);
                for disc in &mut discs {
                    disc.bring(&run).await?;
                }
                run.state.discs = discs;
                Ok(run.state)
            }),
            Step::record("note the cached images", |tx, run| run.state.discs.iter().try_for_each(|disc| disc.note(tx))),
            Step::remote("start the VM", |run: Run<Self>| async move {
                if let Some(host) = run.state.host {
                    start_on(&run, run.params.uuid, host).await?;
                }
                Ok(run.state)
            })
            .undo_remote(|run: Run<Self>| async move {
                stop_for_good(&run, run.params.uuid, run.state.host).await?;
                Ok(run.state)
            }),
            Step::record("record that it runs", |tx, run| {
                if run.state.host.is_some() {
                    set_state(tx, run.params.uuid, VmInstanceState::Running)?;
                }
                Ok(())
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Starting) -> Result<Value, Failure> {
        inventory_reply::<VmInstance>(tx, self.uuid)
    }
}

fn choose(tx: &Tx<'_>, run: &mut Recording<'_, StartVmInstance>) -> Result<(), Failure> {
    let params = run.params;
    let mut vm = require::<VmInstance>(tx, "uuid", params.uuid)?;
    let during = match admit_vm(&vm, Command::Start)? {
        Admission::Done => return Ok(()),
        Admission::Go(during) => during,
    };
    settle_static_ips(tx, &vm)?;
    let demand = demand(tx, &vm, asked_target(tx, &vm, params)?)?;
    let chosen = place(tx, &demand)?;
    if !tx.allocate_host(chosen.host, vm.uuid, vm.cpu_num, vm.memory_size)? {
        return Err(Failure::new(ErrorKind::NoHostCapacity, "the chosen host's capacity was promised to another VM"));
    }
    run.state.discs = discs_to_bring(tx, &vm, &chosen)?;
    run.state.host = Some(chosen.host);
    run.state.before = Some(vm.state);
    vm.host_uuid = Some(chosen.host);
    vm.cluster_uuid = Some(chosen.cluster);
    vm.state = during;
    tx.save(&vm)?;
    Ok(())
}

/// The discs that a place lacks, or why the VM cannot be started there after all.
pub fn discs_to_bring(tx: &Tx<'_>, vm: &VmInstance, place: &Place) -> Result<Vec<Caching>, Failure> {
    require_storages(tx, vm, place.cluster)?;
    missing_discs(tx, vm, place.host)
}

/// How the discs get to the host that are in a VM's drives and not in the host's cache.
fn missing_discs(tx: &Tx<'_>, vm: &VmInstance, host: HostUuid) -> Result<Vec<Caching>, Failure> {
    let mut missing = Vec::new();
    for disc in discs(tx, vm.uuid)? {
        let storage = disc_storage(tx, vm)?;
        if !tx.is_cached(disc.image, storage.uuid, host)? {
            missing.push(Caching::plan(tx, &require::<Image>(tx, "isoUuid", disc.image)?, &storage, host)?);
        }
    }
    Ok(missing)
}

/// The cluster must be on the primary storages of the VM's volumes.
fn require_storages(tx: &Tx<'_>, vm: &VmInstance, cluster: ClusterUuid) -> Result<(), Failure> {
    for volume in tx.find::<Volume>(&[("vm_instance_uuid", vm.uuid.to_sql())])? {
        let Some(storage) = volume.primary_storage_uuid else { continue };
        let attachment = RowKey::new("PrimaryStorageClusterRef", [storage.to_string(), cluster.to_string()]);
        if tx.row(&attachment)?.is_none() || tx.is_going(&attachment.to_string())? {
            let details = format!(
                "volume '{}' of VM '{}' is in primary storage {storage}, which cluster {cluster} is not on: use AttachPrimaryStorageToCluster",
                volume.name, vm.name
            );
            return Err(Failure::new(ErrorKind::StateForbids, details));
        }
    }
    Ok(())
}

/// The hosts that the call leaves to choose from. A VM whose volumes are on a host's own disks runs there alone.
fn asked_target(tx: &Tx<'_>, vm: &VmInstance, params: &StartVmInstance) -> Result<Target, Failure> {
    let asked = Target::of(tx, vm.zone_uuid, params.cluster_uuid, params.host_uuid)?;
    let Some(home) = home(tx, vm)? else { return Ok(asked) };
    let refuse = |parameter: &str, value: &dyn std::fmt::Display| {
        let remedy = format!("the VM's volumes are on the local storage of {}", host_name(tx, home.uuid)?);
        Err(Failure::argument(parameter, value, remedy))
    };
    match asked {
        Target::Host(wanted) if wanted != home.uuid => refuse("hostUuid", &wanted),
        Target::Cluster(wanted) if wanted != home.cluster_uuid => refuse("clusterUuid", &wanted),
        _ => Ok(Target::Host(home.uuid)),
    }
}

/// The host whose disks hold the VM's volumes.
fn home(tx: &Tx<'_>, vm: &VmInstance) -> Result<Option<Host>, Failure> {
    let root = vm.root_volume_uuid.map(|uuid| require::<Volume>(tx, "rootVolumeUuid", uuid)).transpose()?;
    root.and_then(|root| root.host_uuid).map(|host| require::<Host>(tx, "hostUuid", host)).transpose()
}

/// What a VM that is off needs of the host it is started on, where nothing but a host is missing.
pub fn demand(tx: &Tx<'_>, vm: &VmInstance, target: Target) -> Result<Demand, Failure> {
    require_storages_in_service(tx, vm)?;
    for volume in tx.find::<Volume>(&[("vm_instance_uuid", vm.uuid.to_sql())])? {
        refuse_while_read(tx, &volume)?;
    }
    let mut l2_networks = HashSet::new();
    for nic in tx.find::<VmNic>(&[("vm_instance_uuid", vm.uuid.to_sql())])? {
        l2_networks.insert(require::<L3Network>(tx, "l3NetworkUuid", nic.l3_network_uuid)?.l2_network_uuid);
    }
    let tags = tx.system_tags(&vm.uuid.to_string())?;
    Ok(Demand {
        cpu_num: vm.cpu_num,
        pinned_to: VmTags::parse(&tags)?.cpu_pinning.cpus(vm.cpu_num),
        memory_bytes: vm.memory_size,
        runs: true,
        l2_networks,
        volumes: Vec::new(),
        image: None,
        physical_threshold: 1.0,
        target,
        zone: vm.zone_uuid,
        home: home(tx, vm)?.map(|home| home.uuid),
        last_host: vm.last_host_uuid,
        choice: Choice::of(&vm.allocator_strategy, &tags)?,
        affinity: Affinity::of_vm(tx, vm.uuid)?,
    })
}

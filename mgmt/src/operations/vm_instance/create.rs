//! CreateVmInstance.

use gantry_common::{
    error::ErrorKind,
    id::{
        ClusterUuid, DiskOfferingUuid, HostUuid, ImageUuid, InstanceOfferingUuid, L3NetworkUuid, PrimaryStorageUuid,
        VmUuid, ZoneUuid,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::{
        affinity_group::enroll,
        making::{made, make, put_tags, readable_name, require},
    },
    blueprint::{Blueprint, NewVm},
    caching::Caching,
    plan::{VolumeDraft, draft_volume, forget_vm, make_nics},
    resize::take_over_choice,
    run::{set_off, set_state, start_on, stop_for_good},
};
use crate::{
    cleanup::{Cleanup, clean_up},
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    operation,
    resource::{MediaStatus, MediaType, PrimaryStorage, VmInstance, VmInstanceState, Volume, VolumeType},
    store::Tx,
    tags::QEMU_GUEST_AGENT,
    vm::{Disc, Place, cached_path, insert_disc, place},
    volume::NewVolume,
};

operation! {
    /// Makes a VM and, unless told otherwise, starts it.
    CreateVmInstance, "3.1.1", Post "/vm-instances", Job -> VmInstance; {
        /// Its name.
        name: String, max_length 255;
        /// Its size.
        instance_offering_uuid: InstanceOfferingUuid;
        /// The image it is made from.
        image_uuid: ImageUuid;
        /// The L3 networks it is on, in the order of its interfaces.
        l3_network_uuids: Vec<L3NetworkUuid>, nonempty true;
        /// Its kind.
        kind as "type": Option<String>, values &["UserVm", "ApplianceVm"];
        /// The size of its root volume, where the image is an ISO.
        root_disk_offering_uuid: Option<DiskOfferingUuid>;
        /// The sizes of its data volumes.
        data_disk_offering_uuids: Option<Vec<DiskOfferingUuid>>;
        /// The zone it must be in.
        zone_uuid: Option<ZoneUuid>;
        /// The cluster it must be in.
        cluster_uuid: Option<ClusterUuid>;
        /// The host it must be on.
        host_uuid: Option<HostUuid>;
        /// The primary storage its root volume must be on.
        primary_storage_uuid_for_root_volume: Option<PrimaryStorageUuid>;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The L3 network of its default route; the first where it is left out.
        default_l3_network_uuid: Option<L3NetworkUuid>;
        /// The id it gets.
        resource_uuid: Option<VmUuid>;
        /// Whether it is started. By JustCreate and CreateStopped it is made with its volumes and stays off.
        strategy: Option<String>, values &["InstantStart", "JustCreate", "CreateStopped"];
    }
}

/// A VM boots as its image says, and has the guest agent as its image has, unless it is told otherwise.
const INHERITED_TAGS: [&str; 2] = ["bootMode::", QEMU_GUEST_AGENT];

/// The tag by which a VM joins a group; being in it, it has the tag anyway.
const AFFINITY_GROUP: &str = "affinityGroupUuid::";

/// What was decided for the new VM.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Creating {
    vm: Option<VmUuid>,
    host: Option<HostUuid>,
    cache: Option<Caching>,
    volumes: Vec<NewVolume>,
    sizes: Vec<u64>,
    starts: bool,
}

impl JobOperation for CreateVmInstance {
    type State = Creating;

    fn locks(&self) -> Vec<String> {
        self.resource_uuid.iter().map(ToString::to_string).collect()
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("choose a host and promise what the VM needs", decide)
                .undo_record(|tx, run| run.state.vm.map_or(Ok(()), |vm| forget_vm(tx, vm))),
            Step::remote("bring the image to the host", bring_image).cancellable(),
            Step::record("note the cached image", |tx, run| {
                run.state.cache.as_ref().map_or(Ok(()), |cache| cache.note(tx))
            }),
            Step::remote("make the volumes", make_volumes).undo_remote(delete_volumes).cancellable(),
            Step::record("record the volumes", record_volumes),
            Step::remote("start the VM", |run: Run<Self>| async move {
                if let (true, Some(vm), Some(host)) = (run.state.starts, run.state.vm, run.state.host) {
                    start_on(&run, vm, host).await?;
                }
                Ok(run.state)
            })
            .undo_remote(|run: Run<Self>| async move {
                if let (true, Some(vm)) = (run.state.starts, run.state.vm) {
                    stop_for_good(&run, vm, run.state.host).await?;
                }
                Ok(run.state)
            }),
            Step::record("record the VM's state", |tx, run| match (run.state.vm, run.state.starts) {
                (Some(vm), true) => set_state(tx, vm, VmInstanceState::Running).map(drop),
                (Some(vm), false) => set_off(tx, vm, VmInstanceState::Stopped),
                (None, _) => Ok(()),
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Creating) -> Result<Value, Failure> {
        made::<VmInstance>(tx, state.vm)
    }
}

/// Checks everything, chooses the host, and records and promises all at once: either all of it stands or nothing.
fn decide(tx: &Tx<'_>, run: &mut Recording<'_, CreateVmInstance>) -> Result<(), Failure> {
    let params = run.params;
    let starts = params.strategy.as_deref().is_none_or(|strategy| strategy == "InstantStart");
    let wanted = NewVm {
        instance_offering: Some(params.instance_offering_uuid),
        l3_networks: &params.l3_network_uuids,
        default_l3_network: params.default_l3_network_uuid,
        root_disk_offering: params.root_disk_offering_uuid,
        data_disk_offerings: params.data_disk_offering_uuids.as_deref().unwrap_or_default(),
        zone: params.zone_uuid,
        cluster: params.cluster_uuid,
        host: params.host_uuid,
        root_storage: params.primary_storage_uuid_for_root_volume,
        system_tags: &params.system_tags,
        starts,
    };
    let blueprint = wanted.draw(tx, &run.node.settings.now(), params.image_uuid)?;
    let place = place(tx, &blueprint.demand)?;
    record(tx, run, &blueprint, &place)
}

fn record(
    tx: &Tx<'_>,
    run: &mut Recording<'_, CreateVmInstance>,
    blueprint: &Blueprint,
    place: &Place,
) -> Result<(), Failure> {
    let params = run.params;
    let Blueprint { image, demand, .. } = blueprint;
    let Some(offering) = &blueprint.offering else {
        return Err(Failure::new(ErrorKind::Internal, "a VM without a size was placed"));
    };
    let storage_of = |volume: usize| match place.storages.get(volume) {
        Some(uuid) => require::<PrimaryStorage>(tx, "primaryStorageUuid", *uuid),
        None => Err(Failure::new(ErrorKind::Internal, "a place without storage was chosen")),
    };
    let storage = storage_of(0)?;
    let uuid = params.resource_uuid.unwrap_or_else(VmUuid::random);
    let now = Timestamp::now();
    let mut vm = VmInstance {
        uuid,
        name: readable_name(&params.name)?,
        description: params.description.clone(),
        zone_uuid: Some(place.zone),
        cluster_uuid: Some(place.cluster),
        image_uuid: image.uuid,
        host_uuid: Some(place.host),
        last_host_uuid: None,
        instance_offering_uuid: offering.uuid,
        root_volume_uuid: None,
        platform: image.platform,
        default_l3_network_uuid: Some(blueprint.default_l3),
        kind: params.kind.clone().unwrap_or_else(|| "UserVm".to_owned()),
        hypervisor_type: "KVM".to_owned(),
        memory_size: offering.memory_size,
        cpu_num: offering.cpu_num,
        cpu_speed: 0,
        allocator_strategy: offering.allocator_strategy.clone(),
        create_date: now,
        last_op_date: now,
        state: VmInstanceState::Starting,
    };
    make(tx, &vm)?;
    let mut tags: Vec<String> =
        params.system_tags.iter().filter(|tag| !tag.starts_with(AFFINITY_GROUP)).cloned().collect();
    for kind in INHERITED_TAGS {
        if !tags.iter().any(|tag| tag.starts_with(kind)) {
            tags.extend(tx.system_tags(&image.uuid.to_string())?.into_iter().filter(|tag| tag.starts_with(kind)));
        }
    }
    put_tags::<VmInstance>(tx, uuid, &tags, &params.user_tags)?;
    let is_iso = image.media_type == MediaType::Iso;
    if is_iso {
        insert_disc(tx, uuid, Disc { drive: 0, image: image.uuid })?;
    }
    take_over_choice(tx, uuid, &blueprint.offering_tags)?;
    if let Some(group) = blueprint.tags.affinity_group {
        enroll(tx, group, uuid)?;
    }
    if demand.runs && !tx.allocate_host(place.host, uuid, offering.cpu_num, offering.memory_size)? {
        return Err(Failure::new(ErrorKind::NoHostCapacity, "the chosen host's capacity was promised to another VM"));
    }
    make_nics(tx, uuid, &params.l3_network_uuids, &blueprint.tags)?;

    let cache_path = cached_path(&storage, image);
    for (number, (device_id, disk_offering)) in (0..).zip(&blueprint.disk_offerings).enumerate() {
        let is_root = number == 0;
        let storage = storage_of(number)?;
        let volume = draft_volume(
            tx,
            VolumeDraft {
                vm: uuid,
                name: if is_root {
                    format!("ROOT-for-{}", vm.name)
                } else {
                    format!("DATA-{device_id}-for-{}", vm.name)
                },
                kind: if is_root { VolumeType::Root } else { VolumeType::Data },
                device_id,
                size_bytes: demand.volumes[number].bytes,
                image: is_root.then_some(image.uuid),
                backing_path: (is_root && !is_iso).then(|| cache_path.clone()),
                disk_offering: *disk_offering,
                storage: &storage,
                host: place.host,
                account: run.account_uuid,
            },
        )?;
        if is_root {
            vm.root_volume_uuid = Some(volume.uuid);
        }
        run.state.volumes.push(volume);
    }
    tx.save(&vm)?;
    run.state.cache = Some(Caching::plan(tx, image, &storage, place.host)?);
    run.state.vm = Some(uuid);
    run.state.host = Some(place.host);
    run.state.starts = demand.runs;
    Ok(())
}

async fn bring_image(mut run: Run<CreateVmInstance>) -> Result<Creating, Failure> {
    if let Some(mut cache) = run.state.cache.clone() {
        cache.bring(&run).await?;
        run.state.cache = Some(cache);
    }
    Ok(run.state)
}

async fn make_volumes(mut run: Run<CreateVmInstance>) -> Result<Creating, Failure> {
    let Some(host) = run.state.host else { return Ok(run.state) };
    run.state.sizes.clear();
    for volume in run.state.volumes.clone() {
        let size = run.call(host, &volume.uuid.to_string(), volume.making()).await?;
        run.state.sizes.push(size.actual_bytes);
    }
    Ok(run.state)
}

async fn delete_volumes(run: Run<CreateVmInstance>) -> Result<Creating, Failure> {
    if let Some(host) = run.state.host {
        for volume in run.state.volumes.clone() {
            clean_up(&run.node, host, Cleanup::Volume(volume.deletion())).await?;
        }
    }
    Ok(run.state)
}

fn record_volumes(tx: &Tx<'_>, run: &mut Recording<'_, CreateVmInstance>) -> Result<(), Failure> {
    for (new, actual_bytes) in run.state.volumes.iter().zip(&run.state.sizes) {
        let mut volume = require::<Volume>(tx, "volumeUuid", new.uuid)?;
        volume.status = MediaStatus::Ready;
        volume.actual_size = Some(*actual_bytes);
        volume.last_op_date = Timestamp::now();
        tx.save(&volume)?;
    }
    Ok(())
}

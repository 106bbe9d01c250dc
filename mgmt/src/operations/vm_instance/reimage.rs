//! ReimageVmInstance.

use gantry_common::{
    agent::{CreateVolume, DeleteVolume},
    error::ErrorKind,
    id::{HostUuid, VmUuid, VolumeUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::{making::require, volume_move::fresh_path},
    caching::Caching,
};
use crate::{
    cleanup::{Cleanup, clean_up, clean_up_some_time},
    clock::Timestamp,
    failure::Failure,
    job::{FindLocks, JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{AdminState, Image, MediaStatus, MediaType, PrimaryStorage, VmInstance, VmInstanceState, Volume},
    store::{CachePlace, Tx},
    vm::cached_path,
};

operation! {
    /// Puts a stopped VM's root volume back to its image; what was written to it since is lost. Its size stays, and so do
    /// the VM's data volumes. A VM that was made from an ISO has no image to go back to.
    ReimageVmInstance, "3.1.11", Put "/vm-instances/{vmInstanceUuid}/actions", Job -> VmInstance; {
        /// The VM instance.
        vm_instance_uuid: VmUuid;
    }
}

/// How far the reimaging is.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Reimaging {
    plan: Option<Plan>,
    /// How the image comes, where it is not in the cache any more.
    cache: Option<Caching>,
    actual_bytes: Option<u64>,
    /// Whether the record points to the new file. From then on nothing is undone.
    replaced: bool,
}

/// The old root volume's file and the new one's.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    volume: VolumeUuid,
    host: HostUuid,
    root: String,
    old_path: String,
    new_path: String,
    size_bytes: u64,
    image_path: String,
}

impl Reimaging {
    fn plan(&self) -> Result<&Plan, Failure> {
        self.plan.as_ref().ok_or_else(|| Failure::new(ErrorKind::Internal, "the reimaging was not planned"))
    }
}

impl JobOperation for ReimageVmInstance {
    type State = Reimaging;

    fn locks(&self) -> Vec<String> {
        vec![self.vm_instance_uuid.to_string()]
    }

    const FIND_LOCKS: Option<FindLocks<Self>> = Some(|reimage, tx| {
        let vm = tx.get::<VmInstance>(reimage.vm_instance_uuid)?;
        Ok(vm.and_then(|vm| vm.root_volume_uuid).iter().map(ToString::to_string).collect())
    });

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("check the VM and its image", decide).undo_record(|tx, run| {
                let Some(plan) = run.state.plan.as_ref().filter(|_| !run.state.replaced) else { return Ok(()) };
                if let Some(volume) = tx.get::<Volume>(plan.volume)? {
                    tx.save(&Volume { status: MediaStatus::Ready, ..volume })?;
                }
                Ok(())
            }),
            Step::remote("bring the image to the host", bring_image).cancellable(),
            Step::record("note the cached image", |tx, run| {
                run.state.cache.as_ref().map_or(Ok(()), |cache| cache.note(tx))
            }),
            Step::remote("make the new root volume", make_volume).undo_remote(delete_new).cancellable(),
            Step::record("let it take the old one's place", replace),
            Step::remote("delete the old root volume", |run: Run<Self>| async move {
                let plan = run.state.plan()?;
                let command = DeleteVolume { root: plan.root.clone(), path: plan.old_path.clone() };
                clean_up_some_time(&run.node, plan.host, Cleanup::Volume(command)).await;
                Ok(run.state)
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Reimaging) -> Result<Value, Failure> {
        inventory_reply::<VmInstance>(tx, self.vm_instance_uuid)
    }
}

fn decide(tx: &Tx<'_>, run: &mut Recording<'_, ReimageVmInstance>) -> Result<(), Failure> {
    let refuse = |details: String| Err(Failure::new(ErrorKind::StateForbids, details));
    let vm = require::<VmInstance>(tx, "vmInstanceUuid", run.params.vm_instance_uuid)?;
    let name = &vm.name;
    if !matches!(vm.state, VmInstanceState::Stopped | VmInstanceState::Created) {
        return refuse(format!("VM '{name}' ({}) is {}: this needs it Stopped", vm.uuid, vm.state));
    }
    let Some(root) = vm.root_volume_uuid.map(|root| require::<Volume>(tx, "rootVolumeUuid", root)).transpose()? else {
        return refuse(format!("VM '{name}' has no root volume"));
    };
    let (Some(old_path), Some(storage), Some(host), Some(image), MediaStatus::Ready) =
        (root.install_path.clone(), root.primary_storage_uuid, root.host_uuid, root.root_image_uuid, root.status)
    else {
        return refuse(format!(
            "root volume '{}' is {}: it must be Ready and made from an image",
            root.name, root.status
        ));
    };
    let storage = require::<PrimaryStorage>(tx, "primaryStorageUuid", storage)?;
    if storage.state == AdminState::Maintenance {
        return refuse(format!("primary storage '{}' is in Maintenance: enable it", storage.name));
    }
    let place = CachePlace { image, storage: storage.uuid, host };
    let record = tx.get::<Image>(image)?;
    if record.as_ref().is_some_and(|image| image.media_type == MediaType::Iso) {
        return refuse(format!(
            "VM '{name}' was made from an ISO, so that its root volume has no image to go back to: only VMs made from a RootVolumeTemplate can be reimaged"
        ));
    }
    let (image_path, cache) = match (tx.cached_path(place)?, record) {
        (Some(path), _) => (path, None),
        (None, Some(image)) => (cached_path(&storage, &image), Some(Caching::plan(tx, &image, &storage, host)?)),
        (None, None) => return refuse(format!("image {image} of VM '{name}' is gone, from the host's cache too")),
    };
    run.state.cache = cache;
    run.state.plan = Some(Plan {
        volume: root.uuid,
        host,
        root: storage.url,
        new_path: fresh_path(root.uuid, &old_path),
        old_path,
        size_bytes: root.size,
        image_path,
    });
    tx.save(&Volume { status: MediaStatus::Creating, last_op_date: Timestamp::now(), ..root })?;
    Ok(())
}

async fn bring_image(mut run: Run<ReimageVmInstance>) -> Result<Reimaging, Failure> {
    if let Some(mut cache) = run.state.cache.clone() {
        cache.bring(&run).await?;
        run.state.cache = Some(cache);
    }
    Ok(run.state)
}

async fn make_volume(mut run: Run<ReimageVmInstance>) -> Result<Reimaging, Failure> {
    let plan = run.state.plan()?.clone();
    let command = CreateVolume {
        volume: plan.volume,
        root: plan.root,
        path: plan.new_path,
        size_bytes: plan.size_bytes,
        backing_path: Some(plan.image_path),
    };
    run.state.actual_bytes = Some(run.call(plan.host, "create", command).await?.actual_bytes);
    Ok(run.state)
}

async fn delete_new(run: Run<ReimageVmInstance>) -> Result<Reimaging, Failure> {
    if let Some(plan) = run.state.plan.as_ref().filter(|_| !run.state.replaced) {
        let command = DeleteVolume { root: plan.root.clone(), path: plan.new_path.clone() };
        clean_up(&run.node, plan.host, Cleanup::Volume(command)).await?;
    }
    Ok(run.state)
}

fn replace(tx: &Tx<'_>, run: &mut Recording<'_, ReimageVmInstance>) -> Result<(), Failure> {
    let plan = run.state.plan()?.clone();
    let volume = require::<Volume>(tx, "rootVolumeUuid", plan.volume)?;
    tx.save(&Volume {
        install_path: Some(plan.new_path),
        actual_size: run.state.actual_bytes.or(volume.actual_size),
        status: MediaStatus::Ready,
        last_op_date: Timestamp::now(),
        ..volume
    })?;
    tx.touch::<VmInstance>(run.params.vm_instance_uuid)?;
    run.state.replaced = true;
    Ok(())
}

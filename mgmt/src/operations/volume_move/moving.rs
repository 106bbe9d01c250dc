//! How a volume moves: a copy is made at a path that was never used before, the record is pointed to it, and the original
//! goes. Whenever this ends, by failure, cancelling or a crash, the record points to a whole file, and the other is gone
//! or owed to be deleted.

use gantry_common::{
    agent::{CacheImage, CopyVolume, DeleteVolume, ImageFacts, OfferFile, OfferedFile, Peer},
    error::ErrorKind,
    id::{HostUuid, PrimaryStorageUuid, VmUuid, VolumeUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::{image_cache::wait_for_eviction, making::require, volume::vm_of},
    admission::LocalVolume,
};
use crate::{
    api::{Declaration, Declared},
    cleanup::{Cleanup, clean_up, clean_up_some_time},
    clock::Timestamp,
    failure::Failure,
    job::{FindLocks, JobOperation, Part, Recording, Run, Step},
    resource::{Host, Machine, MediaStatus, PrimaryStorage, VmInstance, VmInstanceState, Volume, VolumeType},
    settings::Values,
    store::{CachePlace, Tx},
};

/// An operation that moves a volume.
pub trait VolumeMove: Declared {
    /// The volume.
    fn volume(&self) -> VolumeUuid;

    /// Where it is to go, if it may.
    fn destination(&self, tx: &Tx<'_>, settings: &Values, volume: &LocalVolume) -> Result<Destination, Failure>;

    /// The reply once the volume has moved.
    fn reply(&self, tx: &Tx<'_>) -> Result<Value, Failure>;
}

/// The job of an operation that moves a volume.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Move<M>(M);

impl<M: VolumeMove> Declared for Move<M> {
    fn declaration() -> &'static Declaration {
        M::declaration()
    }
}

impl<M: VolumeMove> JobOperation for Move<M> {
    type State = Moving;

    fn locks(&self) -> Vec<String> {
        vec![self.0.volume().to_string()]
    }

    // No job of the VM that has it runs meanwhile.
    const FIND_LOCKS: Option<FindLocks<Self>> = Some(|call, tx| vm_of(tx, call.0.volume()));

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("promise the volume its new place", decide::<M>).undo_record(stay::<M>),
            Step::remote("bring the image it was made from", bring_image::<M>).cancellable(),
            Step::record("note the cached image", |tx, run| {
                if let (Some(image), Some(facts)) = (run.state.image_plan(), &run.state.image) {
                    let CachePlace { image: uuid, storage, host } = image.to;
                    tx.note_cached(uuid, storage, host, &image.to_path, facts.actual_bytes)?;
                }
                Ok(())
            }),
            Step::remote("copy the volume", copy::<M>).undo_remote(delete_copy::<M>).cancellable(),
            Step::record("let the copy take its place", replace::<M>),
            Step::remote("delete the original", |run: Run<Self>| async move {
                let plan = run.state.plan()?;
                let command = DeleteVolume { root: plan.from.root.clone(), path: plan.from.path.clone() };
                clean_up_some_time(&run.node, plan.from.host, Cleanup::Volume(command)).await;
                Ok(run.state)
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Moving) -> Result<Value, Failure> {
        self.0.reply(tx)
    }
}

/// Where a volume goes.
pub struct Destination {
    pub storage: PrimaryStorage,
    pub host: Host,
}

/// How far a move is.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Moving {
    plan: Option<Plan>,
    image: Option<ImageFacts>,
    actual_bytes: Option<u64>,
    /// Whether the record points to the copy. From then on nothing is undone.
    moved: bool,
}

/// What goes where.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    volume: VolumeUuid,
    /// The VM that has the volume, and its state before.
    vm: Option<(VmUuid, VmInstanceState)>,
    from: Spot,
    to: Spot,
    /// How the destination reaches the source; nothing where they are one host.
    peer: Option<Peer>,
    image: Option<ImagePlan>,
}

/// A volume's file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Spot {
    host: HostUuid,
    storage: PrimaryStorageUuid,
    root: String,
    path: String,
}

/// The image that the volume may stand on comes from the cache beside it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ImagePlan {
    from_path: String,
    to: CachePlace,
    to_path: String,
}

impl Moving {
    fn plan(&self) -> Result<&Plan, Failure> {
        self.plan.as_ref().ok_or_else(|| Failure::new(ErrorKind::Internal, "the move was not planned"))
    }

    fn image_plan(&self) -> Option<&ImagePlan> {
        self.plan.as_ref()?.image.as_ref()
    }
}

/// The same place below another storage's root.
fn rerooted(path: &str, from_root: &str, to_root: &str) -> Result<String, Failure> {
    let outside = || Failure::new(ErrorKind::Internal, format!("{path} is not below {from_root}"));
    let inside = path.strip_prefix(from_root).filter(|rest| rest.starts_with('/')).ok_or_else(outside)?;
    Ok(format!("{to_root}{inside}"))
}

/// A path for the volume that no file of it ever had: a deletion that is owed for an old one never meets a new one.
pub fn fresh_path(volume: VolumeUuid, old_path: &str) -> String {
    let directory = old_path.rsplit_once('/').map_or("", |(directory, _)| directory);
    format!("{directory}/{volume}-{:08x}.qcow2", rand::random::<u32>())
}

fn decide<M: VolumeMove>(tx: &Tx<'_>, run: &mut Recording<'_, Move<M>>) -> Result<(), Failure> {
    let local = LocalVolume::find(tx, run.params.0.volume())?;
    let to = run.params.0.destination(tx, &run.node.settings.now(), &local)?;
    let holder = local.volume.uuid.to_string();
    if !tx.allocate_storage(to.storage.uuid, to.host.uuid, &holder, local.volume.size)? {
        let details = format!("primary storage '{}' has too little left on host '{}'", to.storage.name, to.host.name);
        return Err(Failure::new(ErrorKind::NoStorageCapacity, details));
    }
    let image = match local.cached_image(tx)? {
        Some((from, from_path)) => {
            let to_place = CachePlace { image: from.image, storage: to.storage.uuid, host: to.host.uuid };
            tx.claim_use(to_place, run.job)?;
            let to_path = match tx.cached_path(to_place)? {
                Some(path) => path,
                None => rerooted(&from_path, &local.storage.url, &to.storage.url)?,
            };
            Some(ImagePlan { from_path, to: to_place, to_path })
        }
        None => None,
    };
    let new_path = fresh_path(local.volume.uuid, &rerooted(&local.path, &local.storage.url, &to.storage.url)?);
    let machine = require::<Machine>(tx, "hostUuid", local.host.uuid)?;
    let peer = Peer { host: machine.uuid, address: machine.address, port: machine.port };
    run.state.plan = Some(Plan {
        volume: local.volume.uuid,
        vm: local.vm.as_ref().map(|vm| (vm.uuid, vm.state)),
        peer: (to.host.uuid != local.host.uuid).then_some(peer),
        from: Spot { host: local.host.uuid, storage: local.storage.uuid, root: local.storage.url, path: local.path },
        to: Spot { host: to.host.uuid, storage: to.storage.uuid, root: to.storage.url, path: new_path },
        image,
    });
    if let Some(vm) = local.vm {
        tx.save(&VmInstance { state: VmInstanceState::VolumeMigrating, last_op_date: Timestamp::now(), ..vm })?;
    }
    tx.save(&Volume { status: MediaStatus::Migrating, last_op_date: Timestamp::now(), ..local.volume })?;
    Ok(())
}

/// Gives everything back that was promised for the move.
fn stay<M: VolumeMove>(tx: &Tx<'_>, run: &mut Recording<'_, Move<M>>) -> Result<(), Failure> {
    let Some(plan) = run.state.plan.as_ref().filter(|_| !run.state.moved) else { return Ok(()) };
    tx.release_storage(plan.to.storage, plan.to.host, &plan.volume.to_string())?;
    tx.release_cache_claims(run.job)?;
    rest(tx, plan)?;
    if let Some(volume) = tx.get::<Volume>(plan.volume)? {
        tx.save(&Volume { status: MediaStatus::Ready, last_op_date: Timestamp::now(), ..volume })?;
    }
    Ok(())
}

/// Lets the VM be started again.
fn rest(tx: &Tx<'_>, plan: &Plan) -> Result<(), Failure> {
    let Some((vm, before)) = plan.vm else { return Ok(()) };
    if let Some(vm) = tx.get::<VmInstance>(vm)? {
        tx.save(&VmInstance { state: before, last_op_date: Timestamp::now(), ..vm })?;
    }
    Ok(())
}

async fn bring_image<M: VolumeMove>(mut run: Run<Move<M>>) -> Result<Moving, Failure> {
    let Some(image) = run.state.image_plan().cloned() else { return Ok(run.state) };
    let plan = run.state.plan()?.clone();
    wait_for_eviction(&run.node, image.to, &run.cancelled).await?;
    let offer = OfferFile { root: plan.from.root.clone(), path: image.from_path.clone(), to: plan.to.host };
    let offered = run.call(plan.from.host, "offer the image", offer).await?;
    let Some(facts) = offered.image else {
        let details = format!("{} on host {} is not the cached image it should be", image.from_path, plan.from.host);
        return Err(Failure::new(ErrorKind::HostCommand, details));
    };
    let command = CacheImage {
        image: image.to.image,
        peer: plan.peer,
        source_root: plan.from.root,
        source_path: image.from_path,
        md5: facts.md5,
        format: facts.format,
        root: plan.to.root,
        path: image.to_path,
    };
    run.state.image = Some(run.call_long(plan.to.host, "cache the image", command).await?);
    Ok(run.state)
}

async fn copy<M: VolumeMove>(mut run: Run<Move<M>>) -> Result<Moving, Failure> {
    let plan = run.state.plan()?.clone();
    let offer = OfferFile { root: plan.from.root.clone(), path: plan.from.path.clone(), to: plan.to.host };
    let offered = run.call_part(plan.from.host, "offer the volume", offer, Part { index: 0, of: 2 }).await?;
    let backing_path = backing_path(&plan, &offered)?;
    let command = CopyVolume {
        volume: plan.volume,
        peer: plan.peer,
        source_root: plan.from.root,
        source_path: plan.from.path,
        md5: offered.md5,
        nvram_md5: offered.nvram_md5,
        root: plan.to.root,
        path: plan.to.path,
        backing_path,
    };
    let made = run.call_part(plan.to.host, "copy the volume", command, Part { index: 1, of: 2 }).await?;
    run.state.actual_bytes = Some(made.actual_bytes);
    Ok(run.state)
}

/// What the copy stands on: the image that was brought, where the original stands on that image.
fn backing_path(plan: &Plan, offered: &OfferedFile) -> Result<Option<String>, Failure> {
    match (&offered.backing_path, &plan.image) {
        (None, _) => Ok(None),
        (Some(found), Some(image)) if *found == image.from_path => Ok(Some(image.to_path.clone())),
        (Some(found), _) => {
            let details = format!(
                "{} on host {} stands on {found}, which is no image that the cache is known to hold: use SyncPrimaryStorageCapacity, which looks through the cache",
                plan.from.path, plan.from.host
            );
            Err(Failure::new(ErrorKind::StateForbids, details))
        }
    }
}

async fn delete_copy<M: VolumeMove>(run: Run<Move<M>>) -> Result<Moving, Failure> {
    if let Some(plan) = run.state.plan.as_ref().filter(|_| !run.state.moved) {
        let command = DeleteVolume { root: plan.to.root.clone(), path: plan.to.path.clone() };
        clean_up(&run.node, plan.to.host, Cleanup::Volume(command)).await?;
    }
    Ok(run.state)
}

fn replace<M: VolumeMove>(tx: &Tx<'_>, run: &mut Recording<'_, Move<M>>) -> Result<(), Failure> {
    let plan = run.state.plan()?.clone();
    let volume = require::<Volume>(tx, "volumeUuid", plan.volume)?;
    let host = require::<Host>(tx, "destHostUuid", plan.to.host)?;
    // The storage may have been taken from the host's cluster meanwhile.
    if tx.local_storage(plan.to.storage, plan.to.host)?.is_none() {
        let details = format!("host '{}' does not have the primary storage any more", host.name);
        return Err(Failure::new(ErrorKind::StateForbids, details));
    }
    let holder = plan.volume.to_string();
    tx.release_storage(plan.from.storage, plan.from.host, &holder)?;
    let is_root = volume.kind == VolumeType::Root;
    tx.save(&Volume {
        primary_storage_uuid: Some(plan.to.storage),
        host_uuid: Some(plan.to.host),
        install_path: Some(plan.to.path.clone()),
        actual_size: run.state.actual_bytes.or(volume.actual_size),
        status: MediaStatus::Ready,
        last_op_date: Timestamp::now(),
        ..volume
    })?;
    rest(tx, &plan)?;
    if let (Some((vm, _)), true) = (plan.vm, is_root) {
        let vm = require::<VmInstance>(tx, "vmInstanceUuid", vm)?;
        tx.save(&VmInstance { cluster_uuid: Some(host.cluster_uuid), zone_uuid: Some(host.zone_uuid), ..vm })?;
    }
    // The volume's row says from now on that the image is used.
    tx.release_cache_claims(run.job)?;
    run.state.moved = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_place_below_another_root_and_gets_a_name_of_its_own() {
        let volume = VolumeUuid::random();
        let old = format!("/a/rootVolumes/acct-1/vol-{volume}/{volume}.qcow2");
        let there = rerooted(&old, "/a", "/b/c").unwrap();
        assert_eq!(there, format!("/b/c/rootVolumes/acct-1/vol-{volume}/{volume}.qcow2"));
        let (first, second) = (fresh_path(volume, &there), fresh_path(volume, &there));
        assert!(first.starts_with(&format!("/b/c/rootVolumes/acct-1/vol-{volume}/{volume}-")), "{first}");
        assert!(first != second && first != there);
        // However often it moves, its name does not grow.
        assert_eq!(fresh_path(volume, &first).len(), first.len());
    }

    #[test]
    fn a_path_that_only_looks_like_being_below_the_root_is_refused() {
        assert!(rerooted("/ab/x", "/a", "/b").is_err());
        assert!(rerooted("/c/x", "/a", "/b").is_err());
    }
}

//! 4.4.10: cached images that nothing uses any more.
//!
//! An image is in use while the row of any volume made from it says that it lies in the same storage on the same host,
//! which is so from the moment a volume is decided on; and while a job claims it. An eviction claims it too, in the same
//! transaction in which it finds no use: whoever comes to need the image then waits until it is gone, and brings it anew.

use std::{ffi::OsStr, path::Path, sync::Arc, time::Duration};

use gantry_common::{
    agent::{EvictImage, SurveyStorage},
    error::ErrorKind,
    id::{HostUuid, JobUuid, OperationId, PrimaryStorageUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{candidates::Exclusion, making::require, storage_survey::connected_hosts};
use crate::{
    api::{Operation, job},
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    node::Node,
    operation,
    resource::{Image, PrimaryStorage},
    store::{CachePlace, SqlValue, Tx},
};

/// How often it is looked whether an eviction has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![job::<CleanUpImageCacheOnPrimaryStorage>()]
}

operation! {
    /// Removes the cached images that nothing uses from a primary storage, on all of its connected hosts. What stays is
    /// listed with the reason.
    CleanUpImageCacheOnPrimaryStorage, "4.4.10", Put "/primary-storage/{uuid}/actions",
        Job -> { removed: [{ imageUuid: Uuid, hostUuid: Uuid, size: i64 }], details: [Exclusion] }; {
        /// The primary storage.
        uuid: PrimaryStorageUuid;
    }
}

/// A file in a cache.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CachedFile {
    place: CachePlace,
    root: String,
    path: String,
    actual_bytes: u64,
}

/// Which cached images go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unneeded {
    /// All that nothing uses.
    Unused,
    /// Of these, only those whose image exists no longer, from which nothing can be made any more.
    Orphaned,
}

/// How far a clean-up is.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct CleaningUp {
    found: Vec<CachedFile>,
    chosen: Vec<CachedFile>,
    removed: Vec<CachedFile>,
    kept: Vec<Exclusion>,
    failed: Vec<String>,
}

impl JobOperation for CleanUpImageCacheOnPrimaryStorage {
    type State = CleaningUp;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("check the storage", |tx, run: &mut Recording<'_, Self>| {
                let storage = require::<PrimaryStorage>(tx, "uuid", run.params.uuid)?;
                connected_hosts(tx, &storage).map(drop)
            }),
            Step::remote("see what is cached", |mut run: Run<Self>| async move {
                (run.state.found, run.state.failed) = find(&run.node, run.params.uuid, Unneeded::Unused).await?;
                Ok(run.state)
            }),
            Step::record("choose what nothing uses", |tx, run: &mut Recording<'_, Self>| {
                (run.state.chosen, run.state.kept) = choose(tx, run.job, &run.state.found, Unneeded::Unused)?;
                Ok(())
            })
            .undo_record(|tx, run| Ok(tx.release_cache_claims(run.job)?)),
            Step::remote("remove it", |mut run: Run<Self>| async move {
                let outcome = evict(&run.node, &run.state.chosen).await;
                run.state.removed = outcome.removed;
                run.state.kept.extend(outcome.kept);
                run.state.failed.extend(outcome.failed);
                Ok(run.state)
            }),
            Step::record("record what is gone", |tx, run: &mut Recording<'_, Self>| {
                settle(tx, run.job, &run.state.removed)
            }),
            // What is gone stays recorded as gone, whatever else failed.
            Step::remote("tell what failed", |run: Run<Self>| async move {
                if run.state.failed.is_empty() {
                    return Ok(run.state);
                }
                let details = format!(
                    "{} cached images were removed, and not all could be looked at: {}",
                    run.state.removed.len(),
                    run.state.failed.join("; ")
                );
                Err(Failure::new(ErrorKind::HostCommand, details))
            }),
        ]
    }

    fn reply(&self, _tx: &Tx<'_>, state: &CleaningUp) -> Result<Value, Failure> {
        let removed: Vec<Value> = state
            .removed
            .iter()
            .map(
                |file| json!({ "imageUuid": file.place.image, "hostUuid": file.place.host, "size": file.actual_bytes }),
            )
            .collect();
        Ok(json!({ "removed": removed, "details": state.kept }))
    }
}

/// The images in a storage's caches on its connected hosts, by the files; and which hosts could not be asked. Hosts that
/// are not known to have what is wanted are left alone unless everything is wanted.
async fn find(
    node: &Arc<Node>,
    storage: PrimaryStorageUuid,
    which: Unneeded,
) -> Result<(Vec<CachedFile>, Vec<String>), Failure> {
    let look = move |tx: &Tx<'_>| {
        let storage = require::<PrimaryStorage>(tx, "uuid", storage)?;
        let mut hosts = connected_hosts(tx, &storage)?;
        if which == Unneeded::Orphaned {
            let with_orphans = tx.hosts_with_orphaned_images(storage.uuid)?;
            hosts.retain(|host| with_orphans.contains(host));
        }
        Ok::<_, Failure>((storage.url, hosts))
    };
    let (root, hosts) = node.store.read(look).await?;
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for host in hosts {
        match node.call(host, OperationId::random(), SurveyStorage { root: root.clone() }).await {
            Ok(survey) => found.extend(survey.cached_images.into_iter().map(|cached| CachedFile {
                place: CachePlace { image: cached.image, storage, host },
                root: root.clone(),
                path: cached.path,
                actual_bytes: cached.actual_bytes,
            })),
            Err(failure) => failed.push(format!("host {host}: {failure}")),
        }
    }
    Ok((found, failed))
}

/// Claims for eviction what is not needed; the others with what keeps them.
fn choose(
    tx: &Tx<'_>,
    job: JobUuid,
    found: &[CachedFile],
    which: Unneeded,
) -> Result<(Vec<CachedFile>, Vec<Exclusion>), Failure> {
    let (mut chosen, mut kept) = (Vec::new(), Vec::new());
    for file in found {
        let place = file.place;
        let image = tx.get::<Image>(place.image)?;
        if which == Unneeded::Orphaned && image.is_some() {
            continue;
        }
        if tx.claim_eviction(place, job)? {
            chosen.push(file.clone());
        } else {
            let name = image.map_or_else(|| file.path.clone(), |image| image.name);
            let reason = format!("a volume on host {} was made from it, or a job there needs it", place.host);
            kept.push(Exclusion::new(place.image, name, reason));
        }
    }
    Ok((chosen, kept))
}

/// What became of images that were to be evicted.
struct Evicted {
    removed: Vec<CachedFile>,
    kept: Vec<Exclusion>,
    failed: Vec<String>,
}

async fn evict(node: &Arc<Node>, chosen: &[CachedFile]) -> Evicted {
    let mut outcome = Evicted { removed: Vec::new(), kept: Vec::new(), failed: Vec::new() };
    for file in chosen {
        let command = EvictImage { root: file.root.clone(), path: file.path.clone() };
        match node.call(file.place.host, OperationId::random(), command).await {
            Ok(()) => outcome.removed.push(file.clone()),
            // The files know of a use that the inventory does not.
            Err(failure) if failure.kind == ErrorKind::ResourceInUse => {
                outcome.kept.push(Exclusion::new(file.place.image, &file.path, failure.details));
            }
            Err(failure) => outcome.failed.push(format!("{} on host {}: {failure}", file.path, file.place.host)),
        }
    }
    outcome
}

/// Records what is gone, and lets those go on who wait for it.
fn settle(tx: &Tx<'_>, job: JobUuid, removed: &[CachedFile]) -> Result<(), Failure> {
    for file in removed {
        let CachePlace { image, storage, host } = file.place;
        tracing::info!(%image, %storage, %host, path = file.path, "a cached image that nothing used was removed");
        tx.forget_cached(file.place)?;
    }
    Ok(tx.release_cache_claims(job)?)
}

/// Removes from a storage's caches what is not needed, outside of any job. Answers how many images and bytes went.
pub async fn clean_up_cache(
    node: &Arc<Node>,
    storage: PrimaryStorageUuid,
    which: Unneeded,
) -> Result<(usize, u64), Failure> {
    let (found, failed) = find(node, storage, which).await?;
    // Its claims are in nobody's name, and are dropped at the node's next start should it end now.
    let claimant = JobUuid::random();
    let (chosen, _) = node.store.write(move |tx| choose(tx, claimant, &found, which)).await?;
    let outcome = evict(node, &chosen).await;
    for failure in failed.into_iter().chain(outcome.failed) {
        tracing::warn!(%storage, failure, "the image cache could not be looked through everywhere");
    }
    let (count, bytes) = (outcome.removed.len(), outcome.removed.iter().map(|file| file.actual_bytes).sum());
    node.store.write(move |tx| settle(tx, claimant, &outcome.removed)).await?;
    Ok((count, bytes))
}

/// Takes a cached image away that was owed when its storage or its host was deleted. Both may be back by now: an image that is
/// recorded there again, or that somebody needs, stays.
pub async fn evict_owed(node: &Arc<Node>, host: HostUuid, command: EvictImage) -> Result<(), Failure> {
    let (asked, claimant) = (command.clone(), JobUuid::random());
    if !node.store.write(move |tx| claim_owed(tx, host, &asked, claimant)).await? {
        tracing::info!(%host, path = command.path, "the image is cached again: it stays");
        return Ok(());
    }
    let evicted = node.call(host, OperationId::random(), command).await;
    node.store.write(move |tx| tx.release_cache_claims(claimant).map_err(Failure::from)).await?;
    evicted
}

/// Claims the image for eviction in whatever storage is at its place now. Answers whether it may go.
fn claim_owed(tx: &Tx<'_>, host: HostUuid, command: &EvictImage, claimant: JobUuid) -> Result<bool, Failure> {
    if tx.images_cached_on(host)?.iter().any(|cached| cached.install_path == command.path) {
        return Ok(false);
    }
    let name = Path::new(&command.path).file_stem().and_then(OsStr::to_str);
    let Some(image) = name.and_then(|name| name.parse().ok()) else { return Ok(true) };
    for storage in tx.find::<PrimaryStorage>(&[("url", command.root.to_sql())])? {
        if !tx.claim_eviction(CachePlace { image, storage: storage.uuid, host }, claimant)? {
            tx.release_cache_claims(claimant)?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Waits until no eviction has the image in hand. Whoever needs it has said so in the inventory before: what is brought
/// after this stays.
pub async fn wait_for_eviction(
    node: &Arc<Node>,
    place: CachePlace,
    cancelled: &CancellationToken,
) -> Result<(), Failure> {
    let wait = async {
        while node.store.read(move |tx| tx.is_being_evicted(place).map_err(Failure::from)).await? {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    };
    let stopped = || Failure::new(ErrorKind::Cancelled, "cancelled while a cached image was being removed");
    cancelled.run_until_cancelled(wait).await.unwrap_or_else(|| Err(stopped()))
}

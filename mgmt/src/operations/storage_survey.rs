//! 4.4.5, 4.4.7: looking through a primary storage on all of its hosts.

use gantry_common::{
    agent::{OpenStorage, StorageSurvey, SurveyStorage},
    error::ErrorKind,
    id::{HostUuid, PrimaryStorageUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::making::require;
use crate::{
    api::{Operation, job},
    clock::Timestamp,
    failure::Failure,
    hosts::CapacityRules,
    job::{JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{ConnectionStatus, Host, PrimaryStorage, PrimaryStorageClusterRef},
    store::{CachePlace, SqlValue, SurveyedStorage, Tx},
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![job::<ReconnectPrimaryStorage>(), job::<SyncPrimaryStorageCapacity>()]
}

operation! {
    /// Opens a primary storage on all of its connected hosts anew: its directory is made if need be, proven writable and
    /// measured.
    ReconnectPrimaryStorage, "4.4.5", Put "/primary-storage/{uuid}/actions", Job -> PrimaryStorage; {
        /// The primary storage.
        uuid: PrimaryStorageUuid;
    }
}

operation! {
    /// Measures a primary storage on all of its connected hosts: what its file systems have and what its files take of
    /// them, its image cache included.
    SyncPrimaryStorageCapacity, "4.4.7", Put "/primary-storage/{primaryStorageUuid}/actions", Job -> PrimaryStorage; {
        /// The primary storage.
        primary_storage_uuid: PrimaryStorageUuid;
    }
}

/// What the hosts said of a storage.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Surveys {
    root: String,
    hosts: Vec<HostUuid>,
    found: Vec<(HostUuid, StorageSurvey)>,
    failed: Vec<(HostUuid, String)>,
}

/// An operation that looks through a storage.
trait Surveying: JobOperation<State = Surveys> {
    /// The name of the parameter that names the storage.
    const PARAMETER: &'static str;

    /// The storage.
    fn storage(&self) -> PrimaryStorageUuid;

    /// Whether the directories are made and tried as well.
    const OPENS: bool;
}

impl Surveying for ReconnectPrimaryStorage {
    const PARAMETER: &'static str = "uuid";
    const OPENS: bool = true;

    fn storage(&self) -> PrimaryStorageUuid {
        self.uuid
    }
}

impl Surveying for SyncPrimaryStorageCapacity {
    const PARAMETER: &'static str = "primaryStorageUuid";
    const OPENS: bool = false;

    fn storage(&self) -> PrimaryStorageUuid {
        self.primary_storage_uuid
    }
}

macro_rules! surveys {
    ($($operation:ident)*) => {$(
        impl JobOperation for $operation {
            type State = Surveys;

            fn locks(&self) -> Vec<String> {
                vec![self.storage().to_string()]
            }

            fn steps() -> Vec<Step<Self>> {
                steps()
            }

            fn reply(&self, tx: &Tx<'_>, _state: &Surveys) -> Result<Value, Failure> {
                inventory_reply::<PrimaryStorage>(tx, self.storage())
            }
        }
    )*};
}

surveys! { ReconnectPrimaryStorage SyncPrimaryStorageCapacity }

fn steps<O: Surveying>() -> Vec<Step<O>> {
    vec![
        Step::record("find its hosts", |tx, run: &mut Recording<'_, O>| {
            let storage = require::<PrimaryStorage>(tx, O::PARAMETER, run.params.storage())?;
            run.state.hosts = connected_hosts(tx, &storage)?;
            run.state.root = storage.url;
            Ok(())
        }),
        Step::remote("look through it", |mut run: Run<O>| async move {
            (run.state.found, run.state.failed) = (Vec::new(), Vec::new());
            for host in run.state.hosts.clone() {
                match look(&run, host).await {
                    Ok(survey) => run.state.found.push((host, survey)),
                    Err(failure) => run.state.failed.push((host, failure.details)),
                }
            }
            Ok(run.state)
        }),
        Step::record("record what was found", |tx, run: &mut Recording<'_, O>| {
            let rules = CapacityRules::from(&*run.node.settings.now());
            record(tx, run.params.storage(), &run.state.found, rules)
        }),
        // What was found stays recorded, whoever did not answer.
        Step::remote("tell which hosts failed", |run: Run<O>| async move {
            if run.state.failed.is_empty() {
                return Ok(run.state);
            }
            let failed: Vec<String> =
                run.state.failed.iter().map(|(host, reason)| format!("host {host}: {reason}")).collect();
            let details =
                format!("{} of {} hosts did not do it: {}", failed.len(), run.state.hosts.len(), failed.join("; "));
            Err(Failure::new(ErrorKind::HostCommand, details))
        }),
    ]
}

/// The connected hosts of the clusters that a storage is on.
pub fn connected_hosts(tx: &Tx<'_>, storage: &PrimaryStorage) -> Result<Vec<HostUuid>, Failure> {
    let clusters = tx.find::<PrimaryStorageClusterRef>(&[("primary_storage_uuid", storage.uuid.to_sql())])?;
    let mut hosts = Vec::new();
    for link in &clusters {
        hosts.extend(tx.find::<Host>(&[("cluster_uuid", link.cluster_uuid.to_sql())])?);
    }
    let all = hosts.len();
    hosts.retain(|host| host.status == ConnectionStatus::Connected);
    match (clusters.len(), hosts.len()) {
        (0, _) => Err(Failure::new(
            ErrorKind::StateForbids,
            format!("primary storage '{}' is on no cluster: use AttachPrimaryStorageToCluster", storage.name),
        )),
        (_, 0) => Err(Failure::new(
            ErrorKind::HostDisconnected,
            format!("none of the {all} hosts of primary storage '{}' is Connected: see QueryHost", storage.name),
        )),
        _ => Ok(hosts.into_iter().map(|host| host.uuid).collect()),
    }
}

async fn look<O: Surveying>(run: &Run<O>, host: HostUuid) -> Result<StorageSurvey, Failure> {
    let root = run.state.root.clone();
    if O::OPENS {
        run.call(host, &format!("open on {host}"), OpenStorage { root: root.clone() }).await?;
    }
    run.call(host, &format!("survey on {host}"), SurveyStorage { root }).await
}

/// Brings the inventory to what the hosts said.
fn record(
    tx: &Tx<'_>,
    storage: PrimaryStorageUuid,
    found: &[(HostUuid, StorageSurvey)],
    rules: CapacityRules,
) -> Result<(), Failure> {
    for (host, survey) in found {
        if tx.get::<Host>(*host)?.is_none() {
            continue;
        }
        let surveyed = SurveyedStorage {
            total_bytes: survey.capacity.total_bytes,
            available_bytes: survey.capacity.available_bytes,
            own_bytes: survey.used_bytes,
        };
        tx.survey_local_storage(storage, *host, surveyed, rules.storage)?;
        record_cache(tx, storage, *host, survey)?;
    }
    let mut known = require::<PrimaryStorage>(tx, "primaryStorageUuid", storage)?;
    known.status = if found.is_empty() { ConnectionStatus::Disconnected } else { ConnectionStatus::Connected };
    known.last_op_date = Timestamp::now();
    tx.save(&known)?;
    Ok(())
}

/// Notes the cached images that are there and in no record, and forgets those that are gone.
fn record_cache(
    tx: &Tx<'_>,
    storage: PrimaryStorageUuid,
    host: HostUuid,
    survey: &StorageSurvey,
) -> Result<(), Failure> {
    for cached in &survey.cached_images {
        if !tx.is_being_evicted(CachePlace { image: cached.image, storage, host })? {
            tx.note_cached(cached.image, storage, host, &cached.path, cached.actual_bytes)?;
        }
    }
    for image in tx.cached_images(storage, host)? {
        let place = CachePlace { image, storage, host };
        // One that came after the look is used: that is what it came for.
        let is_there = survey.cached_images.iter().any(|cached| cached.image == image);
        if !is_there && !tx.is_cached_image_used(place)? {
            tx.forget_cached(place)?;
        }
    }
    Ok(())
}

//! 4.4: primary storage.

use gantry_common::{
    agent::OpenStorage,
    error::ErrorKind,
    id::{ClusterUuid, HostUuid, PrimaryStorageUuid, ZoneUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    changing::{Change, change, describe, switched},
    making::{made, make, put_tags, readable_name, refuse_if_used, require},
};
use crate::{
    api::{Caller, Operation, SyncOperation, job, query, sync},
    clock::Timestamp,
    failure::Failure,
    hosts::CapacityRules,
    job::{JobOperation, Run, Step},
    operation,
    query::inventory_reply,
    resource::{
        AdminState, Cluster, ConnectionStatus, Host, MediaStatus, PrimaryStorage, PrimaryStorageClusterRef, VmInstance,
        Volume, Zone,
    },
    store::{SqlValue, Tx},
    vm::{LOCAL_STORAGE, STORAGE_STRATEGIES},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<AddLocalPrimaryStorage>(),
        job::<DeletePrimaryStorage>(),
        job::<AttachPrimaryStorageToCluster>(),
        job::<DetachPrimaryStorageFromCluster>(),
        change::<UpdatePrimaryStorage>(),
        change::<ChangePrimaryStorageState>(),
        sync::<GetPrimaryStorageTypes>(),
        sync::<GetPrimaryStorageAllocatorStrategies>(),
        query::<QueryPrimaryStorage>(PrimaryStorage::declaration),
    ]
}

/// Directories that belong to the system: a storage is a directory of its own.
const SYSTEM_DIRECTORIES: [&str; 12] =
    ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr"];

/// A storage's directory: absolute, plain, and not one of the system's.
pub(super) fn storage_path(parameter: &str, path: &str) -> Result<String, Failure> {
    let refuse = |remedy: &str| Err(Failure::argument(parameter, path, remedy));
    let plain = path.trim_end_matches('/');
    if !plain.starts_with('/') {
        return refuse("the absolute path of a directory is needed, such as /var/lib/gantry/storage");
    }
    let parts: Vec<&str> = plain[1..].split('/').collect();
    if parts.iter().any(|part| part.is_empty() || *part == "." || *part == ".." || part.chars().any(char::is_control)) {
        return refuse("'.', '..', empty parts and control characters must not stand in it");
    }
    if SYSTEM_DIRECTORIES.iter().any(|system| plain == *system || plain.starts_with(&format!("{system}/"))) {
        return refuse("it lies in a directory of the system: choose another one");
    }
    Ok(plain.to_owned())
}

operation! {
    /// Adds the hosts' own disks, below one directory, as a primary storage.
    AddLocalPrimaryStorage, "4.4.15.1", Post "/primary-storage/local-storage", Job -> PrimaryStorage; {
        /// The directory on each host.
        url: String, max_length 2048;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its kind.
        kind as "type": Option<String>;
        /// The zone it is in.
        zone_uuid: ZoneUuid;
        /// The id it gets.
        resource_uuid: Option<PrimaryStorageUuid>;
    }
}

impl JobOperation for AddLocalPrimaryStorage {
    type State = Option<PrimaryStorageUuid>;

    fn locks(&self) -> Vec<String> {
        vec![self.zone_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("record the primary storage", |tx, run| {
            let params = run.params;
            let zone = require::<Zone>(tx, "zoneUuid", params.zone_uuid)?;
            let url = storage_path("url", &params.url)?;
            let uuid = params.resource_uuid.unwrap_or_else(PrimaryStorageUuid::random);
            let now = Timestamp::now();
            make(
                tx,
                &PrimaryStorage {
                    uuid,
                    zone_uuid: zone.uuid,
                    name: readable_name(&params.name)?,
                    mount_path: url.clone(),
                    url,
                    description: params.description.clone(),
                    total_capacity: 0,
                    available_capacity: 0,
                    total_physical_capacity: 0,
                    available_physical_capacity: 0,
                    system_used_capacity: 0,
                    kind: LOCAL_STORAGE.to_owned(),
                    state: AdminState::Enabled,
                    // It becomes connected with the first host that has it.
                    status: ConnectionStatus::Disconnected,
                    create_date: now,
                    last_op_date: now,
                },
            )?;
            put_tags::<PrimaryStorage>(tx, uuid, &params.system_tags, &params.user_tags)?;
            *run.state = Some(uuid);
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Self::State) -> Result<Value, Failure> {
        made::<PrimaryStorage>(tx, *state)
    }
}

operation! {
    /// Deletes a primary storage that is on no cluster. Files on the hosts stay.
    DeletePrimaryStorage, "4.4.1", Delete "/primary-storage/{uuid}", Job; {
        /// The primary storage.
        uuid: PrimaryStorageUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

impl JobOperation for DeletePrimaryStorage {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("delete the primary storage", |tx, run| {
            let storage = require::<PrimaryStorage>(tx, "uuid", run.params.uuid)?;
            let on = [("primary_storage_uuid", storage.uuid.to_sql())];
            refuse_if_used(
                "primary storage",
                &storage.name,
                &[
                    ("attached clusters", tx.count::<PrimaryStorageClusterRef>(&on)?),
                    ("volumes", tx.count::<Volume>(&on)?),
                ],
            )?;
            for host in tx.local_storage_hosts(storage.uuid)? {
                tx.remove_local_storage(storage.uuid, host)?;
            }
            Ok(tx.delete::<PrimaryStorage>(storage.uuid)?)
        })]
    }
}

/// Two storages of a host must not share a directory: their files and their space would be each other's.
fn refuse_overlap(tx: &Tx<'_>, cluster: &Cluster, storage: &PrimaryStorage) -> Result<(), Failure> {
    let is_below = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}/"));
    for link in tx.find::<PrimaryStorageClusterRef>(&[("cluster_uuid", cluster.uuid.to_sql())])? {
        let Some(other) = tx.get::<PrimaryStorage>(link.primary_storage_uuid)? else { continue };
        if other.uuid != storage.uuid && (is_below(&other.url, &storage.url) || is_below(&storage.url, &other.url)) {
            let remedy = format!(
                "its directory {} and {} of primary storage '{}' on the same cluster overlap: add a storage with another directory",
                storage.url, other.url, other.name
            );
            return Err(Failure::argument("primaryStorageUuid", storage.uuid, remedy));
        }
    }
    Ok(())
}

/// What the hosts' file systems said.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Measured {
    path: String,
    hosts: Vec<HostUuid>,
    /// Total and available bytes of each host.
    capacities: Vec<(HostUuid, u64, u64)>,
}

operation! {
    /// Lets a cluster's hosts use a primary storage.
    AttachPrimaryStorageToCluster, "4.4.3",
        Post "/clusters/{clusterUuid}/primary-storage/{primaryStorageUuid}", Job -> PrimaryStorage; {
        /// The cluster.
        cluster_uuid: ClusterUuid;
        /// The primary storage.
        primary_storage_uuid: PrimaryStorageUuid;
    }
}

impl JobOperation for AttachPrimaryStorageToCluster {
    type State = Measured;

    fn locks(&self) -> Vec<String> {
        vec![self.cluster_uuid.to_string(), self.primary_storage_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("check the cluster", |tx, run| {
                let cluster = require::<Cluster>(tx, "clusterUuid", run.params.cluster_uuid)?;
                let storage = require::<PrimaryStorage>(tx, "primaryStorageUuid", run.params.primary_storage_uuid)?;
                if cluster.zone_uuid != storage.zone_uuid {
                    let remedy = "the cluster is in another zone than the primary storage";
                    return Err(Failure::argument("clusterUuid", cluster.uuid, remedy));
                }
                refuse_overlap(tx, &cluster, &storage)?;
                let hosts = tx.find::<Host>(&[("cluster_uuid", cluster.uuid.to_sql())])?;
                let connected = hosts.into_iter().filter(|host| host.status == ConnectionStatus::Connected);
                run.state.hosts = connected.map(|host| host.uuid).collect();
                run.state.path = storage.url;
                Ok(())
            }),
            Step::remote("open the directories", |mut run: Run<Self>| async move {
                run.state.capacities.clear();
                for host in run.state.hosts.clone() {
                    let command = OpenStorage { root: run.state.path.clone() };
                    let capacity = run.call(host, &host.to_string(), command).await?;
                    run.state.capacities.push((host, capacity.total_bytes, capacity.available_bytes));
                }
                Ok(run.state)
            }),
            Step::record("record the attachment", |tx, run| {
                let params = run.params;
                let mut storage = require::<PrimaryStorage>(tx, "primaryStorageUuid", params.primary_storage_uuid)?;
                require::<Cluster>(tx, "clusterUuid", params.cluster_uuid)?;
                let link = PrimaryStorageClusterRef {
                    primary_storage_uuid: params.primary_storage_uuid,
                    cluster_uuid: params.cluster_uuid,
                };
                tx.link(&link)?;
                if !run.state.capacities.is_empty() {
                    storage.status = ConnectionStatus::Connected;
                    tx.save(&storage)?;
                }
                let rules = CapacityRules::from(&*run.node.settings.now());
                for (host, total, available) in &run.state.capacities {
                    tx.observe_local_storage(storage.uuid, *host, *total, *available, rules.storage)?;
                }
                Ok(())
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Measured) -> Result<Value, Failure> {
        inventory_reply::<PrimaryStorage>(tx, self.primary_storage_uuid)
    }
}

operation! {
    /// Takes a primary storage from a cluster. Refused while volumes of the cluster's hosts are on it.
    DetachPrimaryStorageFromCluster, "4.4.4",
        Delete "/clusters/{clusterUuid}/primary-storage/{primaryStorageUuid}", Job -> PrimaryStorage; {
        /// The primary storage.
        primary_storage_uuid: PrimaryStorageUuid;
        /// The cluster.
        cluster_uuid: ClusterUuid;
    }
}

impl JobOperation for DetachPrimaryStorageFromCluster {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.cluster_uuid.to_string(), self.primary_storage_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("record the detachment", |tx, run| {
            let storage = require::<PrimaryStorage>(tx, "primaryStorageUuid", run.params.primary_storage_uuid)?;
            let cluster = require::<Cluster>(tx, "clusterUuid", run.params.cluster_uuid)?;
            let hosts = tx.find::<Host>(&[("cluster_uuid", cluster.uuid.to_sql())])?;
            let mut volumes = 0;
            for host in &hosts {
                let on = [("primary_storage_uuid", storage.uuid.to_sql()), ("host_uuid", host.uuid.to_sql())];
                volumes += tx.count::<Volume>(&on)?;
            }
            let kind = format!("volumes on hosts of cluster '{}'", cluster.name);
            refuse_if_used("primary storage", &storage.name, &[(&kind, volumes)])?;
            let gone = tx.delete_where::<PrimaryStorageClusterRef>(&[
                ("primary_storage_uuid", storage.uuid.to_sql()),
                ("cluster_uuid", cluster.uuid.to_sql()),
            ])?;
            if gone == 0 {
                return Err(Failure::new(
                    ErrorKind::ResourceNotFound,
                    format!("primary storage '{}' is not on cluster '{}'", storage.name, cluster.name),
                ));
            }
            for host in hosts {
                tx.remove_local_storage(storage.uuid, host.uuid)?;
            }
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        inventory_reply::<PrimaryStorage>(tx, self.primary_storage_uuid)
    }
}

operation! {
    /// Queries primary storages.
    QueryPrimaryStorage, "4.4.2", Get "/primary-storage" | "/primary-storage/{uuid}", Sync -> [PrimaryStorage]; {}
}

operation! {
    /// Gives a primary storage another name or description.
    UpdatePrimaryStorage, "4.4.9", Put "/primary-storage/{uuid}/actions", Job -> PrimaryStorage; {
        /// The primary storage.
        uuid: PrimaryStorageUuid;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
        /// Its directory, which stays what it is.
        url: Option<String>, max_length 2048;
    }
}

impl Change for UpdatePrimaryStorage {
    type Resource = PrimaryStorage;

    fn key(&self) -> PrimaryStorageUuid {
        self.uuid
    }

    fn apply(&self, _tx: &Tx<'_>, storage: &mut PrimaryStorage) -> Result<(), Failure> {
        if let Some(url) = self.url.as_deref().filter(|url| url.trim_end_matches('/') != storage.url) {
            let remedy =
                format!("volumes of this storage lie in {}: add another storage for another directory", storage.url);
            return Err(Failure::argument("url", url, remedy));
        }
        describe((&mut storage.name, self.name.as_deref()), (&mut storage.description, self.description.as_deref()))
    }
}

operation! {
    /// Enables or disables a primary storage. A disabled one, or one in maintenance, takes no new volumes.
    ChangePrimaryStorageState, "4.4.8", Put "/primary-storage/{uuid}/actions", Job -> PrimaryStorage; {
        /// The primary storage.
        uuid: PrimaryStorageUuid;
        /// What is to happen.
        state_event: String, values &["enable", "disable", "maintain", "deleting"];
    }
}

/// How many running VMs have a volume on the storage.
fn running_vms(tx: &Tx<'_>, storage: PrimaryStorageUuid) -> Result<u64, Failure> {
    let mut running = std::collections::HashSet::new();
    for volume in tx.find::<Volume>(&[("primary_storage_uuid", storage.to_sql())])? {
        let vm = volume.vm_instance_uuid.map(|vm| tx.get::<VmInstance>(vm)).transpose()?.flatten();
        running.extend(vm.filter(|vm| vm.host_uuid.is_some()).map(|vm| vm.uuid));
    }
    Ok(running.len() as u64)
}

impl Change for ChangePrimaryStorageState {
    type Resource = PrimaryStorage;

    fn key(&self) -> PrimaryStorageUuid {
        self.uuid
    }

    fn apply(&self, tx: &Tx<'_>, storage: &mut PrimaryStorage) -> Result<(), Failure> {
        storage.state = match self.state_event.as_str() {
            "maintain" => {
                let running = running_vms(tx, storage.uuid)?;
                let moving = tx.count::<Volume>(&[
                    ("primary_storage_uuid", storage.uuid.to_sql()),
                    ("status", MediaStatus::Migrating.to_sql()),
                ])?;
                let blockers = [("running VMs", running), ("volumes that are being moved", moving)];
                refuse_if_used("primary storage", &storage.name, &blockers)?;
                AdminState::Maintenance
            }
            "deleting" => {
                let remedy = "a storage is in that state only while DeletePrimaryStorage is at work: call that";
                return Err(Failure::argument("stateEvent", &self.state_event, remedy));
            }
            event => switched(event),
        };
        Ok(())
    }
}

operation! {
    /// The kinds of primary storage that can be added.
    GetPrimaryStorageTypes, "4.4.12", Get "/primary-storage/types", Sync -> { types: [String] }; {}
}

impl SyncOperation for GetPrimaryStorageTypes {
    async fn answer(self, _caller: Caller) -> Result<Value, Failure> {
        Ok(json!({ "types": [LOCAL_STORAGE] }))
    }
}

operation! {
    /// How a primary storage can be chosen for a volume.
    GetPrimaryStorageAllocatorStrategies, "4.4.11", Get "/primary-storage/allocators/strategies", Sync -> { strategies: [String] }; {}
}

impl SyncOperation for GetPrimaryStorageAllocatorStrategies {
    async fn answer(self, _caller: Caller) -> Result<Value, Failure> {
        Ok(json!({ "strategies": STORAGE_STRATEGIES }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_is_a_directory_of_its_own() {
        assert_eq!(storage_path("url", "/data/vm/").unwrap(), "/data/vm");
        for path in ["", "/", "data", "/data/../etc", "/etc", "/usr/local/x", "/data//x", "/data/a\nb"] {
            assert!(storage_path("url", path).is_err(), "{path}");
        }
    }
}

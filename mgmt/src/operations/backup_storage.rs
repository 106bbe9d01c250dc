//! 4.5: backup storage.

use gantry_common::{
    agent::{OpenStorage, SurveyImageStore, SurveyedImage},
    error::ErrorKind,
    id::{BackupStorageUuid, ZoneUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    changing::{SWITCHES, change},
    image_import::import,
    making::{made, make, put_tags, readable_name, require},
    primary_storage::storage_path,
};
use crate::{
    api::{Caller, Operation, SyncOperation, job, query, sync},
    change_description, change_state,
    clock::Timestamp,
    deletes,
    deletion::deletes,
    detaches,
    failure::Failure,
    hosts::{
        DEFAULT_SSH_PORT, Login, Reaches, Reaching, confirm_agent, forget_machine, reaching_steps, record_machine,
    },
    job::{JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{AdminState, BackupStorage, BackupStorageZoneRef, ConnectionStatus, Machine, Zone},
    secret::Secret,
    store::{SqlValue, Tx},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<AddImageStoreBackupStorage>(),
        deletes::<DeleteBackupStorage>(),
        job::<AttachBackupStorageToZone>(),
        deletes::<DetachBackupStorageFromZone>(),
        change::<UpdateBackupStorage>(),
        change::<ChangeBackupStorageState>(),
        sync::<GetBackupStorageTypes>(),
        query::<QueryBackupStorage>(BackupStorage::declaration),
        query::<QueryImageStoreBackupStorage>(BackupStorage::declaration),
    ]
}

/// The one kind of backup storage there is.
const KIND: &str = "ImageStoreBackupStorage";

operation! {
    /// Makes a directory of a machine an image store. A machine without an agent of this node gets one, over SSH.
    AddImageStoreBackupStorage, "4.5.14.1", Post "/backup-storage/image-store", Job -> ImageStoreBackupStorage; {
        /// The machine's address.
        hostname: String, max_length 255, nonempty true;
        /// The SSH user: root, or one who may use sudo.
        username: String, max_length 255;
        /// The user's password.
        password: Secret, max_length 255;
        /// The SSH port.
        ssh_port: Option<u16>, range 1..=65535;
        /// The directory.
        url: String, max_length 2048, nonempty true;
        /// The backup storage's name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its kind.
        kind as "type": Option<String>;
        /// Whether the images that are in the directory already are taken into the inventory.
        import_images: Option<bool>;
        /// The id it gets.
        resource_uuid: Option<BackupStorageUuid>;
    }
}

impl Reaches for AddImageStoreBackupStorage {
    fn login(&self) -> Login<'_> {
        Login {
            address: &self.hostname,
            port: self.ssh_port.unwrap_or(DEFAULT_SSH_PORT),
            username: &self.username,
            password: &self.password,
        }
    }
}

/// How far the backup storage is.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Adding {
    reaching: Reaching,
    uuid: Option<BackupStorageUuid>,
    path: String,
    total_bytes: u64,
    available_bytes: u64,
    images: Vec<SurveyedImage>,
}

impl AsRef<Reaching> for Adding {
    fn as_ref(&self) -> &Reaching {
        &self.reaching
    }
}

impl AsMut<Reaching> for Adding {
    fn as_mut(&mut self) -> &mut Reaching {
        &mut self.reaching
    }
}

impl JobOperation for AddImageStoreBackupStorage {
    type State = Adding;

    fn locks(&self) -> Vec<String> {
        vec![format!("machine {}", self.hostname)]
    }

    fn steps() -> Vec<Step<Self>> {
        let mut steps = vec![Step::record("record the backup storage", record_storage).undo_record(|tx, run| {
            if let Some(uuid) = run.state.uuid {
                tx.delete::<BackupStorage>(uuid)?;
            }
            forget_machine(tx, &run.state.reaching)
        })];
        steps.extend(reaching_steps());
        steps.extend([
            Step::remote("open the directory", |mut run: Run<Self>| async move {
                if let Some(machine) = run.state.reaching.machine {
                    let command = OpenStorage { root: run.state.path.clone() };
                    let capacity = run.call(machine, "open", command).await?;
                    run.state.total_bytes = capacity.total_bytes;
                    run.state.available_bytes = capacity.available_bytes;
                }
                Ok(run.state)
            }),
            Step::remote("see which images are in it", |mut run: Run<Self>| async move {
                if let (Some(true), Some(machine)) = (run.params.import_images, run.state.reaching.machine) {
                    let command = SurveyImageStore { root: run.state.path.clone() };
                    run.state.images = run.call(machine, "survey", command).await?.images;
                }
                Ok(run.state)
            }),
            Step::remote("confirm the agent", confirm_agent::<Self>),
            Step::record("record that it is connected", |tx, run| {
                let (Some(uuid), Some(machine)) = (run.state.uuid, run.state.reaching.machine) else { return Ok(()) };
                let mut storage = require::<BackupStorage>(tx, "uuid", uuid)?;
                storage.status = require::<Machine>(tx, "uuid", machine)?.status;
                storage.total_capacity = run.state.total_bytes;
                storage.available_capacity = run.state.available_bytes;
                tx.save(&storage)?;
                import(tx, &run.node.settings.now(), &storage, &run.state.images)
            }),
        ]);
        steps
    }

    fn reply(&self, tx: &Tx<'_>, state: &Adding) -> Result<Value, Failure> {
        made::<BackupStorage>(tx, state.uuid)
    }
}

fn record_storage(tx: &Tx<'_>, run: &mut Recording<'_, AddImageStoreBackupStorage>) -> Result<(), Failure> {
    let params = run.params;
    let path = storage_path("url", &params.url)?;
    let reaching = record_machine(tx, "hostname", &params.hostname, None)?;
    let Some(machine_uuid) = reaching.machine else {
        return Err(Failure::new(ErrorKind::Internal, "the machine was not recorded"));
    };
    for other in tx.find::<BackupStorage>(&[("machine_uuid", machine_uuid.to_sql())])? {
        let (a, b) = (format!("{path}/"), format!("{}/", other.url));
        if a.starts_with(&b) || b.starts_with(&a) {
            return Err(Failure::new(
                ErrorKind::Duplicate,
                format!(
                    "url '{path}' is backup storage '{}' ({}) already, or lies in it: use another directory",
                    other.name, other.url
                ),
            ));
        }
    }
    let uuid = params.resource_uuid.unwrap_or_else(BackupStorageUuid::random);
    let now = Timestamp::now();
    make(
        tx,
        &BackupStorage {
            uuid,
            name: readable_name(&params.name)?,
            url: path.clone(),
            description: params.description.clone(),
            total_capacity: 0,
            available_capacity: 0,
            kind: KIND.to_owned(),
            state: AdminState::Enabled,
            status: ConnectionStatus::Connecting,
            hostname: params.hostname.clone(),
            username: params.username.clone(),
            ssh_port: params.ssh_port.unwrap_or(DEFAULT_SSH_PORT),
            create_date: now,
            last_op_date: now,
            machine_uuid,
        },
    )?;
    put_tags::<BackupStorage>(tx, uuid, &params.system_tags, &params.user_tags)?;
    *run.state = Adding { reaching, uuid: Some(uuid), path, ..Adding::default() };
    Ok(())
}

operation! {
    /// Deletes a backup storage with the copies of images in it, and the images that are nowhere else.
    DeleteBackupStorage, "4.5.1", Delete "/backup-storage/{uuid}", Job; {
        /// The backup storage.
        uuid: BackupStorageUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

deletes!(DeleteBackupStorage of BackupStorage);

operation! {
    /// Lets a zone's hosts use a backup storage.
    AttachBackupStorageToZone, "4.5.10",
        Post "/zones/{zoneUuid}/backup-storage/{backupStorageUuid}", Job -> BackupStorage; {
        /// The zone.
        zone_uuid: ZoneUuid;
        /// The backup storage.
        backup_storage_uuid: BackupStorageUuid;
    }
}

impl JobOperation for AttachBackupStorageToZone {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.zone_uuid.to_string(), self.backup_storage_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("record the attachment", |tx, run| {
            let zone = require::<Zone>(tx, "zoneUuid", run.params.zone_uuid)?;
            let storage = require::<BackupStorage>(tx, "backupStorageUuid", run.params.backup_storage_uuid)?;
            tx.link(&BackupStorageZoneRef { backup_storage_uuid: storage.uuid, zone_uuid: zone.uuid })?;
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        inventory_reply::<BackupStorage>(tx, self.backup_storage_uuid)
    }
}

operation! {
    /// Lets a zone's hosts use a backup storage no more.
    DetachBackupStorageFromZone, "4.5.11",
        Delete "/zones/{zoneUuid}/backup-storage/{backupStorageUuid}", Job -> BackupStorage; {
        /// The backup storage.
        backup_storage_uuid: BackupStorageUuid;
        /// The zone.
        zone_uuid: ZoneUuid;
    }
}

detaches!(DetachBackupStorageFromZone by BackupStorageZoneRef (backup_storage_uuid: BackupStorage, zone_uuid: Zone));

operation! {
    /// Queries backup storages.
    QueryBackupStorage, "4.5.2", Get "/backup-storage" | "/backup-storage/{uuid}", Sync -> [BackupStorage]; {}
}

operation! {
    /// Queries image stores.
    QueryImageStoreBackupStorage, "4.5.14.2",
        Get "/backup-storage/image-store" | "/backup-storage/image-store/{uuid}", Sync -> [ImageStoreBackupStorage]; {}
}

operation! {
    /// Gives a backup storage another name or description.
    UpdateBackupStorage, "4.5.7", Put "/backup-storage/{uuid}/actions", Job -> BackupStorage; {
        /// The backup storage.
        uuid: BackupStorageUuid;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
    }
}

change_description!(UpdateBackupStorage of BackupStorage);

operation! {
    /// Enables or disables a backup storage. A disabled one takes no new images.
    ChangeBackupStorageState, "4.5.4", Put "/backup-storage/{uuid}/actions", Job -> BackupStorage; {
        /// The backup storage.
        uuid: BackupStorageUuid;
        /// What is to happen.
        state_event: String, values SWITCHES;
    }
}

change_state!(ChangeBackupStorageState of BackupStorage);

operation! {
    /// The kinds of backup storage that can be added.
    GetBackupStorageTypes, "4.5.6", Get "/backup-storage/types", Sync -> { types: [String] }; {}
}

impl SyncOperation for GetBackupStorageTypes {
    async fn answer(self, _caller: Caller) -> Result<Value, Failure> {
        Ok(json!({ "types": [KIND] }))
    }
}

//! CreateDataVolume.

use gantry_common::{
    agent::VolumeSize,
    error::ErrorKind,
    id::{DiskOfferingUuid, HostUuid, PrimaryStorageUuid, VolumeUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::making::{made, make, put_tags, readable_name, require};
use crate::{
    cleanup::{Cleanup, clean_up},
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    operation,
    resource::{AdminState, DiskOffering, Host, MediaStatus, PrimaryStorage, Volume, VolumeType},
    store::Tx,
    tags::LOCAL_STORAGE_HOST,
    volume::{NewVolume, release, require_allowed, require_room, settle},
};

operation! {
    /// Makes a data volume. Where a primary storage is named, its file is made at once, on the host that the system tag
    /// `localStorage::hostUuid::…` names; else when it is attached for the first time, beside its VM's root volume.
    CreateDataVolume, "3.2.1", Post "/volumes/data", Job -> Volume; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its size.
        disk_offering_uuid: DiskOfferingUuid;
        /// The primary storage it is kept on.
        primary_storage_uuid: Option<PrimaryStorageUuid>;
        /// The id it gets.
        resource_uuid: Option<VolumeUuid>;
    }
}

/// A volume on its way to its file.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Making {
    pub volume: Option<VolumeUuid>,
    pub host: Option<HostUuid>,
    /// Its file, where one is made.
    pub file: Option<NewVolume>,
    pub size: Option<VolumeSize>,
}

impl JobOperation for CreateDataVolume {
    type State = Making;

    fn locks(&self) -> Vec<String> {
        self.resource_uuid.iter().map(ToString::to_string).collect()
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("record the volume and promise its space", record)
                .undo_record(|tx, run| run.state.volume.map_or(Ok(()), |volume| forget(tx, volume))),
            make_file(|state| state).cancellable(),
            Step::record("record that it is ready", |tx, run| note_made(tx, run.state)),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Making) -> Result<Value, Failure> {
        made::<Volume>(tx, state.volume)
    }
}

fn record(tx: &Tx<'_>, run: &mut Recording<'_, CreateDataVolume>) -> Result<(), Failure> {
    let params = run.params;
    let offering = require::<DiskOffering>(tx, "diskOfferingUuid", params.disk_offering_uuid)?;
    if offering.state != AdminState::Enabled {
        let details = format!("disk offering '{}' is {}: enable it or use another one", offering.name, offering.state);
        return Err(Failure::new(ErrorKind::StateForbids, details));
    }
    let named_host = params.system_tags.iter().find_map(|tag| tag.strip_prefix(LOCAL_STORAGE_HOST));
    let mut volume = new_data_volume(
        params.resource_uuid,
        readable_name(&params.name)?,
        params.description.clone(),
        offering.disk_size,
    );
    volume.disk_offering_uuid = Some(offering.uuid);
    match (params.primary_storage_uuid, named_host) {
        (None, None) => {}
        (None, Some(_)) => {
            let remedy = "the system tag localStorage::hostUuid::… goes with a local primary storage: name it";
            return Err(Failure::argument("primaryStorageUuid", "", remedy));
        }
        (Some(_), None) => {
            let remedy = "a volume on local storage is kept on one host: the system tag localStorage::hostUuid::<host uuid> is needed";
            return Err(Failure::argument("systemTags", params.system_tags.join(", "), remedy));
        }
        (Some(storage), Some(host)) => {
            let storage = require::<PrimaryStorage>(tx, "primaryStorageUuid", storage)?;
            let host = host.parse().map_err(|_| Failure::argument("systemTags", host, "a host's uuid is needed"))?;
            let host = require::<Host>(tx, "systemTags", host)?;
            require_allowed(tx, volume.disk_offering_uuid, &storage)?;
            require_room(tx, &run.node.settings.now(), &storage, &host, volume.size)?;
            run.state.file = Some(settle(tx, &mut volume, &storage, host.uuid, run.account_uuid, None)?);
            run.state.host = Some(host.uuid);
        }
    }
    make(tx, &volume)?;
    put_tags::<Volume>(tx, volume.uuid, &params.system_tags, &params.user_tags)?;
    run.state.volume = Some(volume.uuid);
    Ok(())
}

/// The record of a data volume that has no file yet.
pub fn new_data_volume(uuid: Option<VolumeUuid>, name: String, description: Option<String>, size_bytes: u64) -> Volume {
    let now = Timestamp::now();
    Volume {
        uuid: uuid.unwrap_or_else(VolumeUuid::random),
        name,
        description,
        primary_storage_uuid: None,
        vm_instance_uuid: None,
        disk_offering_uuid: None,
        root_image_uuid: None,
        install_path: None,
        kind: VolumeType::Data,
        format: "qcow2".to_owned(),
        size: size_bytes,
        actual_size: None,
        device_id: None,
        state: AdminState::Enabled,
        status: MediaStatus::NotInstantiated,
        create_date: now,
        last_op_date: now,
        is_shareable: false,
        host_uuid: None,
    }
}

/// Forgets a volume and gives back what it was promised.
pub fn forget(tx: &Tx<'_>, volume: VolumeUuid) -> Result<(), Failure> {
    if let Some(volume) = tx.get::<Volume>(volume)? {
        release(tx, &volume)?;
        tx.delete::<Volume>(volume.uuid)?;
    }
    Ok(())
}

/// The step that makes the volume's file, where one is to be made.
pub fn make_file<O: JobOperation>(making: fn(&mut O::State) -> &mut Making) -> Step<O> {
    Step::remote("make its file", move |mut run: Run<O>| async move {
        let wanted = making(&mut run.state).clone();
        if let (Some(host), Some(file)) = (wanted.host, &wanted.file) {
            let size = run.call(host, &file.uuid.to_string(), file.making()).await?;
            making(&mut run.state).size = Some(size);
        }
        Ok(run.state)
    })
    .undo_remote(move |mut run: Run<O>| async move {
        let made = making(&mut run.state).clone();
        if let (Some(host), Some(file)) = (made.host, &made.file) {
            clean_up(&run.node, host, Cleanup::Volume(file.deletion())).await?;
        }
        Ok(run.state)
    })
}

/// Records that the volume's file was made.
pub fn note_made(tx: &Tx<'_>, making: &Making) -> Result<(), Failure> {
    let (Some(uuid), Some(size)) = (making.volume, making.size) else { return Ok(()) };
    let mut volume = require::<Volume>(tx, "volumeUuid", uuid)?;
    volume.status = MediaStatus::Ready;
    volume.size = size.size_bytes;
    volume.actual_size = Some(size.actual_bytes);
    volume.last_op_date = Timestamp::now();
    tx.save(&volume)?;
    Ok(())
}

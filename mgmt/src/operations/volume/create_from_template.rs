//! CreateDataVolumeFromVolumeTemplate.

use gantry_common::{
    error::ErrorKind,
    id::{HostUuid, ImageUuid, PrimaryStorageUuid, VolumeUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::{
        making::{made, make, put_tags, readable_name, require},
        vm_instance::Caching,
    },
    create::{Making, forget, make_file, new_data_volume, note_made},
};
use crate::{
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    operation,
    resource::{AdminState, Host, Image, MediaStatus, MediaType, PrimaryStorage, Volume},
    store::Tx,
    vm::cached_path,
    volume::{require_room, settle},
};

operation! {
    /// Makes a data volume with what an image holds.
    CreateDataVolumeFromVolumeTemplate, "3.2.6",
        Post "/volumes/data/from/data-volume-templates/{imageUuid}", Job -> Volume; {
        /// The image, a DataVolumeTemplate.
        image_uuid: ImageUuid;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The primary storage it is kept on.
        primary_storage_uuid: PrimaryStorageUuid;
        /// The host it is kept on, which local storage needs.
        host_uuid: Option<HostUuid>;
        /// The id it gets.
        resource_uuid: Option<VolumeUuid>;
    }
}

/// The volume, and the image it stands on.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Copying {
    making: Making,
    cache: Option<Caching>,
}

impl JobOperation for CreateDataVolumeFromVolumeTemplate {
    type State = Copying;

    fn locks(&self) -> Vec<String> {
        self.resource_uuid.iter().map(ToString::to_string).collect()
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("record the volume and promise its space", record)
                .undo_record(|tx, run| run.state.making.volume.map_or(Ok(()), |volume| forget(tx, volume))),
            Step::remote("bring the image to the host", |mut run: Run<Self>| async move {
                if let Some(mut cache) = run.state.cache.clone() {
                    cache.bring(&run).await?;
                    run.state.cache = Some(cache);
                }
                Ok(run.state)
            })
            .cancellable(),
            Step::record("note the cached image", |tx, run| {
                run.state.cache.as_ref().map_or(Ok(()), |cache| cache.note(tx))
            }),
            make_file(|state: &mut Copying| &mut state.making).cancellable(),
            Step::record("record that it is ready", |tx, run| note_made(tx, &run.state.making)),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Copying) -> Result<Value, Failure> {
        made::<Volume>(tx, state.making.volume)
    }
}

fn record(tx: &Tx<'_>, run: &mut Recording<'_, CreateDataVolumeFromVolumeTemplate>) -> Result<(), Failure> {
    let params = run.params;
    let image = require::<Image>(tx, "imageUuid", params.image_uuid)?;
    if image.media_type != MediaType::DataVolumeTemplate {
        let remedy = format!("it is a {}: a DataVolumeTemplate is needed", image.media_type);
        return Err(Failure::argument("imageUuid", image.uuid, remedy));
    }
    if image.status != MediaStatus::Ready || image.state != AdminState::Enabled {
        return Err(Failure::new(
            ErrorKind::StateForbids,
            format!("image '{}' is {} and {}: it must be Ready and Enabled", image.name, image.status, image.state),
        ));
    }
    let storage = require::<PrimaryStorage>(tx, "primaryStorageUuid", params.primary_storage_uuid)?;
    let Some(host) = params.host_uuid else {
        return Err(Failure::argument("hostUuid", "", "a volume on local storage is kept on one host: name it"));
    };
    let host = require::<Host>(tx, "hostUuid", host)?;
    let is_cached = tx.is_cached(image.uuid, storage.uuid, host.uuid)?;
    let needed = image.size + if is_cached { 0 } else { image.actual_size };
    require_room(tx, &run.node.settings.now(), &storage, &host, needed)?;

    let name = readable_name(&params.name)?;
    let mut volume = new_data_volume(params.resource_uuid, name, params.description.clone(), image.size);
    volume.root_image_uuid = Some(image.uuid);
    let backing_path = Some(cached_path(&storage, &image));
    let file = settle(tx, &mut volume, &storage, host.uuid, run.account_uuid, backing_path)?;
    make(tx, &volume)?;
    put_tags::<Volume>(tx, volume.uuid, &params.system_tags, &params.user_tags)?;
    run.state.cache = Some(Caching::plan(tx, &image, &storage, host.uuid)?);
    run.state.making = Making { volume: Some(volume.uuid), host: Some(host.uuid), file: Some(file), size: None };
    Ok(())
}

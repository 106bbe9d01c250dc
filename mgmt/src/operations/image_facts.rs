//! 3.3.8, 3.3.13, 3.3.14: what is known of an image: its size, and whether it has the QEMU guest agent.

use gantry_common::{
    agent::{ImageFacts, MeasureImage},
    error::ErrorKind,
    id::ImageUuid,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    image_copies::ImageCopy,
    making::{put_tags, require},
};
use crate::{
    api::{Caller, Operation, SyncOperation, job, sync},
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{BackupStorage, ConnectionStatus, Image, MediaStatus, SystemTag},
    store::{SqlValue, Tx},
    tags::QEMU_GUEST_AGENT,
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![job::<SyncImageSize>(), sync::<GetImageQga>(), job::<SetImageQga>()]
}

operation! {
    /// Measures an image's file anew.
    SyncImageSize, "3.3.8", Put "/images/{uuid}/actions", Job -> Image; {
        /// The image.
        uuid: ImageUuid;
    }
}

/// The file that is measured.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Measuring {
    copy: Option<ImageCopy>,
    facts: Option<ImageFacts>,
}

impl JobOperation for SyncImageSize {
    type State = Measuring;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("find its file", |tx, run: &mut Recording<'_, Self>| {
                let image = require::<Image>(tx, "uuid", run.params.uuid)?;
                if image.status != MediaStatus::Ready {
                    let details = format!("image '{}' is {}: it must be Ready", image.name, image.status);
                    return Err(Failure::new(ErrorKind::StateForbids, details));
                }
                let mut away = Vec::new();
                for copy in ImageCopy::all(tx, image.uuid)? {
                    let storage = require::<BackupStorage>(tx, "backupStorageUuid", copy.backup_storage)?;
                    if storage.status == ConnectionStatus::Connected {
                        run.state.copy = Some(copy);
                        return Ok(());
                    }
                    away.push(format!("backup storage '{}' is {}", storage.name, storage.status));
                }
                let details = format!("no file of image '{}' can be measured: {}", image.name, away.join("; "));
                Err(Failure::new(ErrorKind::StateForbids, details))
            }),
            Step::remote("measure it", |mut run: Run<Self>| async move {
                if let Some(copy) = run.state.copy.clone() {
                    let command = MeasureImage { root: copy.root, path: copy.path };
                    run.state.facts = Some(run.call(copy.machine, "measure", command).await?);
                }
                Ok(run.state)
            }),
            Step::record("record its size", |tx, run: &mut Recording<'_, Self>| {
                let Some(facts) = run.state.facts.clone() else { return Ok(()) };
                let image = require::<Image>(tx, "uuid", run.params.uuid)?;
                let (size, actual_size) = (facts.size_bytes, facts.actual_bytes);
                tx.save(&Image { size, actual_size, last_op_date: Timestamp::now(), ..image })?;
                Ok(())
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Measuring) -> Result<Value, Failure> {
        inventory_reply::<Image>(tx, self.uuid)
    }
}

operation! {
    /// Whether an image is said to have the QEMU guest agent in it.
    GetImageQga, "3.3.13", Get "/images/{uuid}/qga", Sync -> { uuid: Uuid, enable: bool }; {
        /// The image.
        uuid: ImageUuid;
    }
}

impl SyncOperation for GetImageQga {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let uuid = self.uuid;
        caller
            .node
            .store
            .read(move |tx| {
                require::<Image>(tx, "uuid", uuid)?;
                Ok(json!({ "uuid": uuid, "enable": !guest_agent_tags(tx, uuid)?.is_empty() }))
            })
            .await
    }
}

operation! {
    /// Says whether an image has the QEMU guest agent in it. VMs made from it are tagged alike from then on.
    SetImageQga, "3.3.14", Put "/images/{uuid}/actions", Job; {
        /// The image.
        uuid: ImageUuid;
        /// Whether it has.
        enable: bool;
    }
}

impl JobOperation for SetImageQga {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("tag the image", |tx, run: &mut Recording<'_, Self>| {
            let uuid = require::<Image>(tx, "uuid", run.params.uuid)?.uuid;
            let tags = guest_agent_tags(tx, uuid)?;
            if run.params.enable && tags.is_empty() {
                put_tags::<Image>(tx, uuid, &[QEMU_GUEST_AGENT.to_owned()], &[])?;
            }
            for tag in tags.into_iter().filter(|_| !run.params.enable) {
                tx.delete::<SystemTag>(tag.uuid)?;
            }
            Ok(())
        })]
    }
}

fn guest_agent_tags(tx: &Tx<'_>, image: ImageUuid) -> Result<Vec<SystemTag>, Failure> {
    let tagged = [("resource_uuid", image.to_sql()), ("tag", QEMU_GUEST_AGENT.to_owned().to_sql())];
    Ok(tx.find::<SystemTag>(&tagged)?)
}

//! 3.3.10, 3.3.12: images made from volumes.
//!
//! The volume's host makes a self-contained copy of it, each backup storage's host fetches that, and the copy goes again.
//! The volume is read and never written to; its VM is off meanwhile and is not started.

use gantry_common::{
    agent::{
        DeleteImage as DeleteImageCommand, DeleteVolume, FetchImage, FlattenVolume, ImageFacts, ImageFormat, OfferFile,
        Peer,
    },
    error::ErrorKind,
    id::{BackupStorageUuid, HostUuid, ImageUuid, VolumeUuid, ZoneUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    image_copies::{ImageCopy, admit_image, admit_zone, peer_of, set_copies},
    making::{made, make, put_tags, readable_name, require},
    volume_move::LocalVolume,
};
use crate::{
    api::{Declaration, Declared, Operation, job},
    cleanup::{Cleanup, clean_up, clean_up_some_time},
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Part, Recording, Run, Step},
    operation,
    resource::{
        AdminState, BackupStorage, GuestPlatform, Image, ImageBackupStorageRef, MediaStatus, MediaType, VmInstance,
        Volume, VolumeType,
    },
    settings::Values,
    store::{SqlValue, Tx},
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<Templating<CreateRootVolumeTemplateFromRootVolume>>(),
        job::<Templating<CreateDataVolumeTemplateFromVolume>>(),
    ]
}

operation! {
    /// Makes an image that VMs can be made from of a root volume. Its VM must be off.
    CreateRootVolumeTemplateFromRootVolume, "3.3.10",
        Post "/images/root-volume-templates/from/volumes/{rootVolumeUuid}", Job -> Image; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The guest system, free text; that of the image the VM was made from where it is left out.
        guest_os_type: Option<String>;
        /// The backup storages; the one with the most room where they are left out.
        backup_storage_uuids: Option<Vec<BackupStorageUuid>>, nonempty true;
        /// The root volume.
        root_volume_uuid: VolumeUuid;
        /// The family of guest systems; the VM's where it is left out.
        platform: Option<GuestPlatform>, values GuestPlatform::TEXTS;
        /// Whether it belongs to the system.
        system: Option<bool>;
        /// The id it gets.
        resource_uuid: Option<ImageUuid>;
    }
}

operation! {
    /// Makes an image that data volumes can be made from of a volume. The VM that has it must be off.
    CreateDataVolumeTemplateFromVolume, "3.3.12",
        Post "/images/data-volume-templates/from/volumes/{volumeUuid}", Job -> Image; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The volume.
        volume_uuid: VolumeUuid;
        /// The backup storages; the one with the most room where they are left out.
        backup_storage_uuids: Option<Vec<BackupStorageUuid>>, nonempty true;
        /// The id it gets.
        resource_uuid: Option<ImageUuid>;
    }
}

/// What is asked of the new image.
struct Wanted<'a> {
    volume: (&'static str, VolumeUuid),
    media_type: MediaType,
    name: &'a str,
    description: Option<&'a String>,
    guest_os_type: Option<&'a String>,
    platform: Option<GuestPlatform>,
    system: bool,
    backup_storages: Option<&'a [BackupStorageUuid]>,
    uuid: Option<ImageUuid>,
    system_tags: &'a [String],
    user_tags: &'a [String],
}

/// An operation that makes an image of a volume.
trait Template: Declared {
    fn wanted(&self) -> Wanted<'_>;
}

impl Template for CreateRootVolumeTemplateFromRootVolume {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            volume: ("rootVolumeUuid", self.root_volume_uuid),
            media_type: MediaType::RootVolumeTemplate,
            name: &self.name,
            description: self.description.as_ref(),
            guest_os_type: self.guest_os_type.as_ref(),
            platform: self.platform,
            system: self.system.unwrap_or(false),
            backup_storages: self.backup_storage_uuids.as_deref(),
            uuid: self.resource_uuid,
            system_tags: &self.system_tags,
            user_tags: &self.user_tags,
        }
    }
}

impl Template for CreateDataVolumeTemplateFromVolume {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            volume: ("volumeUuid", self.volume_uuid),
            media_type: MediaType::DataVolumeTemplate,
            name: &self.name,
            description: self.description.as_ref(),
            guest_os_type: None,
            platform: None,
            system: false,
            backup_storages: self.backup_storage_uuids.as_deref(),
            uuid: self.resource_uuid,
            system_tags: &self.system_tags,
            user_tags: &self.user_tags,
        }
    }
}

/// How far the image is.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Making {
    plan: Option<Plan>,
    facts: Option<ImageFacts>,
}

/// What goes where.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    image: ImageUuid,
    host: HostUuid,
    /// The primary storage's directory, the volume, and the self-contained copy of it.
    root: String,
    volume_path: String,
    flat_path: String,
    copies: Vec<(ImageCopy, Option<Peer>)>,
}

impl Making {
    fn plan(&self) -> Result<&Plan, Failure> {
        self.plan.as_ref().ok_or_else(|| Failure::new(ErrorKind::Internal, "the image was not planned"))
    }

    fn flat_copy(&self) -> Option<(HostUuid, Cleanup)> {
        let plan = self.plan.as_ref()?;
        let command = DeleteVolume { root: plan.root.clone(), path: plan.flat_path.clone() };
        Some((plan.host, Cleanup::Volume(command)))
    }
}

/// The job of an operation that makes an image of a volume.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
struct Templating<T>(T);

impl<T: Template> Declared for Templating<T> {
    fn declaration() -> &'static Declaration {
        T::declaration()
    }
}

impl<T: Template> JobOperation for Templating<T> {
    type State = Making;

    fn locks(&self) -> Vec<String> {
        let wanted = self.0.wanted();
        let mut locks = vec![wanted.volume.1.to_string()];
        locks.extend(wanted.uuid.map(|uuid| uuid.to_string()));
        locks
    }

    fn steps() -> Vec<Step<Self>> {
        steps()
    }

    fn reply(&self, tx: &Tx<'_>, state: &Making) -> Result<Value, Failure> {
        made::<Image>(tx, state.plan.as_ref().map(|plan| plan.image))
    }
}

fn steps<T: Template>() -> Vec<Step<Templating<T>>> {
    vec![
        Step::record("record the image", record::<T>).undo_record(|tx, run| {
            let Some(plan) = &run.state.plan else { return Ok(()) };
            tx.delete_where::<ImageBackupStorageRef>(&[("image_uuid", plan.image.to_sql())])?;
            Ok(tx.delete::<Image>(plan.image)?)
        }),
        Step::remote("make a self-contained copy of the volume", |run: Run<Templating<T>>| async move {
            let plan = run.state.plan()?.clone();
            let command = FlattenVolume { root: plan.root, source_path: plan.volume_path, path: plan.flat_path };
            run.call_long(plan.host, "flatten", command).await?;
            Ok(run.state)
        })
        .undo_remote(|run: Run<Templating<T>>| async move {
            if let Some((host, cleanup)) = run.state.flat_copy() {
                clean_up(&run.node, host, cleanup).await?;
            }
            Ok(run.state)
        })
        .cancellable(),
        Step::remote("bring it to the backup storages", bring::<T>)
            .undo_remote(|run: Run<Templating<T>>| async move {
                for (copy, _) in run.state.plan.iter().flat_map(|plan| plan.copies.clone()) {
                    let command = DeleteImageCommand { root: copy.root, path: copy.path };
                    clean_up(&run.node, copy.machine, Cleanup::Image(command)).await?;
                }
                Ok(run.state)
            })
            .cancellable(),
        Step::remote("delete the copy", |run: Run<Templating<T>>| async move {
            if let Some((host, cleanup)) = run.state.flat_copy() {
                clean_up_some_time(&run.node, host, cleanup).await;
            }
            Ok(run.state)
        }),
        Step::record("record what it is", |tx, run: &mut Recording<'_, Templating<T>>| {
            let (uuid, Some(facts)) = (run.state.plan()?.image, run.state.facts.clone()) else {
                return Err(Failure::new(ErrorKind::Internal, "the image was not measured"));
            };
            let image = require::<Image>(tx, "uuid", uuid)?;
            tx.save(&Image {
                status: MediaStatus::Ready,
                size: facts.size_bytes,
                actual_size: facts.actual_bytes,
                md5_sum: Some(facts.md5),
                last_op_date: Timestamp::now(),
                ..image
            })?;
            set_copies(tx, uuid, MediaStatus::Ready)
        }),
    ]
}

/// A volume that an image can be made of now.
pub struct SourceVolume(LocalVolume);

impl SourceVolume {
    /// The volume with this id, if an image can be made of it.
    pub fn find(tx: &Tx<'_>, parameter: &str, uuid: VolumeUuid) -> Result<Self, Failure> {
        require::<Volume>(tx, parameter, uuid)?;
        let local = LocalVolume::find(tx, uuid)?;
        local.admit_move()?;
        Ok(Self(local))
    }

    /// Whether a backup storage can take the image.
    pub fn admit_storage(&self, tx: &Tx<'_>, settings: &Values, storage: &BackupStorage) -> Result<(), Failure> {
        admit_image(settings, storage, self.0.volume.actual_size.unwrap_or(0))?;
        admit_zone(tx, storage, self.zone())
    }

    fn zone(&self) -> ZoneUuid {
        self.0.storage.zone_uuid
    }
}

fn record<T: Template>(tx: &Tx<'_>, run: &mut Recording<'_, Templating<T>>) -> Result<(), Failure> {
    let wanted = run.params.0.wanted();
    let (parameter, volume) = wanted.volume;
    let source = SourceVolume::find(tx, parameter, volume)?;
    let storages = storages(tx, &run.node.settings.now(), &source, wanted.backup_storages)?;
    let SourceVolume(local) = source;
    if wanted.media_type == MediaType::RootVolumeTemplate && local.volume.kind != VolumeType::Root {
        let remedy = "it is a data volume: use CreateDataVolumeTemplateFromVolume";
        return Err(Failure::argument(parameter, volume, remedy));
    }
    let origin = local.volume.root_image_uuid.map(|image| tx.get::<Image>(image)).transpose()?.flatten();
    let platform =
        wanted.platform.or(local.vm.as_ref().map(|vm| vm.platform)).or(origin.as_ref().map(|origin| origin.platform));
    let now = Timestamp::now();
    let image = Image {
        uuid: wanted.uuid.unwrap_or_else(ImageUuid::random),
        name: readable_name(wanted.name)?,
        description: wanted.description.cloned(),
        state: AdminState::Enabled,
        status: MediaStatus::Creating,
        size: local.volume.size,
        actual_size: 0,
        md5_sum: None,
        url: url_of(volume),
        media_type: wanted.media_type,
        guest_os_type: wanted.guest_os_type.cloned().or(origin.and_then(|origin| origin.guest_os_type)),
        kind: "zstack".to_owned(),
        platform: platform.unwrap_or(GuestPlatform::Linux),
        format: ImageFormat::Qcow2.as_str().to_owned(),
        system: wanted.system,
        create_date: now,
        last_op_date: now,
        export_url: None,
        export_md5_sum: None,
    };
    make(tx, &image)?;
    let mut tags = wanted.system_tags.to_vec();
    if wanted.media_type == MediaType::RootVolumeTemplate {
        tags.extend(inherited_tags(tx, local.vm.as_ref(), &tags)?);
    }
    put_tags::<Image>(tx, image.uuid, &tags, wanted.user_tags)?;
    let mut planned = Vec::new();
    for storage in &storages {
        if let Some(copy) = ImageCopy::plan(tx, &image, storage, MediaStatus::Creating)? {
            let peer = peer_of(tx, local.host.uuid, copy.machine)?;
            planned.push((copy, peer));
        }
    }
    run.state.plan = Some(Plan {
        image: image.uuid,
        host: local.host.uuid,
        flat_path: format!("{}/templates/{uuid}/{uuid}.qcow2", local.storage.url, uuid = image.uuid),
        root: local.storage.url,
        volume_path: local.path,
        copies: planned,
    });
    Ok(())
}

/// What VMs made from the image are to have as the VM has it.
fn inherited_tags(tx: &Tx<'_>, vm: Option<&VmInstance>, given: &[String]) -> Result<Vec<String>, Failure> {
    let Some(vm) = vm else { return Ok(Vec::new()) };
    let kind = |tag: &str| tag.split("::").next().unwrap_or_default().to_owned();
    let mut tags = tx.system_tags(&vm.uuid.to_string())?;
    tags.retain(|tag| {
        let kind = kind(tag);
        ["bootMode", "qemuga"].contains(&kind.as_str()) && !given.iter().any(|given| given.starts_with(&kind))
    });
    Ok(tags)
}

/// The backup storages that are asked for, or else the one with the most room.
fn storages(
    tx: &Tx<'_>,
    settings: &Values,
    source: &SourceVolume,
    asked: Option<&[BackupStorageUuid]>,
) -> Result<Vec<BackupStorage>, Failure> {
    if let Some(asked) = asked {
        let mut storages = Vec::new();
        for uuid in asked {
            let storage = require::<BackupStorage>(tx, "backupStorageUuids", *uuid)?;
            source.admit_storage(tx, settings, &storage)?;
            storages.push(storage);
        }
        return Ok(storages);
    }
    let mut refusals = Vec::new();
    let mut best: Option<BackupStorage> = None;
    for storage in tx.all::<BackupStorage>()? {
        match source.admit_storage(tx, settings, &storage) {
            Ok(()) if best.as_ref().is_none_or(|best| best.available_capacity < storage.available_capacity) => {
                best = Some(storage);
            }
            Ok(()) => {}
            Err(failure) => refusals.push(failure.details),
        }
    }
    match best {
        Some(storage) => Ok(vec![storage]),
        None if refusals.is_empty() => {
            Err(Failure::new(ErrorKind::StateForbids, "there is no backup storage: add one for the image"))
        }
        None => {
            let details = format!("no backup storage can take the image: {}", refusals.join("; "));
            Err(Failure::new(ErrorKind::StateForbids, details))
        }
    }
}

async fn bring<T: Template>(mut run: Run<Templating<T>>) -> Result<Making, Failure> {
    let plan = run.state.plan()?.clone();
    let of = plan.copies.len() * 2;
    for (number, (copy, peer)) in plan.copies.into_iter().enumerate() {
        let offer = OfferFile { root: plan.root.clone(), path: plan.flat_path.clone(), to: copy.machine };
        let label = format!("offer to {}", copy.backup_storage);
        let offered = run.call_part(plan.host, &label, offer, Part { index: number * 2, of }).await?;
        let command = FetchImage {
            image: plan.image,
            peer,
            source_root: plan.root.clone(),
            source_path: plan.flat_path.clone(),
            md5: offered.md5,
            format: ImageFormat::Qcow2,
            root: copy.root,
            path: copy.path,
        };
        let part = Part { index: number * 2 + 1, of };
        let fetched = run.call_part(copy.machine, &copy.backup_storage.to_string(), command, part).await?;
        run.state.facts = Some(fetched.facts);
    }
    Ok(run.state)
}

/// Where an image that was made of a volume says it came from.
fn url_of(volume: VolumeUuid) -> String {
    format!("volume://{volume}")
}

/// Refuses while an image is being made of the volume: nobody may write to it.
pub fn refuse_while_read(tx: &Tx<'_>, volume: &Volume) -> Result<(), Failure> {
    let reading = [("url", url_of(volume.uuid).to_sql()), ("status", MediaStatus::Creating.to_sql())];
    match tx.find::<Image>(&reading)?.pop() {
        None => Ok(()),
        Some(image) => {
            let details = format!(
                "image '{}' ({}) is being made of volume '{}': wait for its end or cancel its job",
                image.name, image.uuid, volume.name
            );
            Err(Failure::new(ErrorKind::ResourceInUse, details))
        }
    }
}

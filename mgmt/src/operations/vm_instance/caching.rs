//! Bringing an image into the cache of a primary storage on a host.

use gantry_common::{
    agent::{CacheImage, ImageFormat, Peer},
    error::ErrorKind,
    id::{HostUuid, PrimaryStorageUuid},
};
use serde::{Deserialize, Serialize};

use super::super::{image_cache::wait_for_eviction, making::require};
use crate::{
    failure::Failure,
    job::{JobOperation, Run},
    resource::{Host, Image, Machine, PrimaryStorage},
    store::{CachePlace, Tx},
    vm::{cached_path, image_copy},
};

/// How an image gets into the cache of a primary storage on a host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Caching {
    command: CacheImage,
    storage: PrimaryStorageUuid,
    host: HostUuid,
    /// What the cached file takes, once it is there.
    actual_bytes: Option<u64>,
}

impl Caching {
    /// From which backup storage of the host's zone the image comes, and where it goes.
    pub fn plan(tx: &Tx<'_>, image: &Image, storage: &PrimaryStorage, host: HostUuid) -> Result<Self, Failure> {
        let zone = require::<Host>(tx, "hostUuid", host)?.zone_uuid;
        let is_cached = tx.is_cached(image.uuid, storage.uuid, host)?;
        let (backup, copy) =
            image_copy(tx, image, zone, is_cached)?.map_err(|reason| Failure::new(ErrorKind::StateForbids, reason))?;
        let machine = require::<Machine>(tx, "machineUuid", backup.machine_uuid)?;
        let peer = Peer { host: machine.uuid, address: machine.address, port: machine.port };
        let command = CacheImage {
            image: image.uuid,
            peer: (machine.uuid != host).then_some(peer),
            source_root: backup.url,
            source_path: copy.install_path,
            md5: image.md5_sum.clone().unwrap_or_default(),
            format: match image.format.as_str() {
                "iso" => ImageFormat::Iso,
                "raw" => ImageFormat::Raw,
                _ => ImageFormat::Qcow2,
            },
            root: storage.url.clone(),
            path: cached_path(storage, image),
        };
        Ok(Self { command, storage: storage.uuid, host, actual_bytes: None })
    }

    /// Brings the image; that is all its step does. An image that is there already is only checked; one that is being evicted
    /// is brought when it is gone.
    pub async fn bring<O: JobOperation>(&mut self, run: &Run<O>) -> Result<(), Failure> {
        let place = CachePlace { image: self.command.image, storage: self.storage, host: self.host };
        wait_for_eviction(&run.node, place, &run.cancelled).await?;
        let facts = run.call_long(self.host, &format!("cache {}", self.command.image), self.command.clone()).await?;
        self.actual_bytes = Some(facts.actual_bytes);
        Ok(())
    }

    /// Notes that the image was brought.
    pub fn note(&self, tx: &Tx<'_>) -> Result<(), Failure> {
        if let Some(bytes) = self.actual_bytes {
            tx.note_cached(self.command.image, self.storage, self.host, &self.command.path, bytes)?;
        }
        Ok(())
    }
}

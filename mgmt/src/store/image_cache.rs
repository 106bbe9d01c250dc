//! Images that stand in primary storages' caches, and who has them in hand.

use std::collections::HashSet;

use gantry_common::id::{HostUuid, ImageUuid, JobUuid, PrimaryStorageUuid};
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};

use super::{StoreError, Tx, column};

/// A place in a cache: an image, in a storage, on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CachePlace {
    /// The image.
    pub image: ImageUuid,
    /// The storage.
    pub storage: PrimaryStorageUuid,
    /// The host.
    pub host: HostUuid,
}

impl CachePlace {
    fn keys(&self) -> [String; 3] {
        [self.image.to_string(), self.storage.to_string(), self.host.to_string()]
    }
}

impl Tx<'_> {
    /// Whether an image is in a storage's cache on a host, and is to stay there.
    pub fn is_cached(&self, image: ImageUuid, storage: PrimaryStorageUuid, host: HostUuid) -> Result<bool, StoreError> {
        Ok(self.cached_path(CachePlace { image, storage, host })?.is_some())
    }

    /// Where the image stands, if it is in the cache and is to stay there.
    pub fn cached_path(&self, place: CachePlace) -> Result<Option<String>, StoreError> {
        let found = self
            .connection
            .prepare_cached(
                "SELECT install_path FROM image_cache WHERE image_uuid = ? AND primary_storage_uuid = ? AND host_uuid = ?",
            )?
            .query_row(place.keys(), |row| row.get(0))
            .optional()?;
        Ok(if self.is_being_evicted(place)? { None } else { found })
    }

    /// The hosts that have an image in a storage's cache.
    pub fn hosts_with_cached(
        &self,
        image: ImageUuid,
        storage: PrimaryStorageUuid,
    ) -> Result<HashSet<HostUuid>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT host_uuid FROM image_cache WHERE image_uuid = ? AND primary_storage_uuid = ?")?;
        let mut rows = statement.query([image.to_string(), storage.to_string()])?;
        let mut hosts = HashSet::new();
        while let Some(row) = rows.next()? {
            hosts.insert(column(row, 0)?);
        }
        Ok(hosts)
    }

    /// Notes that an image is in a storage's cache on a host, where it takes `bytes`.
    pub fn note_cached(
        &self,
        image: ImageUuid,
        storage: PrimaryStorageUuid,
        host: HostUuid,
        install_path: &str,
        bytes: u64,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO image_cache (image_uuid, primary_storage_uuid, host_uuid, install_path, actual_bytes)
                 VALUES (?, ?, ?, ?, ?)",
            )?
            .execute((
                image.to_string(),
                storage.to_string(),
                host.to_string(),
                install_path,
                i64::try_from(bytes).unwrap_or(i64::MAX),
            ))?;
        // The file is there, promised or not. What does not fit leaves nothing for others.
        if !self.allocate_storage(storage, host, &image.to_string(), bytes)? {
            let left = self.local_storage(storage, host)?.map_or(0, |local| local.available_bytes);
            self.allocate_storage(storage, host, &image.to_string(), left)?;
        }
        Ok(())
    }

    /// Notes that an image is in the cache no longer, and takes its bytes back.
    pub fn forget_cached(&self, place: CachePlace) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "DELETE FROM image_cache WHERE image_uuid = ? AND primary_storage_uuid = ? AND host_uuid = ?",
            )?
            .execute(place.keys())?;
        self.release_storage(place.storage, place.host, &place.image.to_string())
    }

    /// Whether a volume there was made from the image, the image is in a drive of a VM whose root volume is there, or a job
    /// has it in hand.
    pub fn is_cached_image_used(&self, place: CachePlace) -> Result<bool, StoreError> {
        let used = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM volume WHERE root_image_uuid = ?1 AND primary_storage_uuid = ?2 AND host_uuid = ?3)
                     OR EXISTS (SELECT 1 FROM cached_image_claim
                                WHERE image_uuid = ?1 AND primary_storage_uuid = ?2 AND host_uuid = ?3)
                     -- A disc in a drive is the VM's tag iso::{image}::{drive}; ';' follows ':'.
                     OR EXISTS (SELECT 1 FROM system_tag AS disc
                                JOIN vm_instance AS vm ON vm.uuid = disc.resource_uuid
                                JOIN volume AS root ON root.uuid = vm.root_volume_uuid
                                WHERE disc.tag >= 'iso::' || ?1 || '::' AND disc.tag < 'iso::' || ?1 || ':;'
                                  AND root.primary_storage_uuid = ?2 AND root.host_uuid = ?3)",
            )?
            .query_row(place.keys(), |row| row.get(0))?;
        Ok(used)
    }

    /// Lets a job evict an image that nobody uses. Until the job's claims are released, whoever needs the image waits.
    pub fn claim_eviction(&self, place: CachePlace, job: JobUuid) -> Result<bool, StoreError> {
        if self.is_cached_image_used(place)? {
            return Ok(false);
        }
        self.claim(place, job, true)?;
        Ok(true)
    }

    /// Keeps an image that a job needs from being evicted.
    pub fn claim_use(&self, place: CachePlace, job: JobUuid) -> Result<(), StoreError> {
        self.claim(place, job, false)
    }

    fn claim(&self, place: CachePlace, job: JobUuid, evicts: bool) -> Result<(), StoreError> {
        let [image, storage, host] = place.keys();
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO cached_image_claim (image_uuid, primary_storage_uuid, host_uuid, job_uuid, evicts)
                 VALUES (?, ?, ?, ?, ?)",
            )?
            .execute((image, storage, host, job.to_string(), evicts))?;
        Ok(())
    }

    /// Whether a job is evicting the image.
    pub fn is_being_evicted(&self, place: CachePlace) -> Result<bool, StoreError> {
        let evicted = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM cached_image_claim
                     WHERE image_uuid = ? AND primary_storage_uuid = ? AND host_uuid = ? AND evicts)",
            )?
            .query_row(place.keys(), |row| row.get(0))?;
        Ok(evicted)
    }

    /// Takes back all claims of a job.
    pub fn release_cache_claims(&self, job: JobUuid) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM cached_image_claim WHERE job_uuid = ?")?
            .execute([job.to_string()])?;
        Ok(())
    }

    /// Drops the claims of whoever ended with the node and does not go on.
    pub fn drop_lost_cache_claims(&self) -> Result<(), StoreError> {
        self.connection.execute(
            "DELETE FROM cached_image_claim WHERE job_uuid NOT IN (SELECT uuid FROM job WHERE finished_date IS NULL)",
            [],
        )?;
        Ok(())
    }

    /// The hosts in whose caches of a storage images are recorded that exist no longer.
    pub fn hosts_with_orphaned_images(&self, storage: PrimaryStorageUuid) -> Result<Vec<HostUuid>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT DISTINCT host_uuid FROM image_cache
             WHERE primary_storage_uuid = ? AND NOT EXISTS (SELECT 1 FROM image WHERE uuid = image_cache.image_uuid)",
        )?;
        let mut rows = statement.query([storage.to_string()])?;
        let mut hosts = Vec::new();
        while let Some(row) = rows.next()? {
            hosts.push(super::column(row, 0)?);
        }
        Ok(hosts)
    }

    /// The images that are recorded in a storage's cache on a host.
    pub fn cached_images(&self, storage: PrimaryStorageUuid, host: HostUuid) -> Result<Vec<ImageUuid>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT image_uuid FROM image_cache WHERE primary_storage_uuid = ? AND host_uuid = ?")?;
        let mut rows = statement.query([storage.to_string(), host.to_string()])?;
        let mut images = Vec::new();
        while let Some(row) = rows.next()? {
            images.push(super::column(row, 0)?);
        }
        Ok(images)
    }
}

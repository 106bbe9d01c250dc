//! Images that stand in primary storages' caches.

use std::collections::HashSet;

use gantry_common::id::{HostUuid, ImageUuid, PrimaryStorageUuid};
use rusqlite::OptionalExtension;

use super::{StoreError, Tx, column};

/// An image in a storage's cache on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedImage {
    /// The storage.
    pub storage: PrimaryStorageUuid,
    /// The host.
    pub host: HostUuid,
    /// The file.
    pub install_path: String,
}

impl Tx<'_> {
    /// The images in the caches of a host.
    pub fn images_cached_on(&self, host: HostUuid) -> Result<Vec<CachedImage>, StoreError> {
        self.cached_images("host_uuid", &host.to_string())
    }

    /// The images in a storage's caches, on all hosts.
    pub fn images_cached_in(&self, storage: PrimaryStorageUuid) -> Result<Vec<CachedImage>, StoreError> {
        self.cached_images("primary_storage_uuid", &storage.to_string())
    }

    fn cached_images(&self, column_name: &'static str, key: &str) -> Result<Vec<CachedImage>, StoreError> {
        let sql = format!(
            "SELECT primary_storage_uuid, host_uuid, install_path FROM image_cache WHERE {column_name} = ? ORDER BY install_path"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([key])?;
        let mut cached = Vec::new();
        while let Some(row) = rows.next()? {
            cached.push(CachedImage { storage: column(row, 0)?, host: column(row, 1)?, install_path: column(row, 2)? });
        }
        Ok(cached)
    }

    /// Whether an image is in a storage's cache on a host.
    pub fn is_cached(&self, image: ImageUuid, storage: PrimaryStorageUuid, host: HostUuid) -> Result<bool, StoreError> {
        let found: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT 1 FROM image_cache WHERE image_uuid = ? AND primary_storage_uuid = ? AND host_uuid = ?",
            )?
            .query_row([image.to_string(), storage.to_string(), host.to_string()], |row| row.get(0))
            .optional()?;
        Ok(found.is_some())
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
        if self.is_cached(image, storage, host)? {
            return Ok(());
        }
        self.connection
            .prepare_cached(
                "INSERT INTO image_cache (image_uuid, primary_storage_uuid, host_uuid, install_path, actual_bytes)
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
}

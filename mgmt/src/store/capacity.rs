//! Capacity of hosts and storages. Promises are made in the writer's transactions alone, so nothing is promised twice.

use std::collections::HashMap;

use gantry_common::id::{HostUuid, PrimaryStorageUuid, VmUuid};
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};

use super::{SqlValue, StoreError, Tx, column};
use crate::resource::Host;

/// A local storage's capacity on one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalStorageCapacity {
    /// Bytes that may be promised.
    pub total_bytes: u64,
    /// Of these, how many are not promised yet.
    pub available_bytes: u64,
    /// Bytes of the file system.
    pub total_physical_bytes: u64,
    /// Of these, how many are free.
    pub available_physical_bytes: u64,
    /// Bytes that were taken before the storage was added.
    pub system_used_bytes: u64,
}

impl LocalStorageCapacity {
    /// The value of a row that begins with its columns in order.
    fn from_row(row: &rusqlite::Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            total_bytes: column(row, 0)?,
            available_bytes: column(row, 1)?,
            total_physical_bytes: column(row, 2)?,
            available_physical_bytes: column(row, 3)?,
            system_used_bytes: column(row, 4)?,
        })
    }

    /// Whether more than this part of the file system is in use.
    #[allow(clippy::cast_precision_loss)]
    pub fn is_fuller_than(&self, part: f64) -> bool {
        let used_bytes = self.total_physical_bytes.saturating_sub(self.available_physical_bytes);
        used_bytes as f64 > self.total_physical_bytes as f64 * part
    }
}

/// What a look through a storage has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SurveyedStorage {
    /// Bytes of the file system.
    pub total_bytes: u64,
    /// Of these, how many are free.
    pub available_bytes: u64,
    /// What the storage's own files take.
    pub own_bytes: u64,
}

/// What a VM is promised of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPromise {
    /// The host.
    pub host: HostUuid,
    /// Virtual processors.
    pub cpu_num: u32,
    /// Memory.
    pub memory_bytes: u64,
}

/// How much of a storage may be promised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StorageRules {
    /// The bytes that no volume gets.
    pub reserved_bytes: u64,
    /// How much is promised for each byte above the reserve.
    pub overcommit: f64,
}

impl StorageRules {
    fn promised(&self, usable_bytes: u64) -> u64 {
        scaled(usable_bytes.saturating_sub(self.reserved_bytes), self.overcommit)
    }
}

/// What may be promised of an amount under an overcommit ratio.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub fn scaled(amount: u64, ratio: f64) -> u64 {
    (amount as f64 * ratio) as u64
}

impl Tx<'_> {
    /// Promises a host's processors and memory to a VM, in place of what it was promised before. `false`, and nothing
    /// promised, where they do not suffice.
    pub fn allocate_host(
        &self,
        host: HostUuid,
        vm: VmUuid,
        cpu_num: u32,
        memory_bytes: u64,
    ) -> Result<bool, StoreError> {
        self.release_host(vm)?;
        let fits = self.get::<Host>(host)?.is_some_and(|host| {
            host.available_cpu_capacity >= u64::from(cpu_num) && host.available_memory_capacity >= memory_bytes
        });
        if fits {
            self.promise_host(host, vm, cpu_num, memory_bytes)?;
        }
        Ok(fits)
    }

    /// Promises a host's processors and memory to a VM that has them already, also where they do not suffice.
    pub fn promise_host(&self, host: HostUuid, vm: VmUuid, cpu_num: u32, memory_bytes: u64) -> Result<(), StoreError> {
        self.release_host(vm)?;
        self.connection
            .prepare_cached(
                "INSERT INTO vm_allocation (vm_uuid, host_uuid, cpu_num, memory_bytes) VALUES (?, ?, ?, ?)",
            )?
            .execute(rusqlite::params_from_iter([
                vm.to_sql(),
                host.to_sql(),
                cpu_num.to_sql(),
                memory_bytes.to_sql(),
            ]))?;
        self.count_host(host)
    }

    /// What a VM is promised.
    pub fn host_promise(&self, vm: VmUuid) -> Result<Option<HostPromise>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT host_uuid, cpu_num, memory_bytes FROM vm_allocation WHERE vm_uuid = ?")?;
        let mut rows = statement.query([vm.to_string()])?;
        rows.next()?
            .map(|row| {
                Ok(HostPromise { host: column(row, 0)?, cpu_num: column(row, 1)?, memory_bytes: column(row, 2)? })
            })
            .transpose()
    }

    /// Takes back what a VM was promised.
    pub fn release_host(&self, vm: VmUuid) -> Result<(), StoreError> {
        let mut statement =
            self.connection.prepare_cached("DELETE FROM vm_allocation WHERE vm_uuid = ? RETURNING host_uuid")?;
        let host: Option<String> = statement.query_row([vm.to_string()], |row| row.get(0)).optional()?;
        match host.and_then(|host| host.parse().ok()) {
            Some(host) => self.count_host(host),
            None => Ok(()),
        }
    }

    /// Sets a host's totals; what VMs are promised stays promised.
    pub fn set_host_totals(&self, host: HostUuid, cpu: u64, memory_bytes: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE host SET total_cpu_capacity = ?2, total_memory_capacity = ?3 WHERE uuid = ?1")?
            .execute(rusqlite::params_from_iter([host.to_sql(), cpu.to_sql(), memory_bytes.to_sql()]))?;
        self.count_host(host)
    }

    /// What is available is the total less all promises. More may be promised than there is, when a host comes back
    /// smaller: then nothing is available, until enough has been given back.
    fn count_host(&self, host: HostUuid) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE host SET
                    available_cpu_capacity = max(0, total_cpu_capacity
                        - (SELECT coalesce(sum(cpu_num), 0) FROM vm_allocation WHERE host_uuid = ?1)),
                    available_memory_capacity = max(0, total_memory_capacity
                        - (SELECT coalesce(sum(memory_bytes), 0) FROM vm_allocation WHERE host_uuid = ?1))
                 WHERE uuid = ?1",
            )?
            .execute([host.to_string()])?;
        Ok(())
    }

    /// How many VMs are on each host.
    pub fn vms_by_host(&self) -> Result<HashMap<HostUuid, u64>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT host_uuid, count(*) FROM vm_instance WHERE host_uuid IS NOT NULL GROUP BY host_uuid",
        )?;
        let mut rows = statement.query([])?;
        let mut counts = HashMap::new();
        while let Some(row) = rows.next()? {
            counts.insert(column(row, 0)?, column(row, 1)?);
        }
        Ok(counts)
    }

    /// A local storage's capacity on each of its hosts.
    pub fn local_storage_by_host(
        &self,
        storage: PrimaryStorageUuid,
    ) -> Result<HashMap<HostUuid, LocalStorageCapacity>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT total_bytes, available_bytes, total_physical_bytes, available_physical_bytes, system_used_bytes, host_uuid
             FROM local_storage_host WHERE primary_storage_uuid = ?",
        )?;
        let mut rows = statement.query([storage.to_string()])?;
        let mut capacities = HashMap::new();
        while let Some(row) = rows.next()? {
            capacities.insert(column(row, 5)?, LocalStorageCapacity::from_row(row)?);
        }
        Ok(capacities)
    }

    /// A local storage's capacity on a host, if the host has it.
    pub fn local_storage(
        &self,
        storage: PrimaryStorageUuid,
        host: HostUuid,
    ) -> Result<Option<LocalStorageCapacity>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT total_bytes, available_bytes, total_physical_bytes, available_physical_bytes, system_used_bytes
             FROM local_storage_host WHERE primary_storage_uuid = ? AND host_uuid = ?",
        )?;
        let mut rows = statement.query([storage.to_string(), host.to_string()])?;
        rows.next()?.map(LocalStorageCapacity::from_row).transpose()
    }

    /// Records what a host's file system says of a local storage, and brings the storage's sums up to date.
    /// What is promised may reach what was free when the storage was first seen there, by the rules.
    pub fn observe_local_storage(
        &self,
        storage: PrimaryStorageUuid,
        host: HostUuid,
        physical_total_bytes: u64,
        physical_available_bytes: u64,
        rules: StorageRules,
    ) -> Result<(), StoreError> {
        let before = self.local_storage(storage, host)?;
        let system_used_bytes = before
            .map_or(physical_total_bytes.saturating_sub(physical_available_bytes), |known| known.system_used_bytes);
        let total_bytes = rules.promised(physical_total_bytes.saturating_sub(system_used_bytes));
        self.connection
            .prepare_cached(
                "INSERT INTO local_storage_host (primary_storage_uuid, host_uuid, total_bytes, available_bytes,
                     total_physical_bytes, available_physical_bytes, system_used_bytes)
                 VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6)
                 ON CONFLICT (primary_storage_uuid, host_uuid) DO UPDATE
                     SET total_bytes = ?3, total_physical_bytes = ?4, available_physical_bytes = ?5",
            )?
            .execute(rusqlite::params_from_iter([
                storage.to_sql(),
                host.to_sql(),
                total_bytes.to_sql(),
                physical_total_bytes.to_sql(),
                physical_available_bytes.to_sql(),
                system_used_bytes.to_sql(),
            ]))?;
        self.count_storage(storage, host)
    }

    /// The same after a look through all of the storage's files, which take `own_bytes`: what else is taken is the system's.
    pub fn survey_local_storage(
        &self,
        storage: PrimaryStorageUuid,
        host: HostUuid,
        found: SurveyedStorage,
        rules: StorageRules,
    ) -> Result<(), StoreError> {
        let SurveyedStorage { total_bytes, available_bytes, own_bytes } = found;
        let system_bytes = total_bytes.saturating_sub(available_bytes).saturating_sub(own_bytes);
        self.observe_local_storage(storage, host, total_bytes, available_bytes, rules)?;
        self.connection
            .prepare_cached(
                "UPDATE local_storage_host SET system_used_bytes = ? WHERE primary_storage_uuid = ? AND host_uuid = ?",
            )?
            .execute(rusqlite::params_from_iter([system_bytes.to_sql(), storage.to_sql(), host.to_sql()]))?;
        self.observe_local_storage(storage, host, total_bytes, available_bytes, rules)
    }

    /// Brings every local storage to other rules; what is promised stays promised.
    pub fn recount_local_storages(&self, rules: StorageRules) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT primary_storage_uuid, host_uuid, total_physical_bytes, system_used_bytes FROM local_storage_host",
        )?;
        let mut rows = statement.query([])?;
        let mut known: Vec<(PrimaryStorageUuid, HostUuid, u64)> = Vec::new();
        while let Some(row) = rows.next()? {
            known.push((column(row, 0)?, column(row, 1)?, column::<u64>(row, 2)?.saturating_sub(column(row, 3)?)));
        }
        for (storage, host, usable_bytes) in known {
            self.connection
                .prepare_cached(
                    "UPDATE local_storage_host SET total_bytes = ? WHERE primary_storage_uuid = ? AND host_uuid = ?",
                )?
                .execute(rusqlite::params_from_iter([
                    rules.promised(usable_bytes).to_sql(),
                    storage.to_sql(),
                    host.to_sql(),
                ]))?;
            self.count_storage(storage, host)?;
        }
        Ok(())
    }

    /// Takes a host's share out of a local storage.
    pub fn remove_local_storage(&self, storage: PrimaryStorageUuid, host: HostUuid) -> Result<(), StoreError> {
        for table in ["local_storage_host", "storage_allocation", "image_cache"] {
            self.connection
                .prepare_cached(&format!("DELETE FROM {table} WHERE primary_storage_uuid = ? AND host_uuid = ?"))?
                .execute([storage.to_string(), host.to_string()])?;
        }
        self.sum_up_storage(storage)
    }

    /// Takes a host out of a local storage that its cluster is not on any more. What its volumes and cached images take is
    /// kept: they count again when the storage is back.
    pub fn close_local_storage(&self, storage: PrimaryStorageUuid, host: HostUuid) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM local_storage_host WHERE primary_storage_uuid = ? AND host_uuid = ?")?
            .execute([storage.to_string(), host.to_string()])?;
        self.sum_up_storage(storage)
    }

    /// Forgets everything that a storage has on hosts.
    pub fn forget_local_storage(&self, storage: PrimaryStorageUuid) -> Result<(), StoreError> {
        for table in ["local_storage_host", "storage_allocation", "image_cache"] {
            self.connection
                .prepare_cached(&format!("DELETE FROM {table} WHERE primary_storage_uuid = ?"))?
                .execute([storage.to_string()])?;
        }
        Ok(())
    }

    /// Records that no host can use those storages of a host that is lost which no other connected host has.
    pub fn disconnect_storages_without_hosts(&self, lost: HostUuid) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE primary_storage SET status = 'Disconnected'
                 WHERE uuid IN (SELECT primary_storage_uuid FROM local_storage_host WHERE host_uuid = ?1)
                   AND NOT EXISTS (SELECT 1 FROM local_storage_host AS other JOIN host ON host.uuid = other.host_uuid
                                   WHERE other.primary_storage_uuid = primary_storage.uuid AND other.host_uuid <> ?1
                                     AND host.status = 'Connected')",
            )?
            .execute([lost.to_string()])?;
        Ok(())
    }

    /// The hosts that have a local storage.
    pub fn local_storage_hosts(&self, storage: PrimaryStorageUuid) -> Result<Vec<HostUuid>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT host_uuid FROM local_storage_host WHERE primary_storage_uuid = ?")?;
        let mut rows = statement.query([storage.to_string()])?;
        let mut hosts = Vec::new();
        while let Some(row) = rows.next()? {
            hosts.push(column(row, 0)?);
        }
        Ok(hosts)
    }

    /// What is available is the total less all promises, and nothing where more is promised than there is.
    fn count_storage(&self, storage: PrimaryStorageUuid, host: HostUuid) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE local_storage_host SET available_bytes = max(0, total_bytes - (
                     SELECT coalesce(sum(bytes), 0) FROM storage_allocation WHERE primary_storage_uuid = ?1 AND host_uuid = ?2))
                 WHERE primary_storage_uuid = ?1 AND host_uuid = ?2",
            )?
            .execute([storage.to_string(), host.to_string()])?;
        self.sum_up_storage(storage)
    }

    fn sum_up_storage(&self, storage: PrimaryStorageUuid) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE primary_storage SET
                     total_capacity = s.total, available_capacity = s.available, total_physical_capacity = s.physical,
                     available_physical_capacity = s.free, system_used_capacity = s.used
                 FROM (SELECT coalesce(sum(total_bytes), 0) AS total, coalesce(sum(available_bytes), 0) AS available,
                              coalesce(sum(total_physical_bytes), 0) AS physical,
                              coalesce(sum(available_physical_bytes), 0) AS free,
                              coalesce(sum(system_used_bytes), 0) AS used
                       FROM local_storage_host WHERE primary_storage_uuid = ?1) AS s
                 WHERE uuid = ?1",
            )?
            .execute([storage.to_string()])?;
        Ok(())
    }

    /// Promises bytes of a local storage on a host to a volume or cached image (`holder`). `false`, and nothing promised,
    /// where they do not suffice. A holder that has its promise keeps it.
    pub fn allocate_storage(
        &self,
        storage: PrimaryStorageUuid,
        host: HostUuid,
        holder: &str,
        bytes: u64,
    ) -> Result<bool, StoreError> {
        if self.promise(storage, host, holder)?.is_some() {
            return Ok(true);
        }
        if self.local_storage(storage, host)?.is_none_or(|local| local.available_bytes < bytes) {
            return Ok(false);
        }
        self.set_promise(storage, host, holder, bytes)?;
        Ok(true)
    }

    /// Promises a holder so many bytes in place of fewer. `false`, and nothing changed, where what it needs more does not
    /// suffice.
    pub fn grow_promise(
        &self,
        storage: PrimaryStorageUuid,
        host: HostUuid,
        holder: &str,
        bytes: u64,
    ) -> Result<bool, StoreError> {
        let held = self.promised(storage, host, holder)?;
        let more = bytes.saturating_sub(held);
        if self.local_storage(storage, host)?.is_none_or(|local| local.available_bytes < more) {
            return Ok(false);
        }
        self.set_promise(storage, host, holder, bytes.max(held))?;
        Ok(true)
    }

    /// Sets what a holder is promised to what it has, whether that suffices or not.
    pub fn set_promise(
        &self,
        storage: PrimaryStorageUuid,
        host: HostUuid,
        holder: &str,
        bytes: u64,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO storage_allocation (holder_uuid, primary_storage_uuid, host_uuid, bytes) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (holder_uuid, primary_storage_uuid, host_uuid) DO UPDATE SET bytes = ?4",
            )?
            .execute((holder, storage.to_string(), host.to_string(), i64::try_from(bytes).unwrap_or(i64::MAX)))?;
        self.count_storage(storage, host)
    }

    /// What a holder is promised.
    pub fn promised(&self, storage: PrimaryStorageUuid, host: HostUuid, holder: &str) -> Result<u64, StoreError> {
        Ok(self.promise(storage, host, holder)?.unwrap_or(0))
    }

    fn promise(&self, storage: PrimaryStorageUuid, host: HostUuid, holder: &str) -> Result<Option<u64>, StoreError> {
        let held: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT bytes FROM storage_allocation WHERE holder_uuid = ? AND primary_storage_uuid = ? AND host_uuid = ?",
            )?
            .query_row((holder, storage.to_string(), host.to_string()), |row| row.get(0))
            .optional()?;
        Ok(held.map(i64::unsigned_abs))
    }

    /// Takes back what a holder was promised of a local storage on a host.
    pub fn release_storage(&self, storage: PrimaryStorageUuid, host: HostUuid, holder: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "DELETE FROM storage_allocation WHERE holder_uuid = ? AND primary_storage_uuid = ? AND host_uuid = ?",
            )?
            .execute((holder, storage.to_string(), host.to_string()))?;
        self.count_storage(storage, host)
    }
}

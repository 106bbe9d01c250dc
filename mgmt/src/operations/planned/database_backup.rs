//! 12: backups of the database.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
    /// Backs up the database of the management node.
    CreateDatabaseBackup, "12.14", Post "/database-backups", Job -> DatabaseBackup; {
        /// Its name.
        name: String, max_length 255, nonempty true;
        /// Free text.
        description: Option<String>, max_length 1024, nonempty true;
        /// The backup storage.
        backup_storage_uuid: Uuid;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a database backup.
    DeleteDatabaseBackup, "12.15", Delete "/database-backups/{uuid}", Job; {
        /// The database backup.
        uuid: Uuid;
        /// The backup storages.
        backup_storage_uuids: Option<Vec<Uuid>>;
    }

    /// Queries database backups.
    QueryDatabaseBackup, "12.16", Get "/database-backups" | "/database-backups/{uuid}", Sync -> [DatabaseBackup]; {}

    /// Restores the database of the management node from a backup.
    RecoverDatabaseFromBackup, "12.17", Put "/database-backups/actions", Job -> { logListenPort: i64 }; {
        /// The database backup.
        uuid: Option<Uuid>;
        /// The address of the backup storage.
        backup_storage_url: Option<String>;
        /// Where the backup is.
        backup_install_path: Option<String>;
        /// The password of the database.
        mysql_root_password: Secret;
        /// Further parameters.
        ext_params: Option<BTreeMap<String, String>>;
    }

    /// Makes a database backup available for download.
    ExportDatabaseBackupFromBackupStorage, "12.18",
        Put "/database-backups/{databaseBackupUuid}/backup-storage/{backupStorageUuid}/actions",
        Job -> { databaseBackupUrl: String }; {
        /// The backup storage.
        backup_storage_uuid: Uuid;
        /// The database backup.
        database_backup_uuid: Uuid;
    }

    /// Lists the database backups on a backup storage.
    GetDatabaseBackupFromImageStore, "12.19",
        Get "/database-backups/image-store", Sync -> { infos: [DatabaseBackupInfo] }; {
        /// Its address.
        url: String, nonempty true;
        /// The registry's port.
        registry_port: Option<i32>, range 1..=65_535;
    }

    /// Deletes the exported copy of a database backup.
    DeleteExportedDatabaseBackupFromBackupStorage, "12.20",
        Delete "/exported-database-backup/{databaseBackupUuid}/backup-storage/{backupStorageUuid}", Job; {
        /// The backup storage.
        backup_storage_uuid: Uuid;
        /// The database backup.
        database_backup_uuid: Uuid;
    }

    /// Copies a database backup to another backup storage.
    SyncDatabaseBackupFromImageStoreBackupStorage, "12.21",
        Put "/database-backups/{uuid}/actions", Job -> DatabaseBackup; {
        /// The database backup.
        uuid: Uuid;
        /// The backup storage it is on.
        src_backup_storage_uuid: Uuid;
        /// The backup storage it goes to.
        dst_backup_storage_uuid: Uuid;
    }
}

inventories! {
    /// A database backup.
    DatabaseBackup {
        uuid: Uuid, name: String, description: String, state: String, status: String, size: i64, metadata: String,
        createDate: Timestamp, lastOpDate: Timestamp, backupStorageRefs: [DatabaseBackupStorageRef],
    }

    /// The copy of a database backup on a backup storage.
    DatabaseBackupStorageRef {
        databaseBackupUuid: Uuid, backupStorageUuid: Uuid, installPath: String, exportUrl: String, status: String,
        createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// A database backup on a backup storage.
    DatabaseBackupInfo {
        id: String, parent: String, blobsum: String, created: Timestamp, author: String, arch: String, desc: String,
        size: i64, virtualsize: i64, name: String,
    }
}

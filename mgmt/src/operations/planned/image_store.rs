//! 4.5.14: image stores.

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
    /// Connects to an image store backup storage anew.
    ReconnectImageStoreBackupStorage, "4.5.14.3",
        Put "/backup-storage/image-store/{uuid}/actions",
        Job -> ImageStoreBackupStorage, body_keys &["reconnectImageStoreBackupStorage", "params"]; {
        /// The backup storage.
        uuid: Uuid;
    }

    /// Updates an image store backup storage.
    UpdateImageStoreBackupStorage, "4.5.14.4", Put "/backup-storage/image-store/{uuid}/actions", Job -> BackupStorage; {
        /// The user.
        username: Option<String>, max_length 255;
        /// The password.
        password: Option<Secret>, max_length 255;
        /// The host name or address.
        hostname: Option<String>, max_length 255;
        /// The SSH port.
        ssh_port: Option<i32>, range 1..=65_535;
        /// The backup storage.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Frees the space that deleted images take on an image store.
    ReclaimSpaceFromImageStore, "4.5.14.5",
        Put "/backup-storage/image-store/{uuid}/actions", Job, body_keys &["reclaimSpaceFromImageStore", "params"]; {
        /// The backup storage.
        uuid: Uuid;
    }
}

inventories! {
    /// An image store backup storage.
    ImageStoreBackupStorage {
        hostname: String, username: String, sshPort: i64, uuid: Uuid, name: String, url: String, description: String,
        totalCapacity: i64, availableCapacity: i64, type: String, state: String, status: String,
        createDate: Timestamp, lastOpDate: Timestamp, attachedZoneUuids: [Uuid],
    }
}

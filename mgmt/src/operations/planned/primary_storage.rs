//! 4.4.16 and 4.4.17: primary storages over NFS and shared mount points.

use uuid::Uuid;

use crate::planned;

planned! {
    /// Adds an NFS primary storage.
    AddNfsPrimaryStorage, "4.4.16.1", Post "/primary-storage/nfs", Job -> PrimaryStorage; {
        /// Its address.
        url: String, max_length 2048;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its type.
        kind as "type": Option<String>;
        /// The zone.
        zone_uuid: Uuid;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Adds a primary storage on a file system that all hosts have mounted.
    AddSharedMountPointPrimaryStorage, "4.4.17.1", Post "/primary-storage/smp", Job -> PrimaryStorage; {
        /// Its address.
        url: String, max_length 2048;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its type.
        kind as "type": Option<String>;
        /// The zone.
        zone_uuid: Uuid;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }
}

//! 4.4.19: shared block storage.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Adds a primary storage of shared block devices.
    AddSharedBlockGroupPrimaryStorage, "4.4.19.1", Post "/primary-storage/sharedblockgroup", Job -> PrimaryStorage; {
        /// The identifiers of the disks, such as their WWIDs.
        disk_uuids: Vec<String>;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its type.
        kind as "type": Option<String>;
        /// Not used, kept for clients.
        url: Option<String>, max_length 2048;
        /// The zone.
        zone_uuid: Uuid;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Queries how hosts are connected to shared block primary storages.
    QuerySharedBlockGroupPrimaryStorageHostRef, "4.4.19.2",
        Get "/sharedblock-group/host-refs" | "/sharedblock-group/{primaryStorageUuid}/host-refs",
        Sync -> [SharedBlockGroupPrimaryStorageHostRef]; {}

    /// Queries shared block primary storages.
    QuerySharedBlockGroupPrimaryStorage, "4.4.19.3",
        Get "/primary-storage/sharedblockgroup" | "/primary-storage/sharedblockgroup/{uuid}",
        Sync -> [SharedBlockGroupPrimaryStorage]; {}

    /// Adds a block device to a shared block primary storage.
    AddSharedBlockToSharedBlockGroup, "4.4.19.4",
        Post "/primary-storage/sharedblockgroup/{uuid}/sharedblocks", Job -> SharedBlockGroupPrimaryStorage; {
        /// The identifier of the disk, such as its WWID.
        disk_uuid: String;
        /// The primary storage.
        uuid: Uuid;
    }

    /// Lists the block devices that a shared block primary storage can be made of.
    GetSharedBlockCandidate, "4.4.19.5",
        Get "/primary-storage/sharedblockgroup/sharedblock-candidates", Sync -> { results: [SharedBlockCandidate] }; {
        /// The cluster.
        cluster_uuid: Uuid;
    }

    /// Measures the capacity of a shared block device anew.
    RefreshSharedblockDeviceCapacity, "4.4.19.6",
        Post "/primary-storage/sharedblockgroup/{sharedBlockGroupUuid}/sharedblocks/{uuid}",
        Job -> SharedBlockGroupPrimaryStorage; {
        /// The block device.
        uuid: Uuid;
        /// The primary storage.
        shared_block_group_uuid: Uuid;
    }

    /// Queries shared block devices.
    QuerySharedBlock, "4.4.19.7",
        Get "/sharedblock-group/sharedblocks" | "/sharedblock-group/" | "/sharedblock-group/sharedblock/{uuid}",
        Sync -> [SharedBlock]; {}
}

inventories! {
    /// The connection of a host to a shared block primary storage.
    SharedBlockGroupPrimaryStorageHostRef {
        primaryStorageUuid: Uuid, hostUuid: Uuid, hostId: i64, createDate: Timestamp, lastOpDate: Timestamp,
        status: String,
    }

    /// A shared block primary storage.
    SharedBlockGroupPrimaryStorage {
        uuid: Uuid, zoneUuid: Uuid, name: String, url: String, description: String, totalCapacity: i64,
        availableCapacity: i64, totalPhysicalCapacity: i64, availablePhysicalCapacity: i64, systemUsedCapacity: i64,
        type: String, state: String, status: String, mountPath: String, createDate: Timestamp, lastOpDate: Timestamp,
        attachedClusterUuids: [Uuid], sharedBlocks: [SharedBlock], sharedBlockGroupType: String,
    }

    /// A shared block device.
    SharedBlock {
        uuid: Uuid, sharedBlockGroupUuid: Uuid, diskUuid: String, name: String, description: String,
        createDate: Timestamp, lastOpDate: Timestamp, type: String, state: String, status: String,
    }

    /// A block device that a shared block primary storage can be made of.
    SharedBlockCandidate {
        wwid: String, vendor: String, model: String, wwn: String, serial: String, hctl: String, type: String,
        size: i64,
    }
}

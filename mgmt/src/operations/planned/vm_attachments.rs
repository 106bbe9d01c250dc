//! 3.1: what VM instances are attached to.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Queries which VM instances shareable volumes are attached to.
    QueryShareableVolumeVmInstanceRef, "3.1.13",
        Get "/volumes/vm-instances/refs", Sync -> [ShareableVolumeVmInstanceRef]; {}

    /// Lists the data volumes that can be attached to a VM instance.
    GetVmAttachableDataVolume, "3.1.20",
        Get "/vm-instances/{vmInstanceUuid}/data-volume-candidates", Sync -> [Volume]; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
    }

    /// Lists the L3 networks that go with an image, or the images that go with L3 networks.
    GetInterdependentL3NetworksImages, "3.1.28",
        Get "/images-l3networks/dependencies", Sync -> { inventories: [Json] }; {
        /// The zone.
        zone_uuid: Uuid;
        /// The L3 networks.
        l3_network_uuids: Option<Vec<Uuid>>, nonempty true;
        /// The image.
        image_uuid: Option<Uuid>;
    }
}

inventories! {
    /// A shareable volume is attached to a VM instance.
    ShareableVolumeVmInstanceRef {
        uuid: Uuid, volumeUuid: Uuid, vmInstanceUuid: Uuid, deviceId: i64, createDate: Timestamp,
        lastOpDate: Timestamp,
    }
}

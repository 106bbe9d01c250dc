//! 3.2: volumes.

use uuid::Uuid;

use crate::{api::Method, inventories, planned};

planned! {
    /// Creates a data volume.
    CreateDataVolume, "3.2.1", Post "/volumes/data", Job -> Volume; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The disk offering.
        disk_offering_uuid: Uuid;
        /// The primary storage.
        primary_storage_uuid: Option<Uuid>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Puts a data volume aside: it can be recovered until it is expunged.
    DeleteDataVolume, "3.2.2", Delete "/volumes/{uuid}", Job; {
        /// The volume.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Removes a deleted data volume for good.
    ExpungeDataVolume, "3.2.3", Put "/volumes/{uuid}/actions", Job; {
        /// The volume.
        uuid: Uuid;
    }

    /// Recovers a deleted data volume.
    RecoverDataVolume, "3.2.4", Put "/volumes/{uuid}/actions", Job -> Volume; {
        /// The volume.
        uuid: Uuid;
    }

    /// Creates a data volume from an image.
    CreateDataVolumeFromVolumeTemplate, "3.2.6",
        Post "/volumes/data/from/data-volume-templates/{imageUuid}", Job -> Volume; {
        /// The image.
        image_uuid: Uuid;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The primary storage.
        primary_storage_uuid: Uuid;
        /// The host.
        host_uuid: Option<Uuid>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Reads what can be done with a volume.
    GetVolumeCapabilities, "3.2.10", Get "/volumes/{uuid}/capabilities", Sync -> { capabilities: (Json) }; {
        /// The volume.
        uuid: Uuid;
    }

    /// Measures the size of a volume anew.
    SyncVolumeSize, "3.2.11", Put "/volumes/{uuid}/actions", Job -> Volume; {
        /// The volume.
        uuid: Uuid;
    }

    /// Makes a root volume larger.
    ResizeRootVolume, "3.2.12", Put "/volumes/resize/{uuid}/actions", Job -> Volume; {
        /// The volume.
        uuid: Uuid;
        /// The new size in bytes.
        size: i64;
    }

    /// Makes a data volume larger.
    ResizeDataVolume, "3.2.13", Put "/volumes/data/resize/{uuid}/actions", Job -> Volume; {
        /// The volume.
        uuid: Uuid;
        /// The new size in bytes.
        size: i64;
    }

    /// Limits the bandwidth of a volume.
    SetVolumeQoS, "3.2.15",
        Put "/volumes/{uuid}/actions",
        Job, also &[(Method::Post, "/volumes/{uuid}/QoS")], body_keys &["setVolumeQos", "params"]; {
        /// The volume.
        uuid: Uuid;
        /// Bytes per second.
        volume_bandwidth: i64, range 1024..=i64::MAX;
    }

    /// Reads the bandwidth limit of a volume.
    GetVolumeQoS, "3.2.16", Get "/volumes/{uuid}/qos", Sync -> { volumeBandwidth: i64 }; {
        /// The volume.
        uuid: Uuid;
    }

    /// Lifts the bandwidth limit of a volume.
    DeleteVolumeQoS, "3.2.17", Delete "/volumes/{uuid}/qos" | "/volumes/{uuid}/QoS", Job; {
        /// The volume.
        uuid: Uuid;
    }

    /// Lists the VM instances that a data volume can be attached to.
    GetDataVolumeAttachableVm, "3.2.18", Get "/volumes/{volumeUuid}/candidate-vm-instances", Sync -> [VmInstance]; {
        /// The volume.
        volume_uuid: Uuid;
    }

    /// Attaches a data volume to a VM instance.
    AttachDataVolumeToVm, "3.2.19", Post "/volumes/{volumeUuid}/vm-instances/{vmInstanceUuid}", Job -> Volume; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
        /// The volume.
        volume_uuid: Uuid;
    }

    /// Detaches a data volume from a VM instance.
    DetachDataVolumeFromVm, "3.2.20", Delete "/volumes/{uuid}/vm-instances", Job -> Volume; {
        /// The volume.
        uuid: Uuid;
        /// The VM instance.
        vm_uuid: Option<Uuid>;
    }
}

inventories! {
    /// A format of volumes.
    VolumeFormat {
        format: String, masterHypervisorType: String, supportingHypervisorTypes: [String],
    }
}

//! 3.2: volumes.

use uuid::Uuid;

use crate::{api::Method, inventories, planned};

planned! {
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
}

inventories! {
    /// A format of volumes.
    VolumeFormat {
        format: String, masterHypervisorType: String, supportingHypervisorTypes: [String],
    }
}

//! 3.6: disk offerings.

use uuid::Uuid;

use crate::planned;

planned! {
    /// Enables or disables a disk offering.
    ChangeDiskOfferingState, "3.6.4", Put "/disk-offerings/{uuid}/actions", Job -> DiskOffering; {
        /// The disk offering.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }

    /// Updates a disk offering.
    UpdateDiskOffering, "3.6.5", Put "/disk-offerings/{uuid}/actions", Job -> DiskOffering; {
        /// The disk offering.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }
}

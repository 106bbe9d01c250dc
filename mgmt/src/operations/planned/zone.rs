//! 4.1: zones.

use uuid::Uuid;

use crate::planned;

planned! {
    /// Updates a zone.
    UpdateZone, "4.1.4", Put "/zones/{uuid}/actions", Job -> Zone; {
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The zone.
        uuid: Uuid;
    }

    /// Enables or disables a zone.
    ChangeZoneState, "4.1.5", Put "/zones/{uuid}/actions", Job -> Zone; {
        /// The zone.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }
}

//! 3.5: instance offerings.

use uuid::Uuid;

use crate::planned;

planned! {
    /// Gives a VM instance another instance offering.
    ChangeInstanceOffering, "3.5.4", Put "/vm-instances/{vmInstanceUuid}/actions", Job -> VmInstance; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
        /// The instance offering.
        instance_offering_uuid: Uuid;
    }

    /// Updates an instance offering.
    UpdateInstanceOffering, "3.5.5", Put "/instance-offerings/{uuid}/actions", Job -> InstanceOffering; {
        /// The instance offering.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// How hosts are chosen.
        allocator_strategy: Option<String>;
    }

    /// Enables or disables an instance offering.
    ChangeInstanceOfferingState, "3.5.6", Put "/instance-offerings/{uuid}/actions", Job -> InstanceOffering; {
        /// The instance offering.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }
}

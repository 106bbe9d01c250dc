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
}

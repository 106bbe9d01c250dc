//! 6.1.8: elastic IPs.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Creates an elastic IP.
    CreateEip, "6.1.8.1", Post "/eips", Job -> Eip; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The virtual IP.
        vip_uuid: Uuid;
        /// The VM network interface.
        vm_nic_uuid: Option<Uuid>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes an elastic IP.
    DeleteEip, "6.1.8.2", Delete "/eips/{uuid}", Job; {
        /// The elastic IP.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries elastic IPs.
    QueryEip, "6.1.8.3", Get "/eips" | "/eips/{uuid}", Sync -> [Eip]; {}

    /// Updates an elastic IP.
    UpdateEip, "6.1.8.4", Put "/eips/{uuid}/actions", Job -> Eip; {
        /// The elastic IP.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Enables or disables an elastic IP.
    ChangeEipState, "6.1.8.5", Put "/eips/{uuid}/actions", Job -> Eip; {
        /// The elastic IP.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }

    /// Lists the VM network interfaces that an elastic IP can be attached to.
    GetEipAttachableVmNics, "6.1.8.6", Get "/eips/{eipUuid}/vm-instances/candidate-nics", Sync -> [VmNic]; {
        /// The elastic IP.
        eip_uuid: Uuid;
        /// The virtual IP.
        vip_uuid: Option<Uuid>;
    }

    /// Attaches an elastic IP to a VM network interface.
    AttachEip, "6.1.8.7", Post "/eips/{eipUuid}/vm-instances/nics/{vmNicUuid}", Job -> Eip; {
        /// The elastic IP.
        eip_uuid: Uuid;
        /// The VM network interface.
        vm_nic_uuid: Uuid;
    }

    /// Detaches an elastic IP from its VM network interface.
    DetachEip, "6.1.8.8", Delete "/eips/{uuid}/vm-instances/nics", Job -> Eip; {
        /// The elastic IP.
        uuid: Uuid;
    }
}

inventories! {
    /// An elastic IP.
    Eip {
        uuid: Uuid, name: String, description: String, vmNicUuid: Uuid, vipUuid: Uuid, createDate: Timestamp,
        lastOpDate: Timestamp, state: String, vipIp: String, guestIp: String,
    }
}

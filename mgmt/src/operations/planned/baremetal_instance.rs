//! 13: bare-metal instances.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
    /// Creates a bare-metal instance.
    CreateBaremetalInstance, "13.1.11", Post "/baremetal/instances", Job -> BaremetalInstance; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The chassis.
        chassis_uuid: Uuid;
        /// The image.
        image_uuid: Uuid;
        /// The password.
        password: Secret, max_length 255;
        /// The L3 networks of its network interfaces, by Ethernet address.
        nic_cfgs: Option<BTreeMap<String, String>>;
        /// What is done once it is made.
        strategy: Option<String>, values &["InstantStart", "JustCreate"];
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Queries bare-metal instances.
    QueryBaremetalInstance, "13.1.12",
        Get "/baremetal/instances" | "/baremetal/instances/{uuid}", Sync -> [BaremetalInstance]; {}

    /// Starts a bare-metal instance.
    StartBaremetalInstance, "13.1.13", Put "/baremetal/instances/{uuid}/actions", Job -> BaremetalInstance; {
        /// The bare-metal instance.
        uuid: Uuid;
        /// Whether it boots from the network.
        pxe_boot: Option<bool>;
    }

    /// Stops a bare-metal instance.
    StopBaremetalInstance, "13.1.14", Put "/baremetal/instances/{uuid}/actions", Job -> BaremetalInstance; {
        /// The bare-metal instance.
        uuid: Uuid;
        /// Its type.
        kind as "type": Option<String>, values &["grace", "cold"];
    }

    /// Updates a bare-metal instance.
    UpdateBaremetalInstance, "13.1.15", Put "/baremetal/instances/{uuid}/actions", Job -> BaremetalInstance; {
        /// The bare-metal instance.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The password.
        password: Option<Secret>, max_length 255;
        /// The family of guest systems.
        platform: Option<String>, values &["Linux"];
    }

    /// Reboots a bare-metal instance.
    RebootBaremetalInstance, "13.1.16", Put "/baremetal/instances/{uuid}/actions", Job -> BaremetalInstance; {
        /// The bare-metal instance.
        uuid: Uuid;
        /// Whether it boots from the network.
        pxe_boot: Option<bool>;
    }

    /// Puts a bare-metal instance aside: it can be recovered until it is expunged.
    DestroyBaremetalInstance, "13.1.17", Delete "/baremetal/instances/{uuid}", Job; {
        /// The bare-metal instance.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Removes a deleted bare-metal instance for good.
    ExpungeBaremetalInstance, "13.1.18", Put "/baremetal/instances/{uuid}/actions", Job; {
        /// The bare-metal instance.
        uuid: Uuid;
    }

    /// Recovers a deleted bare-metal instance.
    RecoverBaremetalInstance, "13.1.19", Put "/baremetal/instances/{uuid}/actions", Job -> BaremetalInstance; {
        /// The bare-metal instance.
        uuid: Uuid;
    }
}

inventories! {
    /// A bare-metal instance.
    BaremetalInstance {
        uuid: Uuid, name: String, description: String, zoneUuid: Uuid, clusterUuid: Uuid, chassisUuid: Uuid,
        imageUuid: Uuid, platform: String, state: String, status: String, createDate: Timestamp,
        lastOpDate: Timestamp, bmNics: [BaremetalNic],
    }

    /// A network interface of a bare-metal instance.
    BaremetalNic {
        uuid: Uuid, baremetalInstanceUuid: Uuid, l3NetworkUuid: Uuid, mac: String, ip: String, netmask: String,
        gateway: String, metadata: String, pxe: bool, createDate: Timestamp, lastOpDate: Timestamp,
    }
}

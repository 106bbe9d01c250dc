//! 5.3: virtual routers.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Connects to a virtual router anew.
    ReconnectVirtualRouter, "5.3.1",
        Put "/vm-instances/appliances/virtual-routers/{vmInstanceUuid}/actions", Job -> ApplianceVm; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
    }

    /// Queries virtual routers.
    QueryVirtualRouterVm, "5.3.2",
        Get "/vm-instances/appliances/virtual-routers" | "/vm-instances/appliances/virtual-routers/{uuid}",
        Sync -> [ApplianceVm]; {}

    /// Queries appliance VMs.
    QueryApplianceVm, "5.3.3",
        Get "/vm-instances/appliances" | "/vm-instances/appliances/{uuid}", Sync -> [ApplianceVm]; {}

    /// Creates a virtual router offering.
    CreateVirtualRouterOffering, "5.3.4", Post "/instance-offerings/virtual-routers", Job -> InstanceOffering; {
        /// The zone.
        zone_uuid: Uuid;
        /// The L3 network of its management address.
        management_network_uuid: Uuid;
        /// The image.
        image_uuid: Uuid;
        /// The public L3 network.
        public_network_uuid: Option<Uuid>;
        /// Whether it is the default one.
        is_default: Option<bool>;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Virtual processors.
        cpu_num: i32, range 1..=1024;
        /// Memory in bytes.
        memory_size: i64, range 1..=i64::MAX;
        /// How hosts are chosen.
        allocator_strategy: Option<String>;
        /// Its place in lists.
        sort_key: Option<i32>;
        /// Its type.
        kind as "type": Option<String>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Queries virtual router offerings.
    QueryVirtualRouterOffering, "5.3.5",
        Get "/instance-offerings/virtual-routers" | "/instance-offerings/virtual-routers/{uuid}",
        Sync -> [VirtualRouterOffering]; {}

    /// Updates a virtual router offering.
    UpdateVirtualRouterOffering, "5.3.6",
        Put "/instance-offerings/virtual-routers/{uuid}/actions", Job -> InstanceOffering; {
        /// Whether it is the default one.
        is_default: Option<bool>;
        /// The image.
        image_uuid: Option<Uuid>;
        /// The virtual router.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// How hosts are chosen.
        allocator_strategy: Option<String>;
    }

    /// Lists the public L3 networks that a virtual router can be attached to.
    GetAttachablePublicL3ForVRouter, "5.3.7",
        Get "/vm-instances/appliances/virtual-routers/{vmInstanceUuid}/attachable-public-l3s", Sync -> [L3Network]; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
    }
}

inventories! {
    /// A VM instance that serves the system, such as a virtual router.
    ApplianceVm {
        applianceVmType: String, managementNetworkUuid: Uuid, defaultRouteL3NetworkUuid: Uuid, status: String,
        agentPort: i64, uuid: Uuid, name: String, description: String, zoneUuid: Uuid, clusterUuid: Uuid,
        imageUuid: Uuid, hostUuid: Uuid, lastHostUuid: Uuid, instanceOfferingUuid: Uuid, rootVolumeUuid: Uuid,
        platform: String, defaultL3NetworkUuid: Uuid, type: String, hypervisorType: String, memorySize: i64,
        cpuNum: i64, cpuSpeed: i64, allocatorStrategy: String, createDate: Timestamp, lastOpDate: Timestamp,
        state: String, vmNics: [VmNic], allVolumes: [Volume],
    }

    /// A virtual router offering.
    VirtualRouterOffering {
        managementNetworkUuid: Uuid, publicNetworkUuid: Uuid, zoneUuid: Uuid, isDefault: bool, imageUuid: Uuid,
        uuid: Uuid, name: String, description: String, cpuNum: i64, cpuSpeed: i64, memorySize: i64, type: String,
        allocatorStrategy: String, sortKey: i64, createDate: Timestamp, lastOpDate: Timestamp, state: String,
    }
}

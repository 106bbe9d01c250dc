//! 5.4: VPC routers.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Creates a VPC router.
    CreateVpcVRouter, "5.4.1", Post "/vpc/virtual-routers", Job -> VpcRouter; {
        /// Its name.
        name: String, max_length 255;
        /// The virtual router offering.
        virtual_router_offering_uuid: Uuid;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Queries VPC routers.
    QueryVpcRouter, "5.4.2", Get "/vpc/virtual-routers" | "/vpc/virtual-routers/{uuid}", Sync -> [VpcRouter]; {}

    /// Lists the L3 networks that a VPC router can be attached to.
    GetAttachableVpcL3Network, "5.4.3", Post "/vpc/virtual-routers/{uuid}/attachable-vpc-l3s", Sync -> [L3Network]; {
        /// The virtual router.
        uuid: Uuid;
    }

    /// Lists the connections that distributed routing of a VPC router handles.
    GetVpcVRouterDistributedRoutingConnections, "5.4.4",
        Get "/vpc/virtual-routers/{uuid}/tracked-connections", Sync -> { inventories: (Json) }; {
        /// The virtual router.
        uuid: Uuid;
    }

    /// Reads whether distributed routing of a VPC router is enabled.
    GetVpcVRouterDistributedRoutingEnabled, "5.4.5",
        Get "/vpc/virtual-routers/{uuid}/distributed-routing", Sync -> { enabled: bool }; {
        /// The virtual router.
        uuid: Uuid;
    }

    /// Enables or disables distributed routing of a VPC router.
    SetVpcVRouterDistributedRoutingEnabled, "5.4.6",
        Post "/vpc/virtual-routers/{uuid}/distributed-routing", Job -> { enabled: bool }; {
        /// The virtual router.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }

    /// Adds a DNS server to a VPC router.
    AddDnsToVpcRouter, "5.4.7", Post "/vpc/virtual-routers/{uuid}/dns", Job -> VpcRouter; {
        /// The virtual router.
        uuid: Uuid;
        /// The address of the DNS server.
        dns: String;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Removes a DNS server from a VPC router.
    RemoveDnsFromVpcRouter, "5.4.8", Delete "/vpc/virtual-routers/{uuid}/dns", Job -> VpcRouter; {
        /// The virtual router.
        uuid: Uuid;
        /// The address of the DNS server.
        dns: String;
    }
}

inventories! {
    /// A VPC router.
    VpcRouter {
        uuid: Uuid, name: String, description: String, zoneUuid: Uuid, clusterUuid: Uuid, imageUuid: Uuid,
        hostUuid: Uuid, lastHostUuid: Uuid, instanceOfferingUuid: Uuid, rootVolumeUuid: Uuid, platform: String,
        defaultL3NetworkUuid: Uuid, type: String, hypervisorType: String, memorySize: i64, cpuNum: i64, cpuSpeed: i64,
        allocatorStrategy: String, createDate: Timestamp, lastOpDate: Timestamp, state: String, vmNics: [VmNic],
        allVolumes: [Volume], publicNetworkUuid: Uuid, virtualRouterVips: [String], applianceVmType: String,
        managementNetworkUuid: Uuid, defaultRouteL3NetworkUuid: Uuid, status: String, agentPort: i64,
        dns: [VpcRouterDns],
    }

    /// A DNS server of a VPC router.
    VpcRouterDns {
        vpcRouterUuid: Uuid, dns: String, createDate: Timestamp, lastOpDate: Timestamp,
    }
}

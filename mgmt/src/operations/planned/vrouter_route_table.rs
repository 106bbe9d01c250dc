//! 5.3.8: route tables of virtual routers.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Creates a route table.
    CreateVRouterRouteTable, "5.3.8.1", Post "/vrouter-route-tables", Job -> VRouterRouteTable; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a route table.
    DeleteVRouterRouteTable, "5.3.8.2", Delete "/vrouter-route-tables/{uuid}", Job; {
        /// The route table.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries route tables.
    QueryVRouterRouteTable, "5.3.8.3", Get "/vrouter-route-tables", Sync -> [VRouterRouteTable]; {}

    /// Lists the routes of a virtual router.
    GetVRouterRouteTable, "5.3.8.4",
        Get "/vrouter-route-tables/vrouter/{virtualRouterVmUuid}", Sync -> [VirtualRouterRoute]; {
        /// The virtual router.
        virtual_router_vm_uuid: Uuid;
    }

    /// Adds an entry to a route table.
    AddVRouterRouteEntry, "5.3.8.5",
        Post "/vrouter-route-tables/{routeTableUuid}/route-entries", Job -> VRouterRouteEntry; {
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its type.
        kind as "type": Option<String>, max_length 32;
        /// The route table.
        route_table_uuid: Uuid;
        /// The destination, in CIDR notation.
        destination: String, max_length 64;
        /// The next router's address.
        target: Option<String>, max_length 64;
        /// The administrative distance.
        distance: Option<i32>, range 1..=254;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes an entry of a route table.
    DeleteVRouterRouteEntry, "5.3.8.6", Delete "/vrouter-route-tables/{routeTableUuid}/route-entries/{uuid}", Job; {
        /// The route entry.
        uuid: Uuid;
        /// The route table.
        route_table_uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries route entries.
    QueryVRouterRouteEntry, "5.3.8.7", Get "/vrouter-route-tables/route-entries", Sync -> [VRouterRouteEntry]; {}

    /// Attaches a route table to a virtual router.
    AttachVRouterRouteTableToVRouter, "5.3.8.8",
        Post "/vrouter-route-tables/{routeTableUuid}/attach", Job -> VRouterRouteTable; {
        /// The route table.
        route_table_uuid: Uuid;
        /// The virtual router.
        virtual_router_vm_uuid: Uuid;
    }

    /// Detaches a route table from a virtual router.
    DetachVRouterRouteTableFromVRouter, "5.3.8.9",
        Post "/vrouter-route-tables/{routeTableUuid}/detach", Job -> VRouterRouteTable; {
        /// The route table.
        route_table_uuid: Uuid;
        /// The virtual router.
        virtual_router_vm_uuid: Uuid;
    }

    /// Queries which route tables are attached to which virtual routers.
    QueryVirtualRouterVRouterRouteTableRef, "5.3.8.10",
        Get "/vrouter-route-tables/virtual-router-refs", Sync -> [VirtualRouterVRouterRouteTableRef]; {}
}

inventories! {
    /// A route table.
    VRouterRouteTable {
        uuid: Uuid, name: String, description: String, createDate: Timestamp, lastOpDate: Timestamp,
        attachedRouterRefs: [VirtualRouterVRouterRouteTableRef], routeEntries: [VRouterRouteEntry],
    }

    /// A route table is attached to a virtual router.
    VirtualRouterVRouterRouteTableRef {
        virtualRouterVmUuid: Uuid, routeTableUuid: Uuid,
    }

    /// A route entry.
    VRouterRouteEntry {
        uuid: Uuid, description: String, type: String, routeTableUuid: Uuid, destination: String, target: String,
        distance: i64, createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// A route of a virtual router.
    VirtualRouterRoute {
        uuid: Uuid, description: String, type: String, destination: String, target: String, distance: i64,
        status: String,
    }
}

//! 5.1: L2 networks.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Creates a VXLAN pool.
    CreateL2VxlanNetworkPool, "5.1.1", Post "/l2-networks/vxlan-pool", Job -> L2VxlanNetworkPool; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The zone.
        zone_uuid: Uuid;
        /// The network interface of the hosts.
        physical_interface: Option<String>, max_length 1024;
        /// Its type.
        kind as "type": Option<String>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Queries VXLAN pools.
    QueryL2VxlanNetworkPool, "5.1.2",
        Get "/l2-networks/vxlan-pool" | "/l2-networks/vxlan-pool/{uuid}", Sync -> [L2VxlanNetworkPool]; {}

    /// Creates a VXLAN L2 network.
    CreateL2VxlanNetwork, "5.1.3", Post "/l2-networks/vxlan", Job -> L2VxlanNetwork; {
        /// The VXLAN network identifier.
        vni: Option<i32>, range 1..=16_777_214;
        /// The VXLAN pool.
        pool_uuid: Uuid;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The zone.
        zone_uuid: Option<Uuid>, max_length 1024;
        /// The network interface of the hosts.
        physical_interface: Option<String>, max_length 1024;
        /// Its type.
        kind as "type": Option<String>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Queries VXLAN L2 networks.
    QueryL2VxlanNetwork, "5.1.4", Get "/l2-networks/vxlan" | "/l2-networks/vxlan/{uuid}", Sync -> [L2VxlanNetwork]; {}

    /// Creates a VLAN L2 network.
    CreateL2VlanNetwork, "5.1.6", Post "/l2-networks/vlan", Job -> L2VlanNetwork; {
        /// The VLAN number.
        vlan: i32, range 1..=4094;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The zone.
        zone_uuid: Uuid;
        /// The network interface of the hosts.
        physical_interface: String, max_length 1024;
        /// Its type.
        kind as "type": Option<String>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Queries VLAN L2 networks.
    QueryL2VlanNetwork, "5.1.7", Get "/l2-networks/vlan" | "/l2-networks/vlan/{uuid}", Sync -> [L2VlanNetwork]; {}

    /// Adds a VNI range to a VXLAN pool.
    CreateVniRange, "5.1.14", Post "/l2-networks/vxlan-pool/{l2NetworkUuid}/vni-ranges", Job -> VniRange; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The first VXLAN network identifier.
        start_vni: i32, range 0..=16_777_214;
        /// The last VXLAN network identifier.
        end_vni: i32, range 0..=16_777_214;
        /// The L2 network.
        l2_network_uuid: Uuid;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Queries VNI ranges.
    QueryVniRange, "5.1.15",
        Get "/l2-networks/vxlan-pool/vni-range" | "/l2-networks/vxlan-pool/vni-range/{uuid}", Sync -> [VniRange]; {}

    /// Deletes a VNI range.
    DeleteVniRange, "5.1.16", Delete "/l2-networks/vxlan-pool/vni-ranges/{uuid}", Job; {
        /// The VNI range.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

inventories! {
    /// A VXLAN pool.
    L2VxlanNetworkPool {
        attachedCidrs: (Json), uuid: Uuid, name: String, description: String, zoneUuid: Uuid,
        physicalInterface: String, type: String, createDate: Timestamp, lastOpDate: Timestamp,
        attachedClusterUuids: [Uuid], attachedVtepRefs: [Vtep], attachedVxlanNetworkRefs: [L2VxlanNetwork],
        attachedVniRanges: [VniRange],
    }

    /// The end of VXLAN tunnels on a host.
    Vtep {
        uuid: Uuid, hostUuid: Uuid, vtepIp: String, port: i64, type: String, poolUuid: Uuid,
    }

    /// A VXLAN L2 network.
    L2VxlanNetwork {
        vni: i64, poolUuid: Uuid, uuid: Uuid, name: String, description: String, zoneUuid: Uuid,
        physicalInterface: String, type: String, createDate: Timestamp, lastOpDate: Timestamp,
        attachedClusterUuids: [Uuid],
    }

    /// A VNI range.
    VniRange {
        uuid: Uuid, name: String, description: String, startVni: i64, endVni: i64, createDate: Timestamp,
        lastOpDate: Timestamp, l2NetworkUuid: Uuid,
    }

    /// A VLAN L2 network.
    L2VlanNetwork {
        vlan: i64, uuid: Uuid, name: String, description: String, zoneUuid: Uuid, physicalInterface: String,
        type: String, createDate: Timestamp, lastOpDate: Timestamp, attachedClusterUuids: [Uuid],
    }
}

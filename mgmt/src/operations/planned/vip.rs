//! 6.1.7: virtual IPs.

use std::net::Ipv4Addr;

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Creates a virtual IP.
    CreateVip, "6.1.7.1", Post "/vips", Job -> Vip; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The L3 network.
        l3_network_uuid: Uuid;
        /// How the address is chosen.
        allocator_strategy: Option<String>;
        /// The IP address it must have.
        required_ip: Option<Ipv4Addr>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a virtual IP.
    DeleteVip, "6.1.7.2", Delete "/vips/{uuid}", Job; {
        /// The virtual IP.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries virtual IPs.
    QueryVip, "6.1.7.3", Get "/vips" | "/vips/{uuid}", Sync -> [Vip]; {}

    /// Updates a virtual IP.
    UpdateVip, "6.1.7.4", Put "/vips/{uuid}/actions", Job -> Vip; {
        /// The virtual IP.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Enables or disables a virtual IP.
    ChangeVipState, "6.1.7.5", Put "/vips/{uuid}/actions", Job -> Vip; {
        /// The virtual IP.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }

    /// Lists the ports of a virtual IP that are in use.
    GetVipUsedPorts, "6.1.7.6", Get "/vips/{uuid}/usedports", Sync -> [VipUsedPorts]; {
        /// The virtual IP.
        uuid: Uuid;
        /// TCP or UDP.
        protocol: String, values &["TCP", "UDP"];
    }

    /// Limits the bandwidth of a virtual IP.
    SetVipQos, "6.1.7.7", Put "/vips/{uuid}/actions", Job -> VipQos; {
        /// The virtual IP.
        uuid: Uuid;
        /// The port.
        port: Option<i32>, range 1..=65_535;
        /// Bandwidth from it, in bits per second.
        outbound_bandwidth: Option<i64>, range 1_048_575..=i64::MAX;
        /// Bandwidth to it, in bits per second.
        inbound_bandwidth: Option<i64>, range 1_048_575..=i64::MAX;
    }

    /// Lists the bandwidth limits of a virtual IP.
    GetVipQos, "6.1.7.8", Get "/vip/{uuid}/vip-qos", Sync -> [VipQos]; {
        /// The virtual IP.
        uuid: Uuid;
    }

    /// Lifts bandwidth limits of a virtual IP.
    DeleteVipQos, "6.1.7.9", Delete "/vips/{uuid}/vip-qos", Job; {
        /// The virtual IP.
        uuid: Uuid;
        /// The port.
        port: Option<i32>;
    }
}

inventories! {
    /// A virtual IP.
    Vip {
        uuid: Uuid, name: String, description: String, l3NetworkUuid: Uuid, ip: String, state: String,
        gateway: String, netmask: String, serviceProvider: String, peerL3NetworkUuid: Uuid, useFor: String,
        createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// The ports of a virtual IP that are in use.
    VipUsedPorts {
        uuid: Uuid, protocol: String, usedPorts: [String],
    }

    /// A bandwidth limit of a virtual IP.
    VipQos {
        uuid: Uuid, vipUuid: Uuid, port: i64, inboundBandwidth: i64, outboundBandwidth: i64, type: String,
        createDate: Timestamp, lastOpDate: Timestamp,
    }
}

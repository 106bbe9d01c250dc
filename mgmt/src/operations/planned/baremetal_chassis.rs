//! 13: bare-metal chassis and PXE servers.

use std::net::Ipv4Addr;

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
    /// Creates a bare-metal chassis.
    CreateBaremetalChassis, "13.1.1", Post "/baremetal/chassis", Job -> BaremetalChassis; {
        /// Its name.
        name: String, max_length 255, nonempty true;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The cluster.
        cluster_uuid: Uuid;
        /// The address of its IPMI.
        ipmi_address: String;
        /// The IPMI's port.
        ipmi_port: Option<i32>, range 1..=65_535;
        /// The IPMI user.
        ipmi_username: String, max_length 255;
        /// The IPMI user's password.
        ipmi_password: Secret, max_length 255;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a bare-metal chassis.
    DeleteBaremetalChassis, "13.1.2", Delete "/baremetal/chassis/{uuid}", Job; {
        /// The chassis.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Updates a bare-metal chassis.
    UpdateBaremetalChassis, "13.1.3", Put "/baremetal/chassis/{uuid}/actions", Job -> BaremetalChassis; {
        /// The chassis.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255, nonempty true;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The address of its IPMI.
        ipmi_address: Option<String>;
        /// The IPMI's port.
        ipmi_port: Option<i32>, range 1..=65_535;
        /// The IPMI user.
        ipmi_username: Option<String>, max_length 255;
        /// The IPMI user's password.
        ipmi_password: Option<Secret>, max_length 255;
    }

    /// Queries bare-metal chassis.
    QueryBaremetalChassis, "13.1.4",
        Get "/baremetal/chassis" | "/baremetal/chassis/{uuid}", Sync -> [BaremetalChassis]; {}

    /// Powers a bare-metal chassis on.
    PowerOnBaremetalChassis, "13.1.5", Put "/baremetal/chassis/{chassisUuid}/actions", Job -> BaremetalChassis; {
        /// The chassis.
        chassis_uuid: Uuid;
    }

    /// Powers a bare-metal chassis off.
    PowerOffBaremetalChassis, "13.1.6", Put "/baremetal/chassis/{chassisUuid}/actions", Job -> BaremetalChassis; {
        /// The chassis.
        chassis_uuid: Uuid;
    }

    /// Resets a bare-metal chassis.
    PowerResetBaremetalChassis, "13.1.7", Put "/baremetal/chassis/{chassisUuid}/actions", Job -> BaremetalChassis; {
        /// The chassis.
        chassis_uuid: Uuid;
    }

    /// Reads whether a bare-metal chassis is powered on.
    GetBaremetalChassisPowerStatus, "13.1.8",
        Get "/baremetal/chassis/{uuid}/powerstatus", Sync -> { status: String, success: bool }; {
        /// The chassis.
        uuid: Uuid;
    }

    /// Enables or disables a bare-metal chassis.
    ChangeBaremetalChassisState, "13.1.9", Put "/baremetal/chassis/{uuid}/actions", Job -> BaremetalChassis; {
        /// The chassis.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }

    /// Reads the hardware of a bare-metal chassis anew.
    InspectBaremetalChassis, "13.1.10", Put "/baremetal/chassis/{uuid}/actions", Job -> BaremetalChassis; {
        /// The chassis.
        uuid: Uuid;
    }

    /// Creates a PXE server.
    CreateBaremetalPxeServer, "13.2.1", Post "/baremetal/pxeservers", Job -> BaremetalPxeServer; {
        /// Its name.
        name: String, max_length 255, nonempty true;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The network interface of the DHCP server.
        dhcp_interface: String, max_length 128, nonempty true;
        /// The first address that DHCP hands out.
        dhcp_range_begin: Option<Ipv4Addr>;
        /// The last address that DHCP hands out.
        dhcp_range_end: Option<Ipv4Addr>;
        /// The mask of the addresses that DHCP hands out.
        dhcp_range_netmask: Option<Ipv4Addr>;
    }

    /// Deletes a PXE server.
    DeleteBaremetalPxeServer, "13.2.2", Delete "/baremetal/pxeservers/{uuid}", Job; {
        /// The PXE server.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries PXE servers.
    QueryBaremetalPxeServer, "13.2.3",
        Get "/baremetal/pxeservers" | "/baremetal/pxeservers/{uuid}", Sync -> [BaremetalPxeServer]; {}

    /// Starts a PXE server.
    StartBaremetalPxeServer, "13.2.4", Put "/baremetal/pxeservers/{uuid}/actions", Job; {
        /// The PXE server.
        uuid: Uuid;
    }

    /// Stops a PXE server.
    StopBaremetalPxeServer, "13.2.5", Put "/baremetal/pxeservers/{uuid}/actions", Job; {
        /// The PXE server.
        uuid: Uuid;
    }

    /// Updates a PXE server.
    UpdateBaremetalPxeServer, "13.2.6", Put "/baremetal/pxeservers/{uuid}/actions", Job -> BaremetalPxeServer; {
        /// The PXE server.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255, nonempty true;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The first address that DHCP hands out.
        dhcp_range_begin: Option<Ipv4Addr>;
        /// The last address that DHCP hands out.
        dhcp_range_end: Option<Ipv4Addr>;
        /// The mask of the addresses that DHCP hands out.
        dhcp_range_netmask: Option<Ipv4Addr>;
        /// The network interface of the DHCP server.
        dhcp_interface: Option<String>;
    }
}

inventories! {
    /// A bare-metal chassis.
    BaremetalChassis {
        uuid: Uuid, name: String, description: String, zoneUuid: Uuid, clusterUuid: Uuid, ipmiAddress: String,
        ipmiPort: i64, ipmiUsername: String, state: String, status: String, createDate: Timestamp,
        lastOpDate: Timestamp,
    }

    /// A PXE server.
    BaremetalPxeServer {
        uuid: Uuid, name: String, description: String, dhcpInterface: String, dhcpRangeBegin: String,
        dhcpRangeEnd: String, dhcpRangeNetmask: String, status: String, createDate: Timestamp, lastOpDate: Timestamp,
    }
}

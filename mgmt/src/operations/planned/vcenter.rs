//! 7.1: vCenters.

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
    /// Adds a vCenter.
    AddVCenter, "7.1.1", Post "/vcenters", Job -> VCenter; {
        /// The user.
        username: String, max_length 255;
        /// The password.
        password: Secret, max_length 255;
        /// The zone.
        zone_uuid: Uuid;
        /// Its name.
        name: String, max_length 255;
        /// Whether it is reached over HTTPS.
        https: Option<bool>;
        /// The host name or address.
        domain_name: String, max_length 256, nonempty true;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
        /// The port.
        port: Option<i32>;
    }

    /// Queries vCenters.
    QueryVCenter, "7.1.2", Get "/vcenters" | "/vcenters/{uuid}", Sync -> [VCenter]; {}

    /// Deletes a vCenter.
    DeleteVCenter, "7.1.3", Delete "/vcenters/{uuid}", Job; {
        /// The vCenter.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Updates a vCenter.
    UpdateVCenter, "7.1.4", Put "/vcenters/{uuid}/actions", Job -> VCenter; {
        /// The vCenter.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255, nonempty true;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The user.
        username: Option<String>, max_length 255, nonempty true;
        /// The password.
        password: Option<Secret>, max_length 255, nonempty true;
        /// The host name or address.
        domain_name: Option<String>, max_length 256, nonempty true;
        /// The port.
        port: Option<i32>;
    }

    /// Reads the resources of a vCenter anew.
    SyncVCenter, "7.1.5", Put "/vcenters/{uuid}/actions", Job; {
        /// The vCenter.
        uuid: Uuid;
    }

    /// Queries datacenters of vCenters.
    QueryVCenterDatacenter, "7.1.6",
        Get "/vcenters/datacenters" | "/vcenters/datacenters/{uuid}", Sync -> [VCenterDatacenter]; {}

    /// Queries clusters of vCenters.
    QueryVCenterCluster, "7.1.7", Get "/vcenters/clusters" | "/vcenters/clusters/{uuid}", Sync -> [Cluster]; {}

    /// Queries primary storages of vCenters.
    QueryVCenterPrimaryStorage, "7.1.8",
        Get "/vcenters/primary-storage" | "/vcenters/primary-storage/{uuid}", Sync -> [PrimaryStorage]; {}

    /// Queries backup storages of vCenters.
    QueryVCenterBackupStorage, "7.1.9",
        Get "/vcenters/backup-storage" | "/vcenters/backup-storage/{uuid}", Sync -> [BackupStorage]; {}
}

inventories! {
    /// A vCenter.
    VCenter {
        uuid: Uuid, name: String, description: String, domainName: String, port: i64, userName: String,
        zoneUuid: Uuid, https: bool, state: String, status: String, createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// A datacenter of a vCenter.
    VCenterDatacenter {
        uuid: Uuid, name: String, vCenterUuid: Uuid, morval: String, createDate: Timestamp, lastOpDate: Timestamp,
    }
}

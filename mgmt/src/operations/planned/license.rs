//! 11.7: licenses.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Reads the license.
    GetLicenseInfo, "11.7.1", Get "/licenses", Sync -> License, open true; {}

    /// Reads what the license allows.
    GetLicenseCapabilities, "11.7.2", Get "/licenses/capabilities", Sync -> { capabilities: (Json) }; {}

    /// Deletes a license of a management node.
    DeleteLicense, "11.7.3", Delete "/licenses/mn/{managementNodeUuid}/actions", Sync; {
        /// The license.
        uuid: Option<Uuid>;
        /// The management node.
        management_node_uuid: Uuid;
    }

    /// Reads the license of management nodes anew.
    ReloadLicense, "11.7.4", Put "/licenses/actions", Sync -> License; {
        /// The management nodes.
        management_node_uuids: Option<Vec<Uuid>>, nonempty true;
    }

    /// Replaces the license of a management node.
    UpdateLicense, "11.7.5", Put "/licenses/mn/{managementNodeUuid}/actions", Sync -> License; {
        /// The license.
        license: String;
        /// The management node.
        management_node_uuid: Uuid;
    }
}

inventories! {
    /// A license of a management node.
    License {
        licenseType: String, licenseRequest: String, expiredDate: String, issuedDate: String, user: String,
        hostNum: i64, cpuNum: i64, availableHostNum: i64, availableCpuNum: i64, expired: bool,
    }
}

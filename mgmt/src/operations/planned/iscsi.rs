//! 4.6: iSCSI servers.

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
    /// Adds an iSCSI server.
    AddIscsiServer, "4.6.1", Post "/storage-devices/iscsi/servers", Job -> IscsiServer; {
        /// Its name.
        name: Option<String>, max_length 256, nonempty true;
        /// Its address.
        ip: String, max_length 64;
        /// The port.
        port: Option<i32>, range 1..=65_535;
        /// The CHAP user.
        chap_user_name: Option<String>, max_length 128;
        /// The CHAP user's password.
        chap_user_password: Option<Secret>, max_length 128;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes an iSCSI server.
    DeleteIscsiServer, "4.6.2", Delete "/storage-devices/iscsi/servers/{uuid}", Job; {
        /// The server.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries iSCSI servers.
    QueryIscsiServer, "4.6.3",
        Get "/storage-devices/iscsi/servers" | "/storage-devices/iscsi" | "/storage-devices/iscsi/servers/{uuid}",
        Sync -> [IscsiServer]; {}

    /// Looks for the targets and LUNs of an iSCSI server anew.
    RefreshIscsiServer, "4.6.4", Post "/storage-devices/iscsi/servers/{uuid}", Job -> IscsiServer; {
        /// The server.
        uuid: Uuid;
    }

    /// Updates an iSCSI server.
    UpdateIscsiServer, "4.6.5",
        Put "/storage-devices/iscsi/servers/{uuid}/actions",
        Job -> IscsiServer, body_keys &["updateIscsiServer", "params"]; {
        /// The server.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 256, nonempty true;
        /// The CHAP user.
        chap_user_name: Option<String>, max_length 128;
        /// The CHAP user's password.
        chap_user_password: Option<Secret>, max_length 128;
        /// The state.
        state: Option<String>, values &["Enabled", "Disabled"];
        /// Not used, kept for clients.
        resource_uuid: Option<Uuid>;
    }

    /// Attaches an iSCSI server to a cluster.
    AttachIscsiServerToCluster, "4.6.6",
        Post "/clusters/{clusterUuid}/storage-devices/iscsi/servers/{uuid}", Job -> IscsiServer; {
        /// The server.
        uuid: Uuid;
        /// The cluster.
        cluster_uuid: Uuid;
    }

    /// Detaches an iSCSI server from a cluster.
    DetachIscsiServerFromCluster, "4.6.7",
        Delete "/clusters/{clusterUuid}/storage-devices/iscsi/servers/{uuid}", Job -> IscsiServer; {
        /// The server.
        uuid: Uuid;
        /// The cluster.
        cluster_uuid: Uuid;
    }

    /// Queries iSCSI LUNs.
    QueryIscsiLun, "4.6.8",
        Get "/storage-devices/iscsi/luns" | "/storage-devices/iscsi/luns/{uuid}", Sync -> [IscsiLun]; {}
}

inventories! {
    /// An iSCSI server.
    IscsiServer {
        uuid: Uuid, name: String, ip: String, port: i64, chapUserName: String, state: String, createDate: Timestamp,
        lastOpDate: Timestamp, iscsiTargets: [IscsiTarget], iscsiClusterRefs: [IscsiServerClusterRef],
    }

    /// A target of an iSCSI server.
    IscsiTarget {
        iscsiServerUuid: Uuid, uuid: Uuid, iqn: String, createDate: Timestamp, lastOpDate: Timestamp,
        iscsiLuns: [IscsiLun],
    }

    /// An iSCSI LUN.
    IscsiLun {
        uuid: Uuid, iscsiTargetUuid: Uuid, wwid: String, vendor: String, model: String, wwn: String, serial: String,
        hctl: String, type: String, path: String, size: i64, createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// An iSCSI server is attached to a cluster.
    IscsiServerClusterRef {
        iscsiServerUuid: Uuid, clusterUuid: Uuid, createDate: Timestamp, lastOpDate: Timestamp,
    }
}

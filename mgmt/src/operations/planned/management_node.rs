//! 10.1, 11.1, 11.4, 11.6 and 11.8: global settings, management nodes, notifications, garbage collection and long jobs.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Queries global settings.
    QueryGlobalConfig, "10.1.1.1", Get "/global-configurations", Sync -> [GlobalConfig]; {}

    /// Changes a global setting.
    UpdateGlobalConfig, "10.1.1.2", Put "/global-configurations/{category}/{name}/actions", Job -> GlobalConfig; {
        /// The category.
        category: String;
        /// The setting's name.
        name: String;
        /// The value.
        value: Option<String>;
    }

    /// Queries management nodes.
    QueryManagementNode, "11.1.1", Get "/management-nodes" | "/management-nodes/{uuid}", Sync -> [ManagementNode]; {}

    /// Deletes notifications.
    DeleteNotifications, "11.4.1", Delete "/notifications", Job; {
        /// The resources.
        uuids: Vec<Uuid>, nonempty true;
    }

    /// Queries notifications.
    QueryNotification, "11.4.2", Get "/notifications" | "/notifications/{uuid}", Sync -> [Notification]; {}

    /// Marks notifications as read or unread.
    UpdateNotificationsStatus, "11.4.3", Put "/notifications/actions", Job; {
        /// The resources.
        uuids: Vec<Uuid>, nonempty true;
        /// The status.
        status: String, values &["Unread", "Read"];
    }

    /// Runs a garbage collection job now.
    TriggerGCJob, "11.6.1", Put "/gc-jobs/{uuid}/actions", Job; {
        /// The job.
        uuid: Uuid;
    }

    /// Deletes a garbage collection job.
    DeleteGCJob, "11.6.2", Delete "/gc-jobs/{uuid}", Job; {
        /// The job.
        uuid: Uuid;
    }

    /// Queries garbage collection jobs.
    QueryGCJob, "11.6.3", Get "/gc-jobs" | "/gc-jobs/{uuid}", Sync -> [GCJob]; {}
}

inventories! {
    /// A global setting.
    GlobalConfig {
        name: String, category: String, description: String, defaultValue: String, value: String,
    }

    /// A management node.
    ManagementNode {
        uuid: Uuid, hostName: String, joinDate: Timestamp, heartBeat: Timestamp,
    }

    /// A notification.
    Notification {
        uuid: Uuid, name: String, content: String, arguments: String, sender: String, status: String,
        resourceUuid: Uuid, resourceType: String, type: String, time: i64, opaque: Json, createDate: Timestamp,
        lastOpDate: Timestamp,
    }

    /// A garbage collection job.
    GCJob {
        uuid: Uuid, name: String, runnerClass: String, context: String, status: String, managementNodeUuid: Uuid,
        type: String, createDate: Timestamp, lastOpDate: Timestamp,
    }
}

//! The management node itself: its sign of life, what it tells people, what its hosts owe it.

use gantry_common::id::{GcJobUuid, HostUuid, NodeUuid, NotificationUuid};

use super::Declaration;
use crate::{clock::Timestamp, resource, text_enum};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] =
    &[ManagementNode::declaration, Notification::declaration, GcJob::declaration];

resource! {
    /// A management node.
    ManagementNode, table "management_node", class "org.zstack.header.managementnode.ManagementNodeInventory" {
        /// Its id.
        uuid: NodeUuid,
        /// The name or address of its machine.
        host_name: String,
        /// When it was started.
        join_date: Timestamp,
        /// When it last noted that it is there.
        heart_beat: Timestamp,
    }
}

text_enum! {
    /// How much a notification matters.
    NotificationType {
        /// Good to know.
        Info = "Info",
        /// Somebody should look.
        Warning = "Warning",
        /// Something is wrong.
        Error = "Error",
    }
}

text_enum! {
    /// Whether somebody has seen a notification.
    NotificationStatus {
        /// Nobody has.
        Unread = "Unread",
        /// Somebody has.
        Read = "Read",
    }
}

resource! {
    /// Something that happened and that people should know.
    Notification, table "notification", class "org.zstack.core.notification.NotificationInventory", about "resource_uuid" {
        /// Its id.
        uuid: NotificationUuid,
        /// Always `system`.
        name: String,
        /// What happened, with `%s` for each argument.
        content: String,
        /// The arguments, a JSON list of texts.
        arguments: String,
        /// Always `system`.
        sender: String,
        /// Whether somebody has seen it.
        status: NotificationStatus,
        /// What it happened to.
        resource_uuid: Option<String>,
        /// The type of what it happened to, such as `HostVO`.
        resource_type: Option<String>,
        /// How much it matters.
        kind as "type": NotificationType,
        /// When it last happened, in milliseconds since 1970.
        time: i64,
        /// When it first happened.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
}

text_enum! {
    /// Where a clean-up is.
    GcStatus {
        /// It waits for its host.
        Idle = "Idle",
        /// It is being done.
        Processing = "Processing",
        /// It is done.
        Done = "Done",
    }
}

resource! {
    /// Clean-up that a host owes: it was away when it was due, or refused.
    GcJob, table "gc_job", class "org.zstack.core.gc.GarbageCollectorInventory" {
        /// Its id.
        uuid: GcJobUuid,
        /// What it is called.
        name: String,
        /// What is done.
        runner_class: String,
        /// What it is done with, as JSON.
        context: String,
        /// Where it is.
        status: GcStatus,
        /// The node that has it done.
        management_node_uuid: NodeUuid,
        /// Always `EventBased`: it is tried when the host connects, and at intervals.
        kind as "type": String,
        /// When it was due.
        create_date: Timestamp,
        /// When it was last tried.
        last_op_date: Timestamp,
    }
    hidden {
        /// The machine that owes it.
        machine_uuid: HostUuid,
        /// How often the machine answered and did not do it.
        attempts: u32,
    }
}

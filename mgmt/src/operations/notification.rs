//! 11.4: notifications.

use gantry_common::id::NotificationUuid;

use super::making::require;
use crate::{
    api::{Operation, job, query},
    clock::Timestamp,
    job::{JobOperation, Step},
    operation,
    resource::{Notification, NotificationStatus},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<DeleteNotifications>(),
        query::<QueryNotification>(Notification::declaration),
        job::<UpdateNotificationsStatus>(),
    ]
}

operation! {
    /// Deletes notifications. Those that are gone already are no error.
    DeleteNotifications, "11.4.1", Delete "/notifications", Job; {
        /// The notifications.
        uuids: Vec<NotificationUuid>, nonempty true;
    }
}

impl JobOperation for DeleteNotifications {
    type State = ();

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("delete the notifications", |tx, run| {
            for uuid in &run.params.uuids {
                tx.delete::<Notification>(*uuid)?;
            }
            Ok(())
        })]
    }
}

operation! {
    /// Queries notifications.
    QueryNotification, "11.4.2", Get "/notifications" | "/notifications/{uuid}", Sync -> [Notification]; {}
}

operation! {
    /// Marks notifications as read or unread: all of them, or none where one does not exist.
    UpdateNotificationsStatus, "11.4.3", Put "/notifications/actions", Job; {
        /// The notifications.
        uuids: Vec<NotificationUuid>, nonempty true;
        /// What they become.
        status: String, values &["Unread", "Read"];
    }
}

impl JobOperation for UpdateNotificationsStatus {
    type State = ();

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("mark the notifications", |tx, run| {
            let status =
                if run.params.status == "Read" { NotificationStatus::Read } else { NotificationStatus::Unread };
            for uuid in &run.params.uuids {
                let known = require::<Notification>(tx, "uuids", *uuid)?;
                tx.save(&Notification { status, last_op_date: Timestamp::now(), ..known })?;
            }
            Ok(())
        })]
    }
}

//! Telling people what happened that nobody asked for.

use gantry_common::id::NotificationUuid;
use serde_json::json;

use crate::{
    clock::Timestamp,
    failure::Failure,
    node::Node,
    resource::{Notification, NotificationStatus, NotificationType, Resource},
    settings::Values,
    store::{SqlValue, Tx},
    tags,
};

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Notice {
    kind: NotificationType,
    resource: Option<(String, String)>,
    content: &'static str,
    arguments: Vec<String>,
}

impl Notice {
    /// Something that happened: in words, with `%s` for each argument.
    pub fn new<const N: usize>(kind: NotificationType, content: &'static str, arguments: [String; N]) -> Self {
        Self { kind, resource: None, content, arguments: arguments.into() }
    }

    /// The same, which happened to this resource.
    #[must_use]
    pub fn about<R: Resource>(self, key: R::Key) -> Self {
        Self { resource: Some((tags::resource_type(R::declaration()), key.to_string())), ..self }
    }

    /// Records it. What nobody has read yet and happens again is brought up to date instead of being told twice.
    pub fn record(self, tx: &Tx<'_>, settings: &Values) -> Result<(), Failure> {
        let now = Timestamp::now();
        let (resource_type, resource_uuid) = self.resource.unzip();
        let arguments = json!(self.arguments).to_string();
        let same = [
            ("content", self.content.to_owned().to_sql()),
            ("arguments", arguments.to_sql()),
            ("status", NotificationStatus::Unread.to_sql()),
        ];
        let known = tx.find::<Notification>(&same)?.into_iter().find(|known| known.resource_uuid == resource_uuid);
        if let Some(known) = known {
            tx.save(&Notification { time: now.millis(), last_op_date: now, ..known })?;
            return Ok(());
        }
        tx.insert(&Notification {
            uuid: NotificationUuid::random(),
            name: "system".to_owned(),
            content: self.content.to_owned(),
            arguments,
            sender: "system".to_owned(),
            status: NotificationStatus::Unread,
            resource_uuid,
            resource_type,
            kind: self.kind,
            time: now.millis(),
            create_date: now,
            last_op_date: now,
        })?;
        Ok(tx.bound_notifications(settings.notification_max)?)
    }

    /// Records it in a transaction of its own. That it could not be is logged.
    pub async fn tell(self, node: &Node) {
        let settings = node.settings.now();
        let told = node.store.write(move |tx| self.record(tx, &settings)).await;
        if let Err(failure) = told {
            tracing::error!(error = %failure, "a notification could not be recorded");
        }
    }
}

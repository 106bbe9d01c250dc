//! 8.1.1: alarms, event subscriptions and their texts.

use uuid::Uuid;

use super::Object;
use crate::{inventories, planned};

planned! {
    /// Creates an alarm.
    CreateAlarm, "8.1.1.3.1", Post "/zwatch/alarms", Job -> Alarm; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// How the value is compared with the threshold.
        comparison_operator: String, values &["GreaterThanOrEqualTo", "GreaterThan", "LessThan", "LessThanOrEqualTo"];
        /// How long the condition must hold, in seconds.
        period: i32, range 1..=2_147_483_647;
        /// The namespace.
        namespace: String;
        /// The name of the metric.
        metric_name: String;
        /// The threshold.
        threshold: f64, range 0..=i64::MAX;
        /// Seconds until it is raised again.
        repeat_interval: Option<i32>, range 0..=i64::MAX;
        /// The labels.
        labels: Option<Vec<Object>>;
        /// What is done, as type and uuid.
        actions: Option<Vec<Object>>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes an alarm.
    DeleteAlarm, "8.1.1.3.2", Delete "/zwatch/alarms/{uuid}", Job; {
        /// The alarm.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Updates an alarm.
    UpdateAlarm, "8.1.1.3.3", Put "/zwatch/alarms/{uuid}/actions", Job -> Alarm; {
        /// The alarm.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2047;
        /// How the value is compared with the threshold.
        comparison_operator: Option<String>, values &[
            "GreaterThanOrEqualTo", "GreaterThan", "LessThan", "LessThanOrEqualTo",
        ];
        /// How long the condition must hold, in seconds.
        period: Option<i32>, range 1..=2_147_483_647;
        /// The threshold.
        threshold: Option<f64>, range 0..=i64::MAX;
        /// Seconds until it is raised again.
        repeat_interval: Option<i32>, range 0..=i64::MAX;
    }

    /// Adds an action to an alarm.
    AddActionToAlarm, "8.1.1.3.4", Post "/zwatch/alarms/{alarmUuid}/actions", Job -> Alarm; {
        /// The alarm.
        alarm_uuid: Uuid;
        /// The action.
        action_uuid: Uuid;
        /// The type of action.
        action_type: String;
    }

    /// Removes an action from an alarm.
    RemoveActionFromAlarm, "8.1.1.3.5", Delete "/zwatch/alarms/{alarmUuid}/actions/{actionUuid}", Job -> Alarm; {
        /// The alarm.
        alarm_uuid: Uuid;
        /// The action.
        action_uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Adds a label to an alarm.
    AddLabelToAlarm, "8.1.1.3.6", Post "/zwatch/alarms/{alarmUuid}/labels", Job -> Alarm; {
        /// The alarm.
        alarm_uuid: Uuid;
        /// The key.
        key: String, max_length 1024;
        /// The value that fits.
        value: String;
        /// How the value is compared.
        operator: String, values &["Regex", "Equal"];
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Removes a label from an alarm.
    RemoveLabelFromAlarm, "8.1.1.3.7", Delete "/zwatch/alarms/labels/{uuid}", Job; {
        /// The label.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Enables or disables an alarm.
    ChangeAlarmState, "8.1.1.3.8", Put "/zwatch/alarms/{uuid}/actions", Job -> Alarm; {
        /// The alarm.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }

    /// Queries alarms.
    QueryAlarm, "8.1.1.3.9", Get "/zwatch/alarms" | "/zwatch/alarms/{uuid}", Sync -> [Alarm]; {}

    /// Reads when alarms were raised.
    GetAlarmData, "8.1.1.3.10", Get "/zwatch/alarm-histories", Sync -> { histories: [AlarmHistory] }; {
        /// When it begins.
        start_time: Option<i64>, range 0..=i64::MAX;
        /// When it ends.
        end_time: Option<i64>, range 0..=i64::MAX;
        /// How many at the most.
        limit: Option<i32>, range 0..=2_147_483_647;
        /// What must hold, each as `name=value`.
        conditions: Option<Vec<String>>;
    }

    /// Subscribes to an event.
    SubscribeEvent, "8.1.1.4.1", Post "/zwatch/events/subscriptions", Job -> EventSubscription; {
        /// The namespace.
        namespace: String;
        /// The name of the event.
        event_name: String;
        /// What is done, as type and uuid.
        actions: Option<Vec<Object>>;
        /// The labels.
        labels: Option<Vec<Object>>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
        /// Its name.
        name: Option<String>, max_length 255;
    }

    /// Queries event subscriptions.
    QueryEventSubscription, "8.1.1.4.3",
        Get "/zwatch/events/subscriptions" | "/zwatch/events/subscriptions/{uuid}", Sync -> [EventSubscription]; {}

    /// Creates an alarm text template.
    CreateSNSTextTemplate, "8.1.1.5.1", Post "/zwatch/alarms/sns/text-templates", Job -> SNSTextTemplate; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The type of the platform.
        application_platform_type: String;
        /// The text.
        template: String;
        /// Whether it is the default one.
        default_template: Option<bool>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes an alarm text template.
    DeleteSNSTextTemplate, "8.1.1.5.2", Delete "/zwatch/alarms/sns/text-templates/{uuid}", Job; {
        /// The template.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Updates an alarm text template.
    UpdateSNSTextTemplate, "8.1.1.5.3",
        Put "/zwatch/alarms/sns/text-templates/{uuid}/actions", Job -> SNSTextTemplate; {
        /// The template.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The text.
        template: Option<String>;
        /// Whether it is the default one.
        default_template: Option<bool>;
    }

    /// Queries alarm text templates.
    QuerySNSTextTemplate, "8.1.1.5.4",
        Get "/zwatch/alarms/sns/text-templates" | "/zwatch/alarms/sns/text-templates/{uuid}",
        Sync -> [SNSTextTemplate]; {}
}

inventories! {
    /// An alarm.
    Alarm {
        uuid: Uuid, name: String, description: String, period: i64, namespace: String, metricName: String,
        threshold: f64, repeatInterval: i64, createDate: Timestamp, lastOpDate: Timestamp, comparisonOperator: String,
        status: String, labels: [AlarmLabel], actions: [AlarmAction],
    }

    /// A label that an alarm looks for.
    AlarmLabel {
        uuid: Uuid, key: String, operator: String, value: String,
    }

    /// What an alarm does.
    AlarmAction {
        alarmUuid: Uuid, actionType: String, actionUuid: Uuid,
    }

    /// An alarm that was raised.
    AlarmHistory {
        alarmUuid: Uuid, namespace: String, metricName: String, accountUuid: Uuid, resourceUuid: Uuid,
        resourceType: String, alarmStatus: String, alarmName: String, threshold: f64, period: i64, labels: String,
        metricValue: f64, time: i64,
    }

    /// An event subscription.
    EventSubscription {
        uuid: Uuid, namespace: String, eventName: String, lastOpDate: Timestamp, createDate: Timestamp, state: String,
        actions: [EventSubscriptionAction], labels: [EventSubscriptionLabel],
    }

    /// What an event subscription does.
    EventSubscriptionAction {
        subscriptionUuid: Uuid, actionType: String, actionUuid: Uuid,
    }

    /// A label that an event subscription looks for.
    EventSubscriptionLabel {
        uuid: Uuid, key: String, value: String, operator: String,
    }

    /// An alarm text template.
    SNSTextTemplate {
        uuid: Uuid, name: String, description: String, applicationPlatformType: String, template: String,
        defaultTemplate: bool, createDate: Timestamp, lastOpDate: Timestamp,
    }
}

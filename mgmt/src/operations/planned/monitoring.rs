//! 8.1.1: metrics, events and audits.

use uuid::Uuid;

use super::Object;
use crate::{inventories, planned};

planned! {
    /// Lists the metrics that are recorded.
    GetAllMetricMetadata, "8.1.1.1.1", Get "/zwatch/metrics/meta-data", Sync -> { metrics: [Metric] }; {}

    /// Lists the values that a metric's labels have.
    GetMetricLabelValue, "8.1.1.1.2", Get "/zwatch/metrics/label-values", Sync -> { labels: [(String)] }; {
        /// The namespace.
        namespace: String;
        /// The name of the metric.
        metric_name: String;
        /// The names of the labels.
        label_names: Vec<String>, nonempty true;
        /// Labels that must fit, each as `name=value`.
        filter_labels: Option<Vec<String>>;
    }

    /// Reads recorded values of a metric.
    GetMetricData, "8.1.1.1.3", Get "/zwatch/metrics", Sync -> { data: [MetricDatum] }; {
        /// The namespace.
        namespace: String;
        /// The name of the metric.
        metric_name: String;
        /// When it begins.
        start_time: Option<i64>, range 0..=i64::MAX;
        /// When it ends.
        end_time: Option<i64>, range 0..=i64::MAX;
        /// Seconds between two values.
        period: Option<i32>, range 0..=2_147_483_647;
        /// The labels.
        labels: Option<Vec<String>>;
        /// Functions that are applied to the values.
        functions: Option<Vec<String>>;
        /// How many seconds back to begin.
        offset_ahead_of_current_time: Option<i64>, range 0..=i64::MAX;
    }

    /// Records values of a metric of the caller.
    PutMetricData, "8.1.1.1.4", Post "/zwatch/metrics", Job; {
        /// The namespace.
        namespace: String, max_length 255;
        /// The values, each with its metric and labels.
        data: Vec<Object>, nonempty true;
    }

    /// Lists the kinds of events that are recorded.
    GetAllEventMetadata, "8.1.1.2.1", Get "/zwatch/events/meta-data", Sync -> { events: [EventMetadata] }; {}

    /// Reads recorded events.
    GetEventData, "8.1.1.2.2", Get "/zwatch/events", Sync -> { events: [Event] }; {
        /// When it begins.
        start_time: Option<i64>, range 0..=i64::MAX;
        /// When it ends.
        end_time: Option<i64>, range 0..=i64::MAX;
        /// How many at the most.
        limit: Option<i32>, range 0..=2_147_483_647;
        /// How many seconds back to begin.
        offset_ahead_of_current_time: Option<i64>, range 0..=i64::MAX;
        /// What must hold, each as `name=value`.
        conditions: Option<Vec<String>>;
        /// The labels.
        labels: Option<Vec<String>>;
        /// Whether only the latest are meant.
        latest: Option<bool>;
    }

    /// Ends a subscription to an event.
    UnsubscribeEvent, "8.1.1.4.2", Delete "/zwatch/events/subscriptions/{uuid}", Job; {
        /// The subscription.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Reads the record of calls.
    GetAuditData, "8.1.1.6.1", Get "/zwatch/audits", Sync -> { audits: [Audit] }; {
        /// When it begins.
        start_time: Option<i64>, range 0..=i64::MAX;
        /// When it ends.
        end_time: Option<i64>, range 0..=i64::MAX;
        /// How many at the most.
        limit: Option<i32>, range 0..=2_147_483_647;
        /// What must hold, each as `name=value`.
        conditions: Option<Vec<String>>;
        /// The labels.
        labels: Option<Vec<String>>;
    }
}

inventories! {
    /// A metric.
    Metric {
        namespace: String, name: String, labelNames: [String],
    }

    /// One value of a metric.
    MetricDatum {
        value: f64, time: i64, labels: (String),
    }

    /// A kind of event.
    EventMetadata {
        namespace: String, name: String, labelNames: [String],
    }

    /// An event.
    Event {
        namespace: String, name: String, labels: (String), resourceId: String, resourceName: String, error: String,
        time: i64, emergencyLevel: String,
    }

    /// A call that was made.
    Audit {
        resourceUuid: Uuid, resourceType: String, apiName: String, error: String, operatorAccountUuid: Uuid,
        duration: i64, requestUuid: Uuid, responseUuid: Uuid, sessionUuid: Uuid, requestDump: String,
        responseDump: String, time: i64,
    }
}

//! 9.3: schedulers.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Creates a scheduler trigger.
    CreateSchedulerTrigger, "9.3.1", Post "/scheduler/triggers", Job -> SchedulerTrigger; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Seconds between two runs.
        scheduler_interval: Option<i32>, range 1..=2_147_483_647;
        /// How often it is repeated.
        repeat_count: Option<i32>, range 0..=2_147_483_647;
        /// When it begins.
        start_time: Option<i64>;
        /// The type of schedule.
        scheduler_type: String, values &["simple", "cron"];
        /// The schedule, as a cron expression.
        cron: Option<String>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a scheduler trigger.
    DeleteSchedulerTrigger, "9.3.2", Delete "/scheduler/triggers/{uuid}", Job; {
        /// The trigger.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries scheduler triggers.
    QuerySchedulerTrigger, "9.3.3",
        Get "/scheduler/triggers" | "/scheduler/triggers/{uuid}", Sync -> [SchedulerTrigger]; {}

    /// Updates a scheduler trigger.
    UpdateSchedulerTrigger, "9.3.4", Put "/scheduler/triggers/{uuid}/actions", Job -> SchedulerTrigger; {
        /// The trigger.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255, nonempty true;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Seconds between two runs.
        scheduler_interval: Option<i32>, range 1..=2_147_483_647;
        /// How often it is repeated.
        repeat_count: Option<i32>, range 0..=2_147_483_647;
        /// When it begins.
        start_time: Option<i64>;
        /// The schedule, as a cron expression.
        cron: Option<String>;
    }

    /// Has a trigger run a scheduler job.
    AddSchedulerJobToSchedulerTrigger, "9.3.5",
        Post "/scheduler/jobs/{schedulerJobUuid}/scheduler/triggers/{schedulerTriggerUuid}",
        Job -> SchedulerJobSchedulerTrigger; {
        /// The scheduler job.
        scheduler_job_uuid: Uuid;
        /// The trigger.
        scheduler_trigger_uuid: Uuid;
    }

    /// Has a trigger no longer run a scheduler job.
    RemoveSchedulerJobFromSchedulerTrigger, "9.3.6",
        Delete "/scheduler/jobs/{schedulerJobUuid}/scheduler/triggers/{schedulerTriggerUuid}", Job; {
        /// The scheduler job.
        scheduler_job_uuid: Uuid;
        /// The trigger.
        scheduler_trigger_uuid: Uuid;
    }

    /// Creates a scheduler job.
    CreateSchedulerJob, "9.3.7", Post "/scheduler/jobs", Job -> SchedulerJob; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The resource it works on.
        target_resource_uuid: Uuid;
        /// Its type.
        kind as "type": String, values &[
            "startVm", "stopVm", "rebootVm", "volumeSnapshot", "volumeBackup", "vmBackup", "databaseBackup",
        ];
        /// The parameters.
        parameters: Option<BTreeMap<String, String>>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a scheduler job.
    DeleteSchedulerJob, "9.3.8", Delete "/scheduler/jobs/{uuid}", Job; {
        /// The scheduler job.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries scheduler jobs.
    QuerySchedulerJob, "9.3.9", Get "/scheduler/jobs" | "/scheduler/jobs/{uuid}", Sync -> [SchedulerJob]; {}

    /// Updates a scheduler job.
    UpdateSchedulerJob, "9.3.10", Put "/scheduler/jobs/{uuid}/actions", Job -> SchedulerJob; {
        /// The scheduler job.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255, nonempty true;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Lists the scheduler jobs that no trigger runs.
    GetNoTriggerSchedulerJobs, "9.3.11", Get "/scheduler/jobs/candidates", Sync -> [SchedulerJob]; {}

    /// Enables or disables a scheduler.
    ChangeSchedulerState, "9.3.12", Put "/schedulers/{uuid}", Job -> SchedulerJob; {
        /// The scheduler.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }
}

inventories! {
    /// A scheduler trigger.
    SchedulerTrigger {
        uuid: Uuid, name: String, description: String, schedulerType: String, schedulerInterval: i64,
        repeatCount: i64, startTime: Timestamp, stopTime: Timestamp, createDate: Timestamp, lastOpDate: Timestamp,
        jobsUuid: [Uuid],
    }

    /// A trigger runs a scheduler job.
    SchedulerJobSchedulerTrigger {
        uuid: Uuid, schedulerJobUuid: Uuid, schedulerTriggerUuid: Uuid, jobGroup: String, triggerGroup: String,
        createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// A scheduler job.
    SchedulerJob {
        uuid: Uuid, targetResourceUuid: Uuid, name: String, description: String, state: String, createDate: Timestamp,
        lastOpDate: Timestamp, triggersUuid: [Uuid],
    }
}

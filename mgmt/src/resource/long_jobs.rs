//! Long jobs.

use gantry_common::id::{JobUuid, LongJobUuid, NodeUuid};

use super::Declaration;
use crate::{clock::Timestamp, resource, text_enum};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] = &[LongJob::declaration];

text_enum! {
    /// Where a long job is.
    LongJobState {
        /// Its turn has not come.
        Waiting = "Waiting",
        /// It is being carried out, or undone.
        Running = "Running",
        /// It is done.
        Succeeded = "Succeeded",
        /// It was cancelled, and nothing of it is left.
        Canceled = "Canceled",
        /// It failed, and nothing of it is left.
        Failed = "Failed",
    }
}

impl LongJobState {
    /// Whether nothing more happens.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Canceled | Self::Failed)
    }
}

resource! {
    /// An operation that was submitted to be run on its own.
    LongJob, table "long_job", class "org.zstack.header.longjob.LongJobInventory", owned {
        /// Its id.
        uuid: LongJobUuid,
        /// Its name.
        name: Option<String>,
        /// Free text.
        description: Option<String>,
        /// The job that carries it out: its progress is asked for by this.
        api_id: JobUuid,
        /// The operation, as its caller named it.
        job_name: String,
        /// The operation's parameters in JSON, without secrets.
        job_data: String,
        /// The operation's reply or its error, in JSON.
        job_result: Option<String>,
        /// The resource that it is about, free text of the caller.
        target_resource_uuid: Option<String>,
        /// This node.
        management_node_uuid: NodeUuid,
        /// When it was submitted.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
        /// Where it is.
        state: LongJobState,
    }
}

//! Long jobs follow the jobs that carry them out, each in the transaction that changes its job.

use gantry_common::{error::ErrorKind, id::JobUuid};
use serde_json::Value;

use super::{JobPhase, SqlValue, StoreError, Tx};
use crate::{
    clock::Timestamp,
    resource::{LongJob, LongJobState},
};

/// The state of a long job whose job has ended.
pub(super) fn ended_state(phase: JobPhase, result: &Value) -> LongJobState {
    match phase {
        JobPhase::Succeeded => LongJobState::Succeeded,
        _ if result["error"]["code"] == ErrorKind::Cancelled.code() => LongJobState::Canceled,
        _ => LongJobState::Failed,
    }
}

impl Tx<'_> {
    /// The long job that this job carries out.
    pub fn long_job_of(&self, job: JobUuid) -> Result<Option<LongJob>, StoreError> {
        Ok(self.find::<LongJob>(&[("api_id", job.to_sql())])?.pop())
    }

    /// Notes that the job's turn has come.
    pub fn begin_long_job(&self, job: JobUuid) -> Result<(), StoreError> {
        self.change_long_job(job, LongJobState::Running, None)
    }

    /// Notes how the job ended.
    pub(super) fn end_long_job(&self, job: JobUuid, phase: JobPhase, result: &Value) -> Result<(), StoreError> {
        self.change_long_job(job, ended_state(phase, result), Some(result.to_string()))
    }

    fn change_long_job(&self, job: JobUuid, state: LongJobState, result: Option<String>) -> Result<(), StoreError> {
        if let Some(mut long_job) = self.long_job_of(job)? {
            long_job.state = state;
            long_job.job_result = result;
            long_job.last_op_date = Timestamp::now();
            self.save(&long_job)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_job_ends_as_its_job_did() {
        let error = |kind: ErrorKind| json!({ "error": { "code": kind.code() } });
        let ended = |phase, result: Value| ended_state(phase, &result);
        assert_eq!(ended(JobPhase::Succeeded, json!({})), LongJobState::Succeeded);
        assert_eq!(ended(JobPhase::Failed, error(ErrorKind::Cancelled)), LongJobState::Canceled);
        assert_eq!(ended(JobPhase::Failed, error(ErrorKind::Refused)), LongJobState::Failed);
    }
}

//! Accepted calls and how far each is.

use gantry_common::id::{AccountUuid, JobUuid};
use rusqlite::Row;
use serde_json::Value;

use super::{SqlValue, StoreError, Tx, column};
use crate::{clock::Timestamp, text_enum};

text_enum! {
    /// Where a job is.
    JobPhase {
        /// Its steps are being done.
        Running = "Running",
        /// A step failed; the steps done are being undone.
        Undoing = "Undoing",
        /// It is done.
        Succeeded = "Succeeded",
        /// It failed, and nothing of it is left.
        Failed = "Failed",
    }
}

/// One accepted call.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    /// Its id, which the caller polls.
    pub uuid: JobUuid,
    /// The operation's name.
    pub api: String,
    /// The parameters, secrets sealed.
    pub params: Value,
    /// Who called.
    pub account_uuid: AccountUuid,
    /// Where the result is posted to.
    pub webhook: Option<String>,
    /// Where it is.
    pub phase: JobPhase,
    /// The next step to do, or the next to undo counted from 1.
    pub step: u32,
    /// What its steps have found out.
    pub state: Value,
    /// The reply or the error.
    pub result: Option<Value>,
    /// When it was accepted.
    pub accepted_date: Timestamp,
    /// When it ended.
    pub finished_date: Option<Timestamp>,
}

const COLUMNS: &str =
    "uuid, api, params, account_uuid, webhook, phase, step, state, result, accepted_date, finished_date";

fn record(row: &Row<'_>) -> Result<JobRecord, StoreError> {
    Ok(JobRecord {
        uuid: column(row, 0)?,
        api: column(row, 1)?,
        params: column(row, 2)?,
        account_uuid: column(row, 3)?,
        webhook: column(row, 4)?,
        phase: column(row, 5)?,
        step: column(row, 6)?,
        state: column(row, 7)?,
        result: column(row, 8)?,
        accepted_date: column(row, 9)?,
        finished_date: column(row, 10)?,
    })
}

impl Tx<'_> {
    /// Stores a job that was just accepted.
    pub fn insert_job(&self, job: &JobRecord) -> Result<(), StoreError> {
        let sql = format!("INSERT INTO job ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
        self.connection.prepare_cached(&sql)?.execute(rusqlite::params_from_iter([
            job.uuid.to_sql(),
            job.api.to_sql(),
            job.params.to_sql(),
            job.account_uuid.to_sql(),
            job.webhook.to_sql(),
            job.phase.to_sql(),
            job.step.to_sql(),
            job.state.to_sql(),
            job.result.to_sql(),
            job.accepted_date.to_sql(),
            job.finished_date.to_sql(),
        ]))?;
        Ok(())
    }

    /// The job with this id.
    pub fn job(&self, uuid: JobUuid) -> Result<Option<JobRecord>, StoreError> {
        Ok(self.jobs(&format!("SELECT {COLUMNS} FROM job WHERE uuid = ?"), [uuid.to_string()])?.pop())
    }

    /// The jobs that have not ended, in the order of their acceptance.
    pub fn open_jobs(&self) -> Result<Vec<JobRecord>, StoreError> {
        self.jobs(&format!("SELECT {COLUMNS} FROM job WHERE finished_date IS NULL ORDER BY accepted_date, uuid"), [])
    }

    /// The jobs that have ended and whose result is still to be posted.
    pub fn jobs_to_post(&self) -> Result<Vec<JobRecord>, StoreError> {
        self.jobs(&format!("SELECT {COLUMNS} FROM job WHERE webhook IS NOT NULL AND finished_date IS NOT NULL"), [])
    }

    fn jobs(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<JobRecord>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut jobs = Vec::new();
        while let Some(row) = rows.next()? {
            jobs.push(record(row)?);
        }
        Ok(jobs)
    }

    /// Stores how far a job is.
    pub fn advance_job(&self, uuid: JobUuid, phase: JobPhase, step: u32, state: &Value) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE job SET phase = ?2, step = ?3, state = ?4 WHERE uuid = ?1")?
            .execute(rusqlite::params_from_iter([uuid.to_sql(), phase.to_sql(), step.to_sql(), state.to_sql()]))?;
        Ok(())
    }

    /// Stores that a job failed and why; its steps are then undone before it ends.
    pub fn fail_job(&self, uuid: JobUuid, step: u32, state: &Value, error: &Value) -> Result<(), StoreError> {
        self.advance_job(uuid, JobPhase::Undoing, step, state)?;
        self.connection
            .prepare_cached("UPDATE job SET result = ?2 WHERE uuid = ?1")?
            .execute([uuid.to_sql(), error.to_sql()])?;
        Ok(())
    }

    /// Stores a job's end. What it was asked and what its steps found out is no longer needed, and may be secret.
    pub fn finish_job(&self, uuid: JobUuid, phase: JobPhase, result: &Value) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE job SET phase = ?2, result = ?3, finished_date = ?4, params = '{}', state = 'null' WHERE uuid = ?1",
            )?
            .execute(rusqlite::params_from_iter([uuid.to_sql(), phase.to_sql(), result.to_sql(), Timestamp::now().to_sql()]))?;
        Ok(())
    }

    /// Notes that a job's result needs no more posting.
    pub fn job_posted(&self, uuid: JobUuid) -> Result<(), StoreError> {
        self.connection.prepare_cached("UPDATE job SET webhook = NULL WHERE uuid = ?")?.execute([uuid.to_string()])?;
        Ok(())
    }

    /// Forgets the jobs that ended before the given moment.
    pub fn drop_finished_jobs(&self, before: Timestamp) -> Result<usize, StoreError> {
        Ok(self
            .connection
            .prepare_cached("DELETE FROM job WHERE finished_date IS NOT NULL AND finished_date < ?")?
            .execute([before.to_sql()])?)
    }
}

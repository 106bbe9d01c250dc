//! Accepted calls and how far each is.

use gantry_common::id::{AccountUuid, JobUuid, SessionUuid};
use rusqlite::Row;
use serde_json::Value;

use super::{SqlValue, StoreError, Tx, column};
use crate::{api::Origin, clock::Timestamp, text_enum};

text_enum! {
    /// Where a job is.
    JobPhase {
        /// Its turn has not come: nothing of it has been done.
        Waiting = "Waiting",
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

impl JobPhase {
    /// Whether nothing more happens.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// One accepted call.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    /// Its id, which the caller polls.
    pub uuid: JobUuid,
    /// Its place in the order of acceptance among the jobs that have not ended.
    pub number: u64,
    /// The operation's name.
    pub api: String,
    /// The parameters, secrets sealed.
    pub params: Value,
    /// Tells what was asked from anything else that could be.
    pub call_digest: String,
    /// Who called.
    pub account_uuid: AccountUuid,
    /// The session of the call, where it had one.
    pub session_uuid: Option<SessionUuid>,
    /// Where the result is posted to.
    pub webhook: Option<String>,
    /// Where the caller reached the node; nothing for the node's own jobs.
    pub origin: Option<Origin>,
    /// Where it is.
    pub phase: JobPhase,
    /// The next step to do, or the next to undo counted from 1.
    pub step: u32,
    /// What its steps have found out.
    pub state: Value,
    /// Who wants it cancelled, if anyone does.
    pub cancelled_by: Option<AccountUuid>,
    /// The reply or the error.
    pub result: Option<Value>,
    /// When it was accepted.
    pub accepted_date: Timestamp,
    /// When it ended.
    pub finished_date: Option<Timestamp>,
}

/// What may change a job from outside while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobStanding {
    /// See [`JobRecord::phase`].
    pub phase: JobPhase,
    /// See [`JobRecord::cancelled_by`].
    pub cancelled_by: Option<AccountUuid>,
}

const COLUMNS: &str = "uuid, number, api, params, call_digest, account_uuid, session_uuid, webhook, origin, phase, step, \
                       state, cancelled_by, result, accepted_date, finished_date";

fn record(row: &Row<'_>) -> Result<JobRecord, StoreError> {
    let mut columns = 0..;
    let mut next = || columns.next().unwrap_or_default();
    Ok(JobRecord {
        uuid: column(row, next())?,
        number: column(row, next())?,
        api: column(row, next())?,
        params: column(row, next())?,
        call_digest: column(row, next())?,
        account_uuid: column(row, next())?,
        session_uuid: column(row, next())?,
        webhook: column(row, next())?,
        origin: column(row, next())?,
        phase: column(row, next())?,
        step: column(row, next())?,
        state: column(row, next())?,
        cancelled_by: column(row, next())?,
        result: column(row, next())?,
        accepted_date: column(row, next())?,
        finished_date: column(row, next())?,
    })
}

impl Tx<'_> {
    /// Stores a job that was just accepted.
    pub fn insert_job(&self, job: &JobRecord) -> Result<(), StoreError> {
        let values = [
            job.uuid.to_sql(),
            job.number.to_sql(),
            job.api.to_sql(),
            job.params.to_sql(),
            job.call_digest.to_sql(),
            job.account_uuid.to_sql(),
            job.session_uuid.to_sql(),
            job.webhook.to_sql(),
            job.origin.to_sql(),
            job.phase.to_sql(),
            job.step.to_sql(),
            job.state.to_sql(),
            job.cancelled_by.to_sql(),
            job.result.to_sql(),
            job.accepted_date.to_sql(),
            job.finished_date.to_sql(),
        ];
        let marks = vec!["?"; values.len()].join(", ");
        let sql = format!("INSERT INTO job ({COLUMNS}) VALUES ({marks})");
        self.connection.prepare_cached(&sql)?.execute(rusqlite::params_from_iter(values))?;
        Ok(())
    }

    /// The job with this id.
    pub fn job(&self, uuid: JobUuid) -> Result<Option<JobRecord>, StoreError> {
        Ok(self.jobs(&format!("SELECT {COLUMNS} FROM job WHERE uuid = ?"), [uuid.to_string()])?.pop())
    }

    /// The jobs that have not ended, in the order of their acceptance.
    pub fn open_jobs(&self) -> Result<Vec<JobRecord>, StoreError> {
        self.jobs(&format!("SELECT {COLUMNS} FROM job WHERE finished_date IS NULL ORDER BY number"), [])
    }

    /// The number of the next job: it comes after all that have not ended.
    pub fn next_job_number(&self) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(max(number), 0) + 1 FROM job WHERE finished_date IS NULL";
        self.connection.prepare_cached(sql)?.query_row([], |row| Ok(column(row, 0)))?
    }

    /// The jobs that have ended and whose result is still to be posted.
    pub fn jobs_to_post(&self) -> Result<Vec<JobUuid>, StoreError> {
        let sql = "SELECT uuid FROM job WHERE webhook IS NOT NULL AND finished_date IS NOT NULL";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        let mut jobs = Vec::new();
        while let Some(row) = rows.next()? {
            jobs.push(column(row, 0)?);
        }
        Ok(jobs)
    }

    /// How a job stands now; nothing where there is no such job.
    pub fn job_standing(&self, uuid: JobUuid) -> Result<Option<JobStanding>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT phase, cancelled_by FROM job WHERE uuid = ?")?;
        let mut rows = statement.query([uuid.to_string()])?;
        let standing = |row: &Row<'_>| Ok(JobStanding { phase: column(row, 0)?, cancelled_by: column(row, 1)? });
        rows.next()?.map(standing).transpose()
    }

    /// Stores who wants a job cancelled.
    pub fn want_job_cancelled(&self, uuid: JobUuid, by: AccountUuid) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE job SET cancelled_by = ?2 WHERE uuid = ?1")?
            .execute([uuid.to_sql(), by.to_sql()])?;
        Ok(())
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

    /// Stores a job's end, its long job's and that of the call included, and gives up what it had for itself. What it was asked and
    /// what its steps found out is no longer needed, and may be secret.
    pub fn finish_job(&self, uuid: JobUuid, phase: JobPhase, result: &Value) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE job SET phase = ?2, result = ?3, finished_date = ?4, params = '{}', state = 'null', session_uuid = NULL
                 WHERE uuid = ?1",
            )?
            .execute(rusqlite::params_from_iter([uuid.to_sql(), phase.to_sql(), result.to_sql(), Timestamp::now().to_sql()]))?;
        self.release_claims(uuid)?;
        self.drop_parts(uuid)?;
        self.end_audit(uuid, phase, result)?;
        self.end_long_job(uuid, phase, result)
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

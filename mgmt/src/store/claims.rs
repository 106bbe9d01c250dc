//! What jobs have for themselves, and what they are deleting.

use gantry_common::id::{AccountUuid, JobUuid};
use rusqlite::OptionalExtension;

use super::{Row, SqlValue, StoreError, Tx, column};
use crate::resource::Declaration;

/// Something that a job has for itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The lock: a resource's id, the ids of an attachment, or another name that jobs lock by.
    pub resource: String,
    /// Whether the job deletes it.
    pub goes: bool,
}

impl Tx<'_> {
    /// Gives a job these claims in place of those that it had.
    ///
    /// # Errors
    /// Another job has one of them.
    pub fn set_claims(&self, job: JobUuid, claims: &[Claim]) -> Result<(), StoreError> {
        self.release_claims(job)?;
        let mut statement =
            self.connection.prepare_cached("INSERT INTO claim (resource, job_uuid, goes) VALUES (?, ?, ?)")?;
        for claim in claims {
            statement.execute((&claim.resource, job.to_string(), claim.goes))?;
        }
        Ok(())
    }

    /// What a job has for itself.
    pub fn claims_of(&self, job: JobUuid) -> Result<Vec<Claim>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT resource, goes FROM claim WHERE job_uuid = ? ORDER BY resource")?;
        let mut rows = statement.query([job.to_string()])?;
        let mut claims = Vec::new();
        while let Some(row) = rows.next()? {
            claims.push(Claim { resource: column(row, 0)?, goes: column(row, 1)? });
        }
        Ok(claims)
    }

    /// Whether a job is deleting this: a resource by its id, or an attachment.
    pub fn is_going(&self, resource: &str) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM claim WHERE resource = ? AND goes")?;
        Ok(statement.query_row([resource], |row| row.get::<_, i64>(0)).optional()?.is_some())
    }

    /// Lets a job's resources stay; it still has them for itself.
    pub fn let_stay(&self, job: JobUuid) -> Result<(), StoreError> {
        self.connection.prepare_cached("UPDATE claim SET goes = 0 WHERE job_uuid = ?")?.execute([job.to_string()])?;
        Ok(())
    }

    pub(super) fn release_claims(&self, job: JobUuid) -> Result<(), StoreError> {
        self.connection.prepare_cached("DELETE FROM claim WHERE job_uuid = ?")?.execute([job.to_string()])?;
        Ok(())
    }

    /// Fails if a row that is to be added refers to what is being deleted, or if the account that it would be owned by is.
    pub(super) fn refuse_if_going(
        &self,
        declaration: &'static Declaration,
        values: &[rusqlite::types::Value],
    ) -> Result<(), StoreError> {
        let anything = self.connection.prepare_cached("SELECT 1 FROM claim WHERE goes LIMIT 1")?.exists([])?;
        if !anything {
            return Ok(());
        }
        if let Some(account) = self.account.filter(|_| declaration.scope.is_owned()) {
            self.refuse_if_account_is_going(account)?;
        }
        let row = Row::new(declaration, Vec::new(), values.to_vec());
        for relation in declaration.references() {
            if let Some(uuid) = row.text(relation.local)
                && self.is_going(uuid)?
            {
                return Err(StoreError::BeingDeleted { resource: relation.target, uuid: uuid.to_owned() });
            }
        }
        Ok(())
    }

    /// Fails if the account is being deleted: it gets nothing any more.
    pub(super) fn refuse_if_account_is_going(&self, account: AccountUuid) -> Result<(), StoreError> {
        let uuid = account.to_string();
        if self.is_going(&uuid)? { Err(StoreError::BeingDeleted { resource: "Account", uuid }) } else { Ok(()) }
    }

    /// Stores the plan of a deletion.
    pub fn insert_parts(&self, job: JobUuid, parts: &[serde_json::Value]) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("INSERT INTO deletion_part (job_uuid, number, part, is_done) VALUES (?, ?, ?, 0)")?;
        for (number, part) in (0_u32..).zip(parts) {
            statement.execute(rusqlite::params_from_iter([job.to_sql(), number.to_sql(), part.to_sql()]))?;
        }
        Ok(())
    }

    /// The parts of a deletion in order: each with whether it is done.
    pub fn parts_of(&self, job: JobUuid) -> Result<Vec<(serde_json::Value, bool)>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT part, is_done FROM deletion_part WHERE job_uuid = ? ORDER BY number")?;
        let mut rows = statement.query([job.to_string()])?;
        let mut parts = Vec::new();
        while let Some(row) = rows.next()? {
            parts.push((column(row, 0)?, column(row, 1)?));
        }
        Ok(parts)
    }

    /// Notes that a part of a deletion is done.
    pub fn finish_part(&self, job: JobUuid, number: u32) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE deletion_part SET is_done = 1 WHERE job_uuid = ? AND number = ?")?
            .execute((job.to_string(), number))?;
        Ok(())
    }

    pub(super) fn drop_parts(&self, job: JobUuid) -> Result<(), StoreError> {
        self.connection.prepare_cached("DELETE FROM deletion_part WHERE job_uuid = ?")?.execute([job.to_string()])?;
        Ok(())
    }
}

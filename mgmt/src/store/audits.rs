//! Writing down calls, no more of them than are wanted.

use gantry_common::id::JobUuid;
use rusqlite::params;
use serde_json::Value;

use super::{JobPhase, SqlValue, StoreError, Tx};
use crate::{
    clock::Timestamp,
    resource::{AuditState, AuditedCall},
};

impl Tx<'_> {
    /// Writes a call down; beyond `most` calls, the oldest is forgotten.
    pub fn record_audit(&self, audit: &AuditedCall, most: u32) -> Result<(), StoreError> {
        self.insert(audit)?;
        self.bound_audits(most)
    }

    /// Writes down how the call ended whose job this is.
    pub(super) fn end_audit(&self, job: JobUuid, phase: JobPhase, result: &Value) -> Result<(), StoreError> {
        let state = if phase == JobPhase::Succeeded { AuditState::Succeeded } else { AuditState::Failed };
        self.connection
            .prepare_cached(
                "UPDATE audit SET state = ?2, error_code = ?3, duration = max(?4 - create_date, 0), last_op_date = ?4,
                     resource_uuids = iif(makes AND ?5 IS NOT NULL AND coalesce(instr(resource_uuids, ?5), 0) = 0,
                                          coalesce(resource_uuids || ',', '') || ?5, resource_uuids)
                 WHERE job_uuid = ?1 AND state = 'Running'",
            )?
            .execute(params![
                job.to_sql(),
                state.to_sql(),
                result["error"]["code"].as_str(),
                Timestamp::now().to_sql(),
                result["inventory"]["uuid"].as_str(),
            ])?;
        Ok(())
    }

    /// Forgets the calls from before the given moment.
    pub fn drop_old_audits(&self, before: Timestamp) -> Result<usize, StoreError> {
        Ok(self.connection.prepare_cached("DELETE FROM audit WHERE create_date < ?")?.execute([before.to_sql()])?)
    }

    /// Forgets the oldest calls, so that no more than `most` are left.
    pub fn bound_audits(&self, most: u32) -> Result<(), StoreError> {
        // They are numbered without gaps, so that it is looked at the first and the last one only.
        self.connection
            .prepare_cached("DELETE FROM audit WHERE rowid <= (SELECT max(rowid) FROM audit) - ?")?
            .execute([most])?;
        Ok(())
    }
}

//! Clean-up that is owed by machines that were away.

use gantry_common::id::{GcJobUuid, HostUuid};

use super::{SqlValue, StoreError, Tx, column};
use crate::{
    clock::Timestamp,
    resource::{GcJob, GcStatus},
};

impl Tx<'_> {
    /// The clean-ups that wait for a machine, in the order in which they were due. Those that it did not do `attempts`
    /// times are left out.
    pub fn owed_cleanups(&self, machine: HostUuid, attempts: u32) -> Result<Vec<GcJobUuid>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT uuid FROM gc_job WHERE machine_uuid = ? AND status = 'Idle' AND attempts < ? ORDER BY rowid",
        )?;
        let mut rows = statement.query((machine.to_string(), attempts))?;
        let mut owed = Vec::new();
        while let Some(row) = rows.next()? {
            owed.push(column(row, 0)?);
        }
        Ok(owed)
    }

    /// The machines that owe a clean-up.
    pub fn owing_machines(&self) -> Result<Vec<HostUuid>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT DISTINCT machine_uuid FROM gc_job WHERE status = 'Idle'")?;
        let mut rows = statement.query([])?;
        let mut machines = Vec::new();
        while let Some(row) = rows.next()? {
            machines.push(column(row, 0)?);
        }
        Ok(machines)
    }

    /// Takes a waiting clean-up in hand. `None` where it does not wait: it is being done, done, or deleted.
    pub fn begin_cleanup(&self, uuid: GcJobUuid) -> Result<Option<GcJob>, StoreError> {
        let taken = self
            .connection
            .prepare_cached(
                "UPDATE gc_job SET status = 'Processing', last_op_date = ?2 WHERE uuid = ?1 AND status = 'Idle'",
            )?
            .execute([uuid.to_sql(), Timestamp::now().to_sql()])?;
        if taken == 0 { Ok(None) } else { self.get::<GcJob>(uuid) }
    }

    /// Lets those clean-ups wait again that were in hand when the node ended.
    pub fn reset_cleanups(&self) -> Result<(), StoreError> {
        self.connection.prepare_cached("UPDATE gc_job SET status = 'Idle' WHERE status = 'Processing'")?.execute([])?;
        Ok(())
    }

    /// Forgets the clean-ups that were done before the given moment.
    pub fn drop_done_cleanups(&self, before: Timestamp) -> Result<usize, StoreError> {
        Ok(self
            .connection
            .prepare_cached("DELETE FROM gc_job WHERE status = ? AND last_op_date < ?")?
            .execute([GcStatus::Done.to_sql(), before.to_sql()])?)
    }

    /// Strikes off all a machine owes: it is being removed for good.
    pub fn forget_cleanups(&self, machine: HostUuid) -> Result<(), StoreError> {
        self.connection.prepare_cached("DELETE FROM gc_job WHERE machine_uuid = ?")?.execute([machine.to_string()])?;
        Ok(())
    }
}

//! Clean-up that is owed by machines that were away.

use gantry_common::id::HostUuid;

use super::{SqlValue, StoreError, Tx};
use crate::clock::Timestamp;

impl Tx<'_> {
    /// Notes a clean-up, to be done when the machine is back.
    pub fn owe_cleanup(&self, machine: HostUuid, command: &serde_json::Value) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT INTO owed_cleanup (machine_uuid, command, create_date) VALUES (?, ?, ?)")?
            .execute((machine.to_string(), command.to_string(), Timestamp::now().millis()))?;
        Ok(())
    }

    /// What a machine owes, oldest first.
    pub fn owed_cleanups(&self, machine: HostUuid) -> Result<Vec<(i64, serde_json::Value)>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, command FROM owed_cleanup WHERE machine_uuid = ? ORDER BY id")?;
        let mut rows = statement.query([machine.to_string()])?;
        let mut owed = Vec::new();
        while let Some(row) = rows.next()? {
            owed.push((row.get(0)?, serde_json::Value::from_sql(row.get_ref(1)?)?));
        }
        Ok(owed)
    }

    /// Strikes a clean-up off.
    pub fn cleanup_done(&self, id: i64) -> Result<(), StoreError> {
        self.connection.prepare_cached("DELETE FROM owed_cleanup WHERE id = ?")?.execute([id])?;
        Ok(())
    }

    /// Strikes off all a machine owes: it is being removed for good.
    pub fn forget_cleanups(&self, machine: HostUuid) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM owed_cleanup WHERE machine_uuid = ?")?
            .execute([machine.to_string()])?;
        Ok(())
    }
}

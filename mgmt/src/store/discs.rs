//! ISO images in drives of VMs.

use gantry_common::id::{ImageUuid, VmUuid};

use super::{StoreError, Tx};
use crate::vm::DISC_TAG;

impl Tx<'_> {
    /// The VMs that have an ISO image in one of their drives.
    pub fn vms_with_disc(&self, image: ImageUuid) -> Result<Vec<VmUuid>, StoreError> {
        // What begins with the prefix, in a form that the index of tags serves: ';' follows ':'.
        let (from, to) = (format!("{DISC_TAG}{image}::"), format!("{DISC_TAG}{image}:;"));
        let mut statement = self.connection.prepare_cached(
            "SELECT DISTINCT resource_uuid FROM system_tag WHERE tag >= ? AND tag < ? ORDER BY resource_uuid",
        )?;
        let uuids = statement.query_map([from, to], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(uuids.iter().filter_map(|uuid| uuid.parse().ok()).collect())
    }
}

//! Numbered changes of the database's form, run in order at start. A number once released never changes.

use rusqlite::Connection;

use super::StoreError;

const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first_tour.sql"),
    include_str!("migrations/0002_durable_jobs.sql"),
    include_str!("migrations/0003_settings.sql"),
    include_str!("migrations/0004_query_indexes.sql"),
    include_str!("migrations/0005_shareable_volumes.sql"),
    include_str!("migrations/0006_discs_and_kept_addresses.sql"),
    include_str!("migrations/0007_image_exports.sql"),
    include_str!("migrations/0008_local_storage.sql"),
    include_str!("migrations/0009_affinity_groups.sql"),
    include_str!("migrations/0010_accounts.sql"),
    include_str!("migrations/0011_consoles.sql"),
    include_str!("migrations/0012_deletion.sql"),
];

/// Brings the database to this program's version, each step in a transaction of its own.
pub fn run(connection: &mut Connection) -> Result<(), StoreError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    for (number, sql) in (1..).zip(MIGRATIONS).skip(usize::try_from(found).unwrap_or_default()) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

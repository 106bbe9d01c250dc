//! One-time tokens by which hosts join.

use gantry_common::id::{ClusterUuid, HostUuid};

use super::{SqlValue, StoreError, Tx, column};
use crate::clock::Timestamp;

/// A token by which one host may join.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinTokenRecord {
    /// Its public name.
    pub id: String,
    /// Its secret, sealed.
    pub sealed_secret: String,
    /// The cluster the host becomes part of; without one it only becomes a machine of this node.
    pub cluster_uuid: Option<ClusterUuid>,
    /// When it ends.
    pub expires_date: Timestamp,
    /// The digest of the key that used it, in hex, and the host it became.
    pub used_by: Option<(String, HostUuid)>,
}

impl Tx<'_> {
    /// Adds a token.
    pub fn insert_join_token(&self, token: &JoinTokenRecord) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT INTO join_token (id, secret, cluster_uuid, expires_date) VALUES (?, ?, ?, ?)")?
            .execute(rusqlite::params_from_iter([
                token.id.to_sql(),
                token.sealed_secret.to_sql(),
                token.cluster_uuid.to_sql(),
                token.expires_date.to_sql(),
            ]))?;
        Ok(())
    }

    /// The token with this name.
    pub fn join_token(&self, id: &str) -> Result<Option<JoinTokenRecord>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, secret, cluster_uuid, expires_date, used_by FROM join_token WHERE id = ?")?;
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let used_by: Option<String> = column(row, 4)?;
        let used_by = used_by.and_then(|text| {
            let (key, host) = text.split_once(' ')?;
            Some((key.to_owned(), host.parse().ok()?))
        });
        Ok(Some(JoinTokenRecord {
            id: column(row, 0)?,
            sealed_secret: column(row, 1)?,
            cluster_uuid: column(row, 2)?,
            expires_date: column(row, 3)?,
            used_by,
        }))
    }

    /// Notes which key used a token, and for which host.
    pub fn use_join_token(&self, id: &str, key: &str, host: HostUuid) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE join_token SET used_by = ?2 WHERE id = ?1")?
            .execute([id.to_owned(), format!("{key} {host}")])?;
        Ok(())
    }

    /// Forgets the tokens that have expired.
    pub fn drop_expired_join_tokens(&self, now: Timestamp) -> Result<usize, StoreError> {
        Ok(self.connection.prepare_cached("DELETE FROM join_token WHERE expires_date <= ?")?.execute([now.to_sql()])?)
    }

    /// Withdraws the tokens by which machines would become hosts of a cluster.
    pub fn drop_join_tokens_of(&self, cluster: ClusterUuid) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM join_token WHERE cluster_uuid = ?")?
            .execute([cluster.to_string()])?;
        Ok(())
    }
}

//! Removing what has expired.

use std::sync::Arc;

use crate::{clock::Timestamp, failure::Failure, node::Node};

/// Removes sessions and tokens that have expired.
pub async fn remove_sessions(node: Arc<Node>) -> Result<(), Failure> {
    let now = Timestamp::now();
    node.store
        .write(move |tx| {
            tx.drop_expired_sessions(now)?;
            tx.drop_expired_join_tokens(now)?;
            tx.drop_expired_console_accesses(now)?;
            Ok(())
        })
        .await
}

/// Removes jobs that ended long ago.
pub async fn remove_jobs(node: Arc<Node>) -> Result<(), Failure> {
    let kept_from = Timestamp::now().minus(node.settings.now().job_expired_period);
    node.store.write(move |tx| tx.drop_finished_jobs(kept_from).map(drop).map_err(Failure::from)).await
}

/// Removes calls from the audit that are old.
pub async fn remove_audits(node: Arc<Node>) -> Result<(), Failure> {
    let settings = node.settings.now();
    let kept_from = Timestamp::now().minus(settings.audit_retention);
    node.store
        .write(move |tx| {
            tx.drop_old_audits(kept_from)?;
            Ok(tx.bound_audits(settings.audit_max)?)
        })
        .await
}

/// Removes notifications that are old.
pub async fn remove_notifications(node: Arc<Node>) -> Result<(), Failure> {
    let settings = node.settings.now();
    let kept_from = Timestamp::now().minus(settings.notification_retention);
    node.store
        .write(move |tx| {
            tx.drop_old_notifications(kept_from)?;
            Ok(tx.bound_notifications(settings.notification_max)?)
        })
        .await
}

//! What the node does by itself, each at an interval that is a setting.

mod expiry;
mod expunge;
mod gc;
mod heartbeat;
mod image_cache;
mod measure;

use std::{sync::Arc, time::Duration};

pub use expunge::{expunge_image, expunge_images, expunge_vm, expunge_vms, expunge_volume, expunge_volumes};
use futures_util::future::BoxFuture;
pub use measure::Unmeasured;
use tokio::time::{Instant, sleep_until};

use crate::{failure::Failure, node::Node, settings::Values};

/// How often it is looked for notifications that are old; each new one keeps their number bounded.
const NOTIFICATION_ROUND: Duration = Duration::from_secs(600);

/// How often it is looked for calls in the audit that are old; each new one keeps their number bounded.
const AUDIT_ROUND: Duration = Duration::from_secs(600);

/// One round of a pass.
type Round = fn(Arc<Node>) -> BoxFuture<'static, Result<(), Failure>>;

/// Something that is done again and again.
struct Pass {
    /// What is done, for the log.
    name: &'static str,
    interval: fn(&Values) -> Duration,
    round: Round,
}

const PASSES: [Pass; 11] = [
    Pass {
        name: "removing expired sessions",
        interval: |settings| settings.session_cleanup_interval,
        round: |node| Box::pin(expiry::remove_sessions(node)),
    },
    Pass {
        name: "removing expired jobs",
        interval: |settings| settings.job_scan_interval,
        round: |node| Box::pin(expiry::remove_jobs(node)),
    },
    Pass {
        name: "expunging destroyed VMs",
        interval: |settings| settings.vm_expunge_interval,
        round: |node| Box::pin(expunge::expunge_vms(node)),
    },
    Pass {
        name: "expunging deleted data volumes",
        interval: |settings| settings.volume_expunge_interval,
        round: |node| Box::pin(expunge::expunge_volumes(node)),
    },
    Pass {
        name: "expunging deleted images",
        interval: |settings| settings.image_expunge_interval,
        round: |node| Box::pin(expunge::expunge_images(node)),
    },
    Pass {
        name: "cleaning up image caches",
        interval: |settings| settings.image_cache_cleanup_interval,
        round: |node| Box::pin(image_cache::clean_up_caches(node)),
    },
    Pass {
        name: "measuring storages",
        interval: |settings| settings.storage_measure_interval,
        round: |node| Box::pin(measure::measure_storages(node)),
    },
    Pass {
        name: "collecting owed clean-up",
        interval: |settings| settings.gc_retry_interval,
        round: |node| Box::pin(gc::collect(node)),
    },
    Pass {
        name: "removing old notifications",
        interval: |_| NOTIFICATION_ROUND,
        round: |node| Box::pin(expiry::remove_notifications(node)),
    },
    Pass {
        name: "removing old calls from the audit",
        interval: |_| AUDIT_ROUND,
        round: |node| Box::pin(expiry::remove_audits(node)),
    },
    Pass {
        name: "noting the node's heartbeat",
        interval: |settings| settings.heartbeat_interval,
        round: |node| Box::pin(heartbeat::beat(node)),
    },
];

/// Begins all passes. They end with the node.
pub fn start(node: &Arc<Node>) {
    for pass in PASSES {
        tokio::spawn(repeat(pass, Arc::downgrade(node), node.settings.changes()));
    }
    let unmeasured = node.unmeasured.clone();
    tokio::spawn(measure::follow_changes(Arc::downgrade(node), unmeasured, node.settings.changes()));
}

async fn repeat(pass: Pass, node: std::sync::Weak<Node>, mut settings: tokio::sync::watch::Receiver<Arc<Values>>) {
    while let Some(node) = node.upgrade() {
        let began = Instant::now();
        if let Err(failure) = (pass.round)(node).await {
            tracing::error!(error = %failure, "{} failed; it is tried again", pass.name);
        }
        // An interval that changes counts for the round that is being waited for.
        loop {
            let interval = (pass.interval)(&settings.borrow_and_update());
            tokio::select! {
                () = sleep_until(began + interval) => break,
                changed = settings.changed() => if changed.is_err() { return },
            }
        }
    }
}

//! 11.6: clean-up that hosts owe.

use gantry_common::{
    error::ErrorKind,
    id::{GcJobUuid, HostUuid},
};

use super::making::require;
use crate::{
    api::{Operation, job, query},
    cleanup::{self, Attempt},
    failure::Failure,
    job::{JobOperation, Run, Step},
    operation,
    resource::{GcJob, GcStatus},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![job::<TriggerGCJob>(), job::<DeleteGCJob>(), query::<QueryGCJob>(GcJob::declaration)]
}

operation! {
    /// Has a host do now what it owes. One that is given up is tried again.
    TriggerGCJob, "11.6.1", Put "/gc-jobs/{uuid}/actions", Job; {
        /// The clean-up.
        uuid: GcJobUuid;
    }
}

impl JobOperation for TriggerGCJob {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("find the clean-up", |tx, run| require::<GcJob>(tx, "uuid", run.params.uuid).map(drop)),
            Step::remote("do the clean-up", |run: Run<Self>| async move {
                match cleanup::attempt(&run.node, run.params.uuid).await? {
                    Attempt::Done => Ok(()),
                    Attempt::NotWaiting => not_waiting(&run).await,
                }
            }),
        ]
    }
}

/// What it means that a clean-up does not wait: done is as good as done now, and one that is being done is left alone.
async fn not_waiting(run: &Run<TriggerGCJob>) -> Result<(), Failure> {
    let uuid = run.params.uuid;
    let known = run.node.store.read(move |tx| Ok::<_, Failure>(tx.get::<GcJob>(uuid)?)).await?;
    match known {
        Some(known) if known.status == GcStatus::Processing => Err(in_hand(&known)),
        _ => Ok(()),
    }
}

fn in_hand(known: &GcJob) -> Failure {
    let details = format!("'{}' is being done now: see QueryGCJob for how it ends", known.name);
    Failure::new(ErrorKind::StateForbids, details)
}

operation! {
    /// Drops a clean-up: what it was to remove stays on the host. A machine whose agent was to go last is forgotten.
    DeleteGCJob, "11.6.2", Delete "/gc-jobs/{uuid}", Job; {
        /// The clean-up.
        uuid: GcJobUuid;
    }
}

impl JobOperation for DeleteGCJob {
    /// The machine that is forgotten with it.
    type State = Option<HostUuid>;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("drop the clean-up", |tx, run| {
                let known = require::<GcJob>(tx, "uuid", run.params.uuid)?;
                if known.status == GcStatus::Processing {
                    return Err(in_hand(&known));
                }
                *run.state = cleanup::drop_owed(tx, &known)?;
                Ok(())
            }),
            Step::remote("forget the machine, where nothing is on it any more", |run: Run<Self>| async move {
                if let Some(machine) = run.state {
                    run.node.fleet.forget(machine).await;
                }
                Ok(run.state)
            }),
        ]
    }
}

operation! {
    /// Queries clean-ups.
    QueryGCJob, "11.6.3", Get "/gc-jobs" | "/gc-jobs/{uuid}", Sync -> [GcJob]; {}
}

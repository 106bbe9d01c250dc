//! Undoing what a job has done, the last step first.

use gantry_common::error::ErrorKind;
use tokio_util::sync::CancellationToken;

use super::{
    JobOperation,
    runner::{Job, caught, encode, insist, number},
    step::{Act, Recording},
};
use crate::{
    failure::Failure,
    store::{JobPhase, JobRecord},
};

impl<O: JobOperation> Job<O> {
    /// Undoes the first `steps` steps, the last one first, and ends the job as failed.
    pub(super) async fn unwind(&self, mut steps: usize, mut state: O::State) -> JobPhase {
        let uuid = self.record.uuid;
        while steps > 0 {
            state = self.undo(steps - 1, state).await;
            steps -= 1;
            let (left, stored) = (number(steps), encode(&state));
            self.store("storing the unwinding", move |tx| {
                tx.advance_job(uuid, JobPhase::Undoing, left, &stored).map_err(Failure::from)
            })
            .await;
        }
        self.store("storing the end", move |tx| {
            let why = tx.job(uuid)?.and_then(|job| job.result);
            let why = why.unwrap_or_else(|| Failure::new(ErrorKind::Internal, "the job failed").to_body());
            tx.finish_job(uuid, JobPhase::Failed, &why).map_err(Failure::from)
        })
        .await;
        JobPhase::Failed
    }

    /// Undoes one step, and tries until that is done.
    async fn undo(&self, step: usize, state: O::State) -> O::State {
        match self.steps.get(step).and_then(|step| step.undo.as_ref()) {
            None => state,
            Some(Act::Remote(work)) => {
                let once = || caught(work, self.at(step, "undo", state.clone(), CancellationToken::new()));
                insist(&format!("undoing '{}' of job {}", self.steps[step].name, self.record.uuid), once).await
            }
            Some(Act::Record(act)) => {
                let (act, node, params) = (*act, self.node.clone(), self.params.clone());
                let JobRecord { uuid: job, account_uuid, session_uuid, origin, .. } = self.record.clone();
                self.store("undoing", move |tx| {
                    let mut left = state.clone();
                    let mut recording = Recording {
                        node: &node,
                        job,
                        account_uuid,
                        session_uuid,
                        origin: origin.as_ref(),
                        params: &*params,
                        state: &mut left,
                    };
                    act(tx, &mut recording)?;
                    Ok(left)
                })
                .await
            }
        }
    }
}

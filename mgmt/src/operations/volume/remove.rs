//! DeleteDataVolume, RecoverDataVolume, ExpungeDataVolume.

use gantry_common::{error::ErrorKind, id::VolumeUuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::making::require,
    create::forget,
    detach::{Detached, give_back, let_go, take, vm_of},
};
use crate::{
    background::expunge_volume,
    cleanup::{Cleanup, clean_up},
    clock::Timestamp,
    failure::Failure,
    job::{FindLocks, JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{MediaStatus, Volume},
    settings::DeletionPolicy,
    store::Tx,
    volume::{VolumeAdmission, VolumeCommand, VolumeFile, admit_volume, status_at_rest},
};

operation! {
    /// Puts a data volume aside, detached from its VM: it can be recovered until it is expunged.
    DeleteDataVolume, "3.2.2", Delete "/volumes/{uuid}", Job; {
        /// The volume.
        uuid: VolumeUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

impl JobOperation for DeleteDataVolume {
    type State = Option<Detached>;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    const FIND_LOCKS: Option<FindLocks<Self>> = Some(|call, tx| vm_of(tx, call.uuid));

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("take the volume from its VM", |tx, run: &mut Recording<'_, Self>| {
                let mut volume = require::<Volume>(tx, "uuid", run.params.uuid)?;
                if admit_volume(&volume, VolumeCommand::Delete)? == VolumeAdmission::Go {
                    *run.state = take(tx, &mut volume)?;
                }
                Ok(())
            })
            .undo_record(|tx, run| give_back(tx, run.params.uuid, *run.state)),
            let_go(|call| call.uuid),
            Step::record("put the volume aside", |tx, run| {
                let mut volume = require::<Volume>(tx, "uuid", run.params.uuid)?;
                if volume.status != MediaStatus::Deleted {
                    volume.status = MediaStatus::Deleted;
                    volume.last_op_date = Timestamp::now();
                    tx.save(&volume)?;
                }
                Ok(())
            }),
            Step::remote("have it expunged, where that is the policy", |run: Run<Self>| async move {
                if run.node.settings.now().volume_deletion_policy == DeletionPolicy::Direct {
                    let (node, volume) = (run.node.clone(), run.params.uuid);
                    // It waits for this job's end.
                    tokio::spawn(async move { expunge_volume(&node, volume).await });
                }
                Ok(run.state)
            }),
        ]
    }
}

operation! {
    /// Takes a deleted data volume back. It is attached to no VM then.
    RecoverDataVolume, "3.2.4", Put "/volumes/{uuid}/actions", Job -> Volume; {
        /// The volume.
        uuid: VolumeUuid;
    }
}

impl JobOperation for RecoverDataVolume {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("take the volume back", |tx, run| {
            let mut volume = require::<Volume>(tx, "uuid", run.params.uuid)?;
            admit_volume(&volume, VolumeCommand::Recover)?;
            volume.status = status_at_rest(&volume);
            volume.last_op_date = Timestamp::now();
            tx.save(&volume)?;
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        inventory_reply::<Volume>(tx, self.uuid)
    }
}

operation! {
    /// Removes a deleted data volume and its file for good.
    ExpungeDataVolume, "3.2.3", Put "/volumes/{uuid}/actions", Job; {
        /// The volume.
        uuid: VolumeUuid;
    }
}

/// The file that is to go.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Expunging {
    file: Option<VolumeFile>,
}

impl JobOperation for ExpungeDataVolume {
    type State = Expunging;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("find its file", |tx, run: &mut Recording<'_, Self>| {
                let volume = require::<Volume>(tx, "uuid", run.params.uuid)?;
                admit_volume(&volume, VolumeCommand::Expunge)?;
                if let Some(vm) = volume.vm_instance_uuid {
                    let details = format!("volume '{}' is Deleted and attached to VM {vm}", volume.name);
                    return Err(Failure::new(ErrorKind::Internal, details));
                }
                run.state.file = VolumeFile::of(tx, &volume)?;
                Ok(())
            }),
            Step::remote("delete its file", |run: Run<Self>| async move {
                if let Some(file) = run.state.file.clone() {
                    clean_up(&run.node, file.host, Cleanup::Volume(file.deletion())).await?;
                }
                Ok(run.state)
            }),
            Step::record("forget the volume", |tx, run| forget(tx, run.params.uuid)),
        ]
    }
}

//! DestroyVmInstance, RecoverVmInstance, ExpungeVmInstance.

use gantry_common::{
    agent::DeleteVolume,
    id::{HostUuid, VmUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::making::require,
    plan::forget_vm,
    run::{set_off, set_state, stop_for_good},
};
use crate::{
    background::expunge_vm,
    cleanup::{Cleanup, clean_up},
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{PrimaryStorage, VmInstance, VmInstanceState, Volume},
    settings::DeletionPolicy,
    store::{SqlValue, Tx},
    vm::{Admission, Command, admit_vm},
};

operation! {
    /// Stops a VM by force and puts it aside: it can be recovered until it is expunged, and keeps its addresses.
    DestroyVmInstance, "3.1.2", Delete "/vm-instances/{uuid}", Job; {
        /// The VM.
        uuid: VmUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

/// Where the VM runs, and the state it had; no state where it is destroyed already.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Destroying {
    host: Option<HostUuid>,
    before: Option<VmInstanceState>,
}

impl JobOperation for DestroyVmInstance {
    type State = Destroying;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("check the VM's state", |tx, run: &mut Recording<'_, Self>| {
                let vm = require::<VmInstance>(tx, "uuid", run.params.uuid)?;
                if let Admission::Go(during) = admit_vm(&vm, Command::Destroy)? {
                    *run.state = Destroying { host: vm.host_uuid, before: Some(vm.state) };
                    set_state(tx, vm.uuid, during)?;
                }
                Ok(())
            })
            .undo_record(|tx, run| {
                run.state.before.map_or(Ok(()), |before| set_state(tx, run.params.uuid, before).map(drop))
            }),
            Step::remote("stop the VM", |run: Run<Self>| async move {
                stop_for_good(&run, run.params.uuid, run.state.host).await?;
                Ok(run.state)
            }),
            Step::record("put the VM aside", |tx, run| match run.state.before {
                Some(_) => set_off(tx, run.params.uuid, VmInstanceState::Destroyed),
                None => Ok(()),
            }),
            Step::remote("have it expunged, where that is the policy", |run: Run<Self>| async move {
                if run.node.settings.now().vm_deletion_policy == DeletionPolicy::Direct {
                    let (node, vm) = (run.node.clone(), run.params.uuid);
                    // It waits for this job's end.
                    tokio::spawn(async move { expunge_vm(&node, vm).await });
                }
                Ok(run.state)
            }),
        ]
    }
}

operation! {
    /// Takes a destroyed VM back.
    RecoverVmInstance, "3.1.3", Put "/vm-instances/{uuid}/actions", Job -> VmInstance; {
        /// The VM.
        uuid: VmUuid;
    }
}

impl JobOperation for RecoverVmInstance {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("take the VM back", |tx, run| {
            let vm = require::<VmInstance>(tx, "uuid", run.params.uuid)?;
            if let Admission::Go(next) = admit_vm(&vm, Command::Recover)? {
                set_state(tx, vm.uuid, next)?;
            }
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        inventory_reply::<VmInstance>(tx, self.uuid)
    }
}

operation! {
    /// Removes a destroyed VM, its volumes and its addresses for good.
    ExpungeVmInstance, "3.1.4", Put "/vm-instances/{uuid}/actions", Job; {
        /// The VM.
        uuid: VmUuid;
    }
}

/// The files that are to go.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Expunging {
    host: Option<HostUuid>,
    files: Vec<(HostUuid, DeleteVolume)>,
}

impl JobOperation for ExpungeVmInstance {
    type State = Expunging;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("find its volumes", |tx, run: &mut Recording<'_, Self>| {
                let vm = require::<VmInstance>(tx, "uuid", run.params.uuid)?;
                if let Admission::Go(during) = admit_vm(&vm, Command::Expunge)? {
                    run.state.files = files_of(tx, vm.uuid)?;
                    run.state.host = vm.last_host_uuid;
                    set_state(tx, vm.uuid, during)?;
                }
                Ok(())
            })
            .undo_record(|tx, run| set_state(tx, run.params.uuid, VmInstanceState::Destroyed).map(drop)),
            Step::remote("delete its volumes", |run: Run<Self>| async move {
                // Whatever the record says: nothing may still write to a file that is deleted.
                stop_for_good(&run, run.params.uuid, run.state.host).await?;
                for (host, command) in run.state.files.clone() {
                    clean_up(&run.node, host, Cleanup::Volume(command)).await?;
                }
                run.node.looks.forget(run.params.uuid);
                Ok(run.state)
            }),
            Step::record("forget the VM", |tx, run| forget_vm(tx, run.params.uuid)),
        ]
    }
}

fn files_of(tx: &Tx<'_>, vm: VmUuid) -> Result<Vec<(HostUuid, DeleteVolume)>, Failure> {
    let mut files = Vec::new();
    for volume in tx.find::<Volume>(&[("vm_instance_uuid", vm.to_sql())])? {
        let (Some(host), Some(path), Some(storage)) =
            (volume.host_uuid, volume.install_path, volume.primary_storage_uuid)
        else {
            continue;
        };
        let root = require::<PrimaryStorage>(tx, "primaryStorageUuid", storage)?.url;
        files.push((host, DeleteVolume { root, path }));
    }
    Ok(files)
}

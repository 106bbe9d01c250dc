//! DestroyVmInstance, RecoverVmInstance, ExpungeVmInstance.

use gantry_common::id::{HostUuid, VmUuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::making::require,
    plan::{detach_data_volumes, forget_vm},
    run::{set_off, set_state, stop_for_good},
};
use crate::{
    background::expunge_vm,
    cleanup::{Cleanup, clean_up},
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{VmInstance, VmInstanceState, Volume},
    settings::DeletionPolicy,
    store::Tx,
    vm::{Admission, Command, admit_vm},
    volume::VolumeFile,
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
    /// Removes a destroyed VM, its root volume and its addresses for good. Its data volumes are detached and stay.
    ExpungeVmInstance, "3.1.4", Put "/vm-instances/{uuid}/actions", Job; {
        /// The VM.
        uuid: VmUuid;
    }
}

/// The files that are to go.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Expunging {
    host: Option<HostUuid>,
    files: Vec<VolumeFile>,
}

impl JobOperation for ExpungeVmInstance {
    type State = Expunging;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("find its root volume", |tx, run: &mut Recording<'_, Self>| {
                let vm = require::<VmInstance>(tx, "uuid", run.params.uuid)?;
                if let Admission::Go(during) = admit_vm(&vm, Command::Expunge)? {
                    run.state.files = root_file(tx, &vm)?.into_iter().collect();
                    run.state.host = vm.last_host_uuid;
                    set_state(tx, vm.uuid, during)?;
                }
                Ok(())
            })
            .undo_record(|tx, run| set_state(tx, run.params.uuid, VmInstanceState::Destroyed).map(drop)),
            Step::remote("delete its root volume", |run: Run<Self>| async move {
                // Whatever the record says: nothing may still write to a file that is deleted.
                stop_for_good(&run, run.params.uuid, run.state.host).await?;
                for file in run.state.files.clone() {
                    clean_up(&run.node, file.host, Cleanup::Volume(file.deletion())).await?;
                }
                run.node.looks.forget(run.params.uuid);
                Ok(run.state)
            }),
            Step::record("forget the VM", |tx, run| {
                detach_data_volumes(tx, run.params.uuid)?;
                forget_vm(tx, run.params.uuid)
            }),
        ]
    }
}

fn root_file(tx: &Tx<'_>, vm: &VmInstance) -> Result<Option<VolumeFile>, Failure> {
    let root = vm.root_volume_uuid.map(|root| tx.get::<Volume>(root)).transpose()?.flatten();
    Ok(root.map(|root| VolumeFile::of(tx, &root)).transpose()?.flatten())
}

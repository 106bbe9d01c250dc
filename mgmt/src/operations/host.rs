//! 4.3: hosts.

use gantry_common::{
    error::ErrorKind,
    id::{ClusterUuid, HostUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::making::{made, put_tags, readable_name, require};
use crate::{
    api::{Operation, job, query},
    clock::Timestamp,
    deletes,
    deletion::deletes,
    failure::Failure,
    hosts::{
        DEFAULT_SSH_PORT, Login, Reaches, Reaching, confirm_agent, forget_machine, prepare_host, reaching_steps,
        record_machine, release_host, unmeasured_host,
    },
    job::{JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{AdminState, Cluster, ConnectionStatus, Host, Machine, VmInstance},
    secret::Secret,
    store::{SqlValue, Tx},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<AddKVMHost>(),
        job::<ChangeHostState>(),
        job::<ReconnectHost>(),
        deletes::<DeleteHost>(),
        query::<QueryHost>(Host::declaration),
    ]
}

operation! {
    /// Makes a machine a KVM host of a cluster, over SSH.
    AddKVMHost, "4.3.9", Post "/hosts/kvm", Job -> Host; {
        /// The SSH user: root, or one who may use sudo.
        username: String, max_length 255, nonempty true;
        /// The user's password.
        password: Secret, max_length 255;
        /// The SSH port.
        ssh_port: Option<u16>, range 1..=65535;
        /// The host's name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The address the node reaches it at.
        management_ip: String, nonempty true;
        /// The cluster.
        cluster_uuid: ClusterUuid;
        /// The id it gets.
        resource_uuid: Option<HostUuid>;
    }
}

impl Reaches for AddKVMHost {
    fn login(&self) -> Login<'_> {
        Login {
            address: &self.management_ip,
            port: self.ssh_port.unwrap_or(DEFAULT_SSH_PORT),
            username: &self.username,
            password: &self.password,
        }
    }
}

/// How far the host is.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Adding {
    reaching: Reaching,
}

impl AsRef<Reaching> for Adding {
    fn as_ref(&self) -> &Reaching {
        &self.reaching
    }
}

impl AsMut<Reaching> for Adding {
    fn as_mut(&mut self) -> &mut Reaching {
        &mut self.reaching
    }
}

impl JobOperation for AddKVMHost {
    type State = Adding;

    fn locks(&self) -> Vec<String> {
        vec![format!("machine {}", self.management_ip)]
    }

    fn steps() -> Vec<Step<Self>> {
        let mut steps = vec![Step::record("record the host", record_host).undo_record(|tx, run| {
            if let Some(host) = run.state.reaching.machine {
                tx.delete::<Host>(host)?;
            }
            forget_machine(tx, &run.state.reaching)
        })];
        steps.extend(reaching_steps());
        steps.extend([
            Step::remote("prepare networks and storages", |run: Run<Self>| async move {
                if let Some(host) = run.state.reaching.machine {
                    prepare_host(&run.node, host).await?;
                }
                Ok(run.state)
            })
            .undo_remote(|run: Run<Self>| async move {
                if let Some(host) = run.state.reaching.machine {
                    release_host(&run.node, host).await;
                }
                Ok(run.state)
            }),
            Step::remote("confirm the agent", confirm_agent::<Self>),
            Step::record("record that the host is connected", |tx, run| {
                let Some(uuid) = run.state.reaching.machine else { return Ok(()) };
                let mut host = require::<Host>(tx, "uuid", uuid)?;
                host.status = require::<Machine>(tx, "uuid", uuid)?.status;
                host.last_op_date = Timestamp::now();
                tx.save(&host)?;
                Ok(())
            }),
        ]);
        steps
    }

    fn reply(&self, tx: &Tx<'_>, state: &Adding) -> Result<Value, Failure> {
        made::<Host>(tx, state.reaching.machine)
    }
}

fn record_host(tx: &Tx<'_>, run: &mut Recording<'_, AddKVMHost>) -> Result<(), Failure> {
    let params = run.params;
    let cluster = require::<Cluster>(tx, "clusterUuid", params.cluster_uuid)?;
    if cluster.hypervisor_type != "KVM" {
        return Err(Failure::argument(
            "clusterUuid",
            cluster.uuid,
            format!("it is a {} cluster: a KVM cluster is needed", cluster.hypervisor_type),
        ));
    }
    let reaching = record_machine(tx, "managementIp", &params.management_ip, params.resource_uuid)?;
    let uuid = reaching.machine.unwrap_or_else(HostUuid::random);
    if let Some(known) = tx.get::<Host>(uuid)? {
        return Err(Failure::new(
            ErrorKind::Duplicate,
            format!(
                "managementIp '{}' is host '{}' ({}) already: use ReconnectHost, or delete it first",
                params.management_ip, known.name, known.uuid
            ),
        ));
    }
    tx.insert(&Host {
        description: params.description.clone(),
        status: ConnectionStatus::Connecting,
        username: params.username.clone(),
        ssh_port: params.ssh_port.unwrap_or(DEFAULT_SSH_PORT),
        ..unmeasured_host(&cluster, uuid, &readable_name(&params.name)?, &params.management_ip)
    })?;
    put_tags::<Host>(tx, uuid, &params.system_tags, &params.user_tags)?;
    run.state.reaching = reaching;
    Ok(())
}

operation! {
    /// Enables or disables a host, or puts it into maintenance.
    ChangeHostState, "4.3.4", Put "/hosts/{uuid}/actions", Job -> Host; {
        /// The host.
        uuid: HostUuid;
        /// What is to happen.
        state_event: String, values &["enable", "disable", "maintain"];
    }
}

impl JobOperation for ChangeHostState {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("change the state", |tx, run| {
            let mut host = require::<Host>(tx, "uuid", run.params.uuid)?;
            host.state = match run.params.state_event.as_str() {
                "enable" => AdminState::Enabled,
                "disable" => AdminState::Disabled,
                _ => {
                    let running = tx.find::<VmInstance>(&[("host_uuid", host.uuid.to_sql())])?;
                    if !running.is_empty() {
                        let names: Vec<String> =
                            running.iter().map(|vm| format!("'{}' ({})", vm.name, vm.uuid)).collect();
                        return Err(Failure::new(
                            ErrorKind::ResourceInUse,
                            format!("host '{}' still runs {}: stop these VMs first", host.name, names.join(", ")),
                        ));
                    }
                    AdminState::Maintenance
                }
            };
            host.last_op_date = Timestamp::now();
            tx.save(&host)?;
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        inventory_reply::<Host>(tx, self.uuid)
    }
}

operation! {
    /// Makes sure that a host is connected, and brings it to what its cluster needs.
    ReconnectHost, "4.3.5", Put "/hosts/{uuid}/actions", Job -> Host; {
        /// The host.
        uuid: HostUuid;
    }
}

/// How long a host that is asked to reconnect may take.
const RECONNECT: std::time::Duration = std::time::Duration::from_secs(15);

impl JobOperation for ReconnectHost {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("find the host", |tx, run| require::<Host>(tx, "uuid", run.params.uuid).map(drop)),
            Step::remote("reconnect", |run: Run<Self>| async move {
                let host = run.params.uuid;
                run.node.fleet.redial_now(host);
                run.node.wait_connected(host, RECONNECT).await?;
                prepare_host(&run.node, host).await
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        inventory_reply::<Host>(tx, self.uuid)
    }
}

operation! {
    /// Deletes a host with the volumes on its local storage and the VMs that have their root volumes there; other VMs on it are
    /// stopped.
    DeleteHost, "4.3.2", Delete "/hosts/{uuid}", Job; {
        /// The host.
        uuid: HostUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

deletes!(DeleteHost of Host);

operation! {
    /// Queries hosts.
    QueryHost, "4.3.1", Get "/hosts" | "/hosts/{uuid}", Sync -> [Host]; {}
}

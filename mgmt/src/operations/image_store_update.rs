//! 4.5.14.4: an image store gets another name, another address, another login.

use std::time::Duration;

use gantry_common::{
    error::ErrorKind,
    id::{BackupStorageUuid, HostUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{changing::describe, making::require};
use crate::{
    api::{Operation, job},
    clock::Timestamp,
    failure::Failure,
    hosts::fleet::HostEndpoint,
    job::{JobOperation, Recording, Run, Step},
    onboarding::{HostAddress, HostKey, HostSession, SshTarget},
    operation,
    query::inventory_reply,
    resource::{BackupStorage, Host, Machine},
    secret::Secret,
    store::{SqlValue, Tx},
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![job::<UpdateImageStoreBackupStorage>()]
}

/// How long the agent may take to answer at its new address.
const NEW_ADDRESS: Duration = Duration::from_secs(15);

operation! {
    /// Updates an image store. At a new address its own agent must answer; a password is tried on its machine and not kept.
    UpdateImageStoreBackupStorage, "4.5.14.4", Put "/backup-storage/image-store/{uuid}/actions", Job -> BackupStorage; {
        /// The SSH user.
        username: Option<String>, max_length 255;
        /// The user's password.
        password: Option<Secret>, max_length 255;
        /// The machine's address; that of everything else on the machine changes with it.
        hostname: Option<String>, max_length 255;
        /// The SSH port.
        ssh_port: Option<u16>, range 1..=65_535;
        /// The backup storage.
        uuid: BackupStorageUuid;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
    }
}

/// What is to change on the machine.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Updating {
    machine: Option<HostUuid>,
    port: u16,
    host_key: Option<String>,
    before: String,
    /// The new address, where it is another one.
    after: Option<String>,
    username: String,
    ssh_port: u16,
}

impl Updating {
    fn endpoint(&self, address: &str) -> Option<HostEndpoint> {
        self.machine.map(|host| HostEndpoint { host, address: address.to_owned(), port: self.port })
    }
}

impl JobOperation for UpdateImageStoreBackupStorage {
    type State = Updating;

    fn locks(&self) -> Vec<String> {
        let mut locks = vec![self.uuid.to_string()];
        locks.extend(self.hostname.iter().map(|hostname| format!("machine {hostname}")));
        locks
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("see what changes", plan),
            Step::remote("log in", |run: Run<Self>| async move {
                log_in(&run).await?;
                Ok(run.state)
            }),
            Step::remote("reach the agent at its new address", |run: Run<Self>| async move {
                if let Some(address) = &run.state.after
                    && let Some(endpoint) = run.state.endpoint(address)
                {
                    let machine = endpoint.host;
                    run.node.fleet.watch(endpoint);
                    run.node.fleet.redial_now(machine);
                    run.node.wait_connected(machine, NEW_ADDRESS).await?;
                }
                Ok(run.state)
            })
            .undo_remote(|run: Run<Self>| async move {
                if let (Some(_), Some(endpoint)) = (&run.state.after, run.state.endpoint(&run.state.before)) {
                    run.node.fleet.watch(endpoint);
                }
                Ok(run.state)
            }),
            Step::record("record the change", record),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Updating) -> Result<Value, Failure> {
        inventory_reply::<BackupStorage>(tx, self.uuid)
    }
}

fn plan(tx: &Tx<'_>, run: &mut Recording<'_, UpdateImageStoreBackupStorage>) -> Result<(), Failure> {
    let params = run.params;
    let storage = require::<BackupStorage>(tx, "uuid", params.uuid)?;
    if params.username.as_deref() == Some("") {
        return Err(Failure::argument("username", "", "a user's name is needed: root, or one who may use sudo"));
    }
    let machine = require::<Machine>(tx, "machineUuid", storage.machine_uuid)?;
    let after = match &params.hostname {
        Some(hostname) => {
            let address: HostAddress =
                hostname.parse().map_err(|error| Failure::argument("hostname", hostname, error))?;
            let address = address.to_string();
            if let Some(other) = tx.find::<Machine>(&[("address", address.to_sql())])?.pop()
                && other.uuid != machine.uuid
            {
                let remedy = "another machine of this node is there: add a backup storage there instead";
                return Err(Failure::argument("hostname", hostname, remedy));
            }
            Some(address).filter(|address| *address != machine.address)
        }
        None => None,
    };
    *run.state = Updating {
        machine: Some(machine.uuid),
        port: machine.port,
        host_key: machine.host_key,
        before: machine.address,
        after,
        username: params.username.clone().unwrap_or(storage.username),
        ssh_port: params.ssh_port.unwrap_or(storage.ssh_port),
    };
    Ok(())
}

/// Tries the password, where there is one.
async fn log_in(run: &Run<UpdateImageStoreBackupStorage>) -> Result<(), Failure> {
    let Some(password) = run.params.password.clone() else { return Ok(()) };
    let state = &run.state;
    let address = state.after.as_ref().unwrap_or(&state.before);
    let address = address.parse().map_err(|error| Failure::argument("hostname", address, error))?;
    let target = SshTarget { address, port: state.ssh_port, username: state.username.clone(), password };
    let pinned: Option<HostKey> = match &state.host_key {
        Some(key) => {
            Some(key.parse().map_err(|_| Failure::new(ErrorKind::Internal, "the stored host key cannot be read"))?)
        }
        None => None,
    };
    HostSession::connect(target, pinned.as_ref()).await?.close().await;
    Ok(())
}

fn record(tx: &Tx<'_>, run: &mut Recording<'_, UpdateImageStoreBackupStorage>) -> Result<(), Failure> {
    let (params, state) = (run.params, &*run.state);
    let now = Timestamp::now();
    let mut storage = require::<BackupStorage>(tx, "uuid", params.uuid)?;
    describe((&mut storage.name, params.name.as_deref()), (&mut storage.description, params.description.as_deref()))?;
    storage.username = state.username.clone();
    storage.ssh_port = state.ssh_port;
    storage.last_op_date = now;
    if let Some(hostname) = &params.hostname {
        storage.hostname = hostname.clone();
    }
    tx.save(&storage)?;
    let (Some(address), Some(machine)) = (&state.after, state.machine) else { return Ok(()) };
    // One agent, one address: of the machine, of a host that it is, and of its other backup storages.
    let known = require::<Machine>(tx, "machineUuid", machine)?;
    tx.save(&Machine { address: address.clone(), ..known })?;
    if let Some(host) = tx.get::<Host>(machine)? {
        tx.save(&Host { management_ip: address.clone(), last_op_date: now, ..host })?;
    }
    for other in tx.find::<BackupStorage>(&[("machine_uuid", machine.to_sql())])? {
        if other.uuid != params.uuid {
            tx.save(&BackupStorage { hostname: address.clone(), last_op_date: now, ..other })?;
        }
    }
    Ok(())
}

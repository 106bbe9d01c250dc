//! 4.5.14.4: an image store gets another name, another address, another login.

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
    hosts::{Login, fleet::HostEndpoint, follow_machine, move_machine, try_login},
    job::{FindLocks, JobOperation, Recording, Run, Step},
    onboarding::HostAddress,
    operation,
    query::inventory_reply,
    resource::{BackupStorage, Machine},
    secret::Secret,
    store::{SqlValue, Tx},
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![job::<UpdateImageStoreBackupStorage>()]
}

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
    /// Where the agent is to be reached, where that changes.
    fn endpoint(&self) -> Option<HostEndpoint> {
        let (host, address) = self.machine.zip(self.after.clone())?;
        Some(HostEndpoint { host, address, port: self.port })
    }
}

impl JobOperation for UpdateImageStoreBackupStorage {
    type State = Updating;

    fn locks(&self) -> Vec<String> {
        let mut locks = vec![self.uuid.to_string()];
        locks.extend(self.hostname.iter().map(|hostname| format!("machine {hostname}")));
        locks
    }

    /// The machine may be a host, too, whose address is another one's to change.
    const FIND_LOCKS: Option<FindLocks<Self>> = Some(|update, tx| {
        let storage = tx.get::<BackupStorage>(update.uuid)?;
        Ok(storage.iter().map(|storage| storage.machine_uuid.to_string()).collect())
    });

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("see what changes", plan),
            Step::remote("try the address and the login", |run: Run<Self>| async move {
                try_both(&run).await?;
                Ok(run.state)
            }),
            Step::record("record the change", record),
            Step::remote("follow the machine to its address", |run: Run<Self>| async move {
                if let Some(endpoint) = run.state.endpoint() {
                    follow_machine(&run.node, endpoint).await;
                }
                Ok(run.state)
            }),
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

/// Tries what is to change. Until it is known to fit, the machine is reached where it was.
async fn try_both(run: &Run<UpdateImageStoreBackupStorage>) -> Result<(), Failure> {
    let state = &run.state;
    if let Some(endpoint) = state.endpoint() {
        run.node.fleet.try_endpoint(&endpoint).await.map_err(|error| {
            let details = format!("hostname '{}' is not usable: {error}", endpoint.address);
            Failure::new(ErrorKind::HostUnreachable, details)
        })?;
    }
    let Some(password) = &run.params.password else { return Ok(()) };
    let address = state.after.as_ref().unwrap_or(&state.before);
    let login = Login { address, port: state.ssh_port, username: &state.username, password };
    try_login(&login, state.host_key.as_deref()).await
}

fn record(tx: &Tx<'_>, run: &mut Recording<'_, UpdateImageStoreBackupStorage>) -> Result<(), Failure> {
    let (params, state) = (run.params, &*run.state);
    if let Some((machine, address)) = state.machine.zip(state.after.as_ref()) {
        move_machine(tx, machine, address)?;
    }
    let mut storage = require::<BackupStorage>(tx, "uuid", params.uuid)?;
    describe((&mut storage.name, params.name.as_deref()), (&mut storage.description, params.description.as_deref()))?;
    storage.username = state.username.clone();
    storage.ssh_port = state.ssh_port;
    storage.last_op_date = Timestamp::now();
    if let Some(hostname) = &params.hostname {
        storage.hostname = hostname.clone();
    }
    tx.save(&storage)?;
    Ok(())
}

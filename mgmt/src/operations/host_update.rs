//! 4.3.3 and 4.3.8: what is known of a host, and where it is reached.

use gantry_common::{error::ErrorKind, id::HostUuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{changing::describe, making::require};
use crate::{
    api::{Declaration, Declared, Operation, job},
    failure::Failure,
    hosts::{Login, fleet::HostEndpoint, follow_machine, move_machine, try_login},
    job::{JobOperation, Recording, Run, Step},
    onboarding::HostAddress,
    operation,
    query::inventory_reply,
    resource::{Host, Machine},
    secret::Secret,
    store::{SqlValue, Tx},
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![job::<Updating<UpdateHost>>(), job::<Updating<UpdateKVMHost>>()]
}

operation! {
    /// Gives a host another name, description or address. At the new address the host's own agent must answer.
    UpdateHost, "4.3.3", Put "/hosts/{uuid}/actions", Job -> Host; {
        /// The host.
        uuid: HostUuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The address the node reaches it at.
        management_ip: Option<String>, max_length 255, nonempty true;
    }
}

operation! {
    /// As UpdateHost, and the SSH login too. A password is not kept: it is tried, and the rest changes only if it fits.
    UpdateKVMHost, "4.3.8", Put "/hosts/kvm/{uuid}/actions", Job -> Host; {
        /// The SSH user: root, or one who may use sudo.
        username: Option<String>, max_length 255, nonempty true;
        /// The user's password.
        password: Option<Secret>, max_length 255;
        /// The SSH port.
        ssh_port: Option<u16>, range 1..=65_535;
        /// The host.
        uuid: HostUuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The address the node reaches it at.
        management_ip: Option<String>, max_length 255, nonempty true;
    }
}

/// What is to be changed of a host.
#[derive(Debug, Default)]
struct Changes<'a> {
    name: Option<&'a str>,
    description: Option<&'a str>,
    management_ip: Option<&'a str>,
    username: Option<&'a str>,
    ssh_port: Option<u16>,
    password: Option<&'a Secret>,
}

/// An operation that updates a host.
trait UpdatesHost: Declared {
    fn host(&self) -> HostUuid;
    fn changes(&self) -> Changes<'_>;
}

impl UpdatesHost for UpdateHost {
    fn host(&self) -> HostUuid {
        self.uuid
    }

    fn changes(&self) -> Changes<'_> {
        Changes {
            name: self.name.as_deref(),
            description: self.description.as_deref(),
            management_ip: self.management_ip.as_deref(),
            ..Changes::default()
        }
    }
}

impl UpdatesHost for UpdateKVMHost {
    fn host(&self) -> HostUuid {
        self.uuid
    }

    fn changes(&self) -> Changes<'_> {
        Changes {
            name: self.name.as_deref(),
            description: self.description.as_deref(),
            management_ip: self.management_ip.as_deref(),
            username: self.username.as_deref(),
            ssh_port: self.ssh_port,
            password: self.password.as_ref(),
        }
    }
}

/// The job of an operation that updates a host.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
struct Updating<U>(U);

/// The host as it was, and as it is to be.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Planned {
    /// Where it is to be reached, if that changes.
    address: Option<String>,
    /// How it is logged in to, should a password be tried.
    login: Option<(String, u16)>,
    host_key: Option<String>,
    agent_port: u16,
}

impl<U: UpdatesHost> Declared for Updating<U> {
    fn declaration() -> &'static Declaration {
        U::declaration()
    }
}

impl<U: UpdatesHost> JobOperation for Updating<U> {
    type State = Planned;

    fn locks(&self) -> Vec<String> {
        let address = self.0.changes().management_ip.map(|address| format!("machine {address}"));
        [self.0.host().to_string()].into_iter().chain(address).collect()
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("check what is to change", plan),
            Step::remote("try the address and the login", |run: Run<Self>| async move {
                try_both(&run).await?;
                Ok(run.state)
            }),
            Step::record("record it", record),
            Step::remote("follow the host to its address", |run: Run<Self>| async move {
                if let Some(address) = &run.state.address {
                    follow_machine(&run.node, endpoint(run.params.0.host(), address, run.state.agent_port)).await;
                }
                Ok(run.state)
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Planned) -> Result<Value, Failure> {
        inventory_reply::<Host>(tx, self.0.host())
    }
}

fn endpoint(host: HostUuid, address: &str, port: u16) -> HostEndpoint {
    HostEndpoint { host, address: address.to_owned(), port }
}

fn plan<U: UpdatesHost>(tx: &Tx<'_>, run: &mut Recording<'_, Updating<U>>) -> Result<(), Failure> {
    let changes = run.params.0.changes();
    let mut host = require::<Host>(tx, "uuid", run.params.0.host())?;
    let machine = require::<Machine>(tx, "uuid", host.uuid)?;
    describe((&mut host.name, changes.name), (&mut host.description, changes.description))?;
    if let Some(wanted) = changes.management_ip {
        let address: HostAddress = wanted.parse().map_err(|error| Failure::argument("managementIp", wanted, error))?;
        let address = address.to_string();
        let other = tx.find::<Machine>(&[("address", address.to_sql())])?.pop().filter(|other| other.uuid != host.uuid);
        if let Some(other) = other {
            let details =
                format!("managementIp '{address}' is that of another machine, {}: choose the host's own", other.uuid);
            return Err(Failure::new(ErrorKind::Duplicate, details));
        }
        run.state.address = Some(address).filter(|address| *address != machine.address);
    }
    if changes.password.is_some() {
        let username = changes.username.unwrap_or(&host.username).to_owned();
        run.state.login = Some((username, changes.ssh_port.unwrap_or(host.ssh_port)));
    }
    run.state.host_key = machine.host_key;
    run.state.agent_port = machine.port;
    Ok(())
}

async fn try_both<U: UpdatesHost>(run: &Run<Updating<U>>) -> Result<(), Failure> {
    let host = run.params.0.host();
    let changes = run.params.0.changes();
    if let Some(address) = &run.state.address {
        run.node.fleet.try_endpoint(&endpoint(host, address, run.state.agent_port)).await.map_err(|error| {
            let details = format!("managementIp '{address}' is not usable: {error}");
            Failure::new(ErrorKind::HostUnreachable, details)
        })?;
    }
    if let (Some((username, port)), Some(password)) = (&run.state.login, changes.password) {
        let known = run.node.store.read(move |tx| require::<Host>(tx, "uuid", host)).await?;
        let address = run.state.address.as_ref().unwrap_or(&known.management_ip);
        let login = Login { address, port: *port, username, password };
        try_login(&login, run.state.host_key.as_deref()).await?;
    }
    Ok(())
}

fn record<U: UpdatesHost>(tx: &Tx<'_>, run: &mut Recording<'_, Updating<U>>) -> Result<(), Failure> {
    let changes = run.params.0.changes();
    if let Some(address) = &run.state.address {
        move_machine(tx, run.params.0.host(), address)?;
    }
    let mut host = require::<Host>(tx, "uuid", run.params.0.host())?;
    describe((&mut host.name, changes.name), (&mut host.description, changes.description))?;
    if let Some(username) = changes.username {
        username.clone_into(&mut host.username);
    }
    host.ssh_port = changes.ssh_port.unwrap_or(host.ssh_port);
    let uuid = host.uuid;
    tx.save(&host)?;
    Ok(tx.touch::<Host>(uuid)?)
}

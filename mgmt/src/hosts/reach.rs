//! Bringing the agent to a machine over SSH: the steps that AddKVMHost and AddImageStoreBackupStorage share.

use std::time::Duration;

use gantry_common::{
    agent::{DEFAULT_PORT, Retire},
    error::ErrorKind,
    host_check::HostPolicy,
    id::HostUuid,
};
use serde::{Deserialize, Serialize};

use super::fleet::HostEndpoint;
use crate::{
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Run, Step},
    onboarding::{AgentProgram, Deployment, HostAddress, HostKey, HostSession, OnboardingError, SshTarget},
    resource::{BackupStorage, ConnectionStatus, Host, Machine},
    secret::Secret,
    store::{SqlValue, Tx},
};

/// How long a freshly started agent may take to connect.
const FIRST_CONNECTION: Duration = Duration::from_secs(30);

/// The unit that the agent runs as.
const UNIT: &str = include_str!("../../../systemd/gantry-agent.service");

/// The SSH port of callers that name none.
pub const DEFAULT_SSH_PORT: u16 = 22;

/// How a machine is logged in to.
pub struct Login<'a> {
    /// Its address.
    pub address: &'a str,
    /// Its SSH port.
    pub port: u16,
    /// The user.
    pub username: &'a str,
    /// The user's password.
    pub password: &'a Secret,
}

/// An operation that brings the agent to a machine.
pub trait Reaches: JobOperation
where
    Self::State: AsMut<Reaching> + AsRef<Reaching>,
{
    /// How the machine is logged in to.
    fn login(&self) -> Login<'_>;
}

/// How far a machine is.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Reaching {
    /// The machine.
    pub machine: Option<HostUuid>,
    /// Whether the operation recorded it, and has to forget it when it fails.
    pub is_new: bool,
    host_key: Option<String>,
}

impl From<OnboardingError> for Failure {
    fn from(error: OnboardingError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

/// Records the machine at an address, unless it is one of this node's already.
pub fn record_machine(
    tx: &Tx<'_>,
    parameter: &str,
    address: &str,
    wanted: Option<HostUuid>,
) -> Result<Reaching, Failure> {
    let address: HostAddress = address.parse().map_err(|error| Failure::argument(parameter, address, error))?;
    let address = address.to_string();
    if let Some(known) = tx.find::<Machine>(&[("address", address.to_sql())])?.pop() {
        return Ok(Reaching { machine: Some(known.uuid), is_new: false, host_key: known.host_key });
    }
    let uuid = wanted.unwrap_or_else(HostUuid::random);
    if tx.get::<Machine>(uuid)?.is_some() {
        return Err(Failure::new(
            ErrorKind::Duplicate,
            format!("resourceUuid '{uuid}' is the id of another machine: choose another one"),
        ));
    }
    tx.insert(&Machine {
        uuid,
        address,
        port: DEFAULT_PORT,
        host_key: None,
        status: ConnectionStatus::Connecting,
        status_reason: None,
        facts: None,
        foreign_domains: serde_json::json!([]),
        create_date: Timestamp::now(),
    })?;
    Ok(Reaching { machine: Some(uuid), is_new: true, host_key: None })
}

/// Forgets the machine again, if the operation recorded it.
pub fn forget_machine(tx: &Tx<'_>, reaching: &Reaching) -> Result<(), Failure> {
    match reaching.machine {
        Some(machine) if reaching.is_new => {
            tx.forget_cleanups(machine)?;
            Ok(tx.delete::<Machine>(machine)?)
        }
        _ => Ok(()),
    }
}

/// The steps that bring the agent to a recorded machine and connect it.
pub fn reaching_steps<O: Reaches>() -> Vec<Step<O>>
where
    O::State: AsMut<Reaching> + AsRef<Reaching>,
{
    vec![
        Step::remote("check the machine", check_machine::<O>).cancellable(),
        Step::remote("bring the agent", deploy_agent::<O>).undo_remote(withdraw_agent::<O>).cancellable(),
        Step::record("pin the machine's key", |tx, run| pin_host_key(tx, (*run.state).as_ref())),
        Step::remote("wait for the agent", connect_agent::<O>).cancellable(),
    ]
}

/// Logs in, checks everything and installs what is missing. A machine whose agent is connected needs none of this.
async fn check_machine<O: Reaches>(mut run: Run<O>) -> Result<O::State, Failure>
where
    O::State: AsMut<Reaching> + AsRef<Reaching>,
{
    let Some(machine) = needs_visit(&run) else { return Ok(run.state) };
    let session = visit(&run).await?;
    let program = AgentProgram::open(&run.node.config.agent_binary).await?;
    let policy = HostPolicy {
        allow_emulation: run.node.config.allow_emulation,
        node: Some(run.node.uuid),
        host: Some(machine),
        agent_port: DEFAULT_PORT,
        agent_architecture: std::env::consts::ARCH.to_owned(),
        agent_bytes: program.size_bytes(),
        clock_epoch_seconds: None,
    };
    let checked = session.check(&policy).await?;
    for finding in &checked.findings {
        tracing::debug!(%machine, ?finding, "host check");
    }
    if !checked.plan.is_empty() {
        session.install(&checked.plan).await?;
    }
    run.state.as_mut().host_key = Some(session.host_key().to_string());
    session.close().await;
    Ok(run.state)
}

/// Puts the agent in place and starts it.
async fn deploy_agent<O: Reaches>(run: Run<O>) -> Result<O::State, Failure>
where
    O::State: AsMut<Reaching> + AsRef<Reaching>,
{
    let Some(machine) = needs_visit(&run) else { return Ok(run.state) };
    let session = visit(&run).await?;
    let program = AgentProgram::open(&run.node.config.agent_binary).await?;
    let identity =
        run.node.authority.issue_host(machine).map_err(|error| Failure::new(ErrorKind::Internal, error.to_string()))?;
    let config = agent_config(&run, machine);
    session
        .deploy(&Deployment {
            node: run.node.uuid,
            program: &program,
            config_toml: &config,
            ca_pem: &identity.ca_pem,
            certificate_pem: &identity.certificate_pem,
            key_pem: &Secret::new(identity.key_pem.as_str()),
            unit: UNIT,
        })
        .await?;
    session.close().await;
    Ok(run.state)
}

/// Takes the agent away again.
async fn withdraw_agent<O: Reaches>(run: Run<O>) -> Result<O::State, Failure>
where
    O::State: AsMut<Reaching> + AsRef<Reaching>,
{
    let reaching = run.state.as_ref();
    let Some(machine) = reaching.machine.filter(|_| reaching.is_new) else { return Ok(run.state) };
    run.node.fleet.forget(machine).await;
    let withdrawn = match visit(&run).await {
        Ok(session) => {
            let done = session.withdraw(run.node.uuid).await.map(drop).map_err(Failure::from);
            session.close().await;
            done
        }
        Err(failure) => Err(failure),
    };
    if let Err(failure) = withdrawn {
        // The machine cannot be reached: what is on it runs no VM and is replaced when the host is added again.
        tracing::error!(%machine, error = %failure, "the agent could not be taken away from the machine; adding it again cleans up");
    }
    Ok(run.state)
}

/// Waits for the agent's stream.
async fn connect_agent<O: Reaches>(run: Run<O>) -> Result<O::State, Failure>
where
    O::State: AsMut<Reaching> + AsRef<Reaching>,
{
    let Some(machine) = run.state.as_ref().machine else { return Ok(run.state) };
    let known = run.node.store.read(move |tx| Ok::<_, Failure>(tx.get::<Machine>(machine)?)).await?;
    if let Some(known) = known {
        run.node.fleet.watch(HostEndpoint { host: known.uuid, address: known.address, port: known.port });
    }
    run.node.fleet.redial_now(machine);
    run.node.wait_connected(machine, FIRST_CONNECTION).await.map_err(|failure| {
        let details = format!(
            "the agent was started and does not connect: {}; see `journalctl -u gantry-agent` on the host and whether port {DEFAULT_PORT} is open to the node",
            failure.details
        );
        Failure { kind: ErrorKind::HostSetup, ..Failure::new(failure.kind, details) }
    })?;
    Ok(run.state)
}

/// A machine that leaves, with where its agent answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Leaver {
    machine: HostUuid,
    address: String,
    port: u16,
}

/// Takes a machine out of the inventory, unless a host or a backup storage is still on it.
pub fn drop_machine(tx: &Tx<'_>, machine: HostUuid) -> Result<Option<Leaver>, Failure> {
    let in_use =
        tx.get::<Host>(machine)?.is_some() || tx.count::<BackupStorage>(&[("machine_uuid", machine.to_sql())])? > 0;
    let Some(known) = tx.get::<Machine>(machine)?.filter(|_| !in_use) else { return Ok(None) };
    tx.forget_cleanups(machine)?;
    tx.delete::<Machine>(machine)?;
    Ok(Some(Leaver { machine, address: known.address, port: known.port }))
}

/// How long an agent that is to leave is looked for.
const LAST_CALL: Duration = Duration::from_secs(5);

/// Tells a machine's agent that it is this node's no more, and ends the connection. An agent that is away stays as it is.
pub async fn dismiss<O: JobOperation>(run: &Run<O>, leaver: &Leaver) {
    let Leaver { machine, address, port } = leaver.clone();
    run.node.fleet.watch(HostEndpoint { host: machine, address, port });
    let told = match run.node.wait_connected(machine, LAST_CALL).await {
        Ok(()) => run.call(machine, "retire", Retire {}).await,
        Err(failure) => Err(failure),
    };
    if let Err(failure) = told {
        tracing::warn!(%machine, error = %failure, "the agent could not be told that it is this node's no more: end it on the machine with `systemctl disable --now gantry-agent` and delete /etc/gantry/agent.toml");
    }
    run.node.fleet.forget(machine).await;
}

/// Makes the deployment final on the machine, so that nothing is left of what was there before.
pub async fn confirm_agent<O: Reaches>(run: Run<O>) -> Result<O::State, Failure>
where
    O::State: AsMut<Reaching> + AsRef<Reaching>,
{
    let visited = run.state.as_ref().is_new && run.state.as_ref().host_key.is_some();
    if visited {
        let session = visit(&run).await?;
        session.commit(run.node.uuid).await?;
        session.close().await;
    }
    Ok(run.state)
}

/// Records the key that the machine was reached by.
fn pin_host_key(tx: &Tx<'_>, reaching: &Reaching) -> Result<(), Failure> {
    if let (Some(machine), Some(key)) = (reaching.machine, &reaching.host_key)
        && let Some(mut known) = tx.get::<Machine>(machine)?
    {
        known.host_key = Some(key.clone());
        tx.save(&known)?;
    }
    Ok(())
}

fn needs_visit<O: Reaches>(run: &Run<O>) -> Option<HostUuid>
where
    O::State: AsMut<Reaching> + AsRef<Reaching>,
{
    run.state.as_ref().machine.filter(|machine| !run.node.fleet.is_connected(*machine))
}

async fn visit<O: Reaches>(run: &Run<O>) -> Result<HostSession, Failure>
where
    O::State: AsMut<Reaching> + AsRef<Reaching>,
{
    log_in(&run.params.login(), run.state.as_ref().host_key.as_deref()).await
}

/// Logs in to a machine, and out again. One with another key than the pinned one is sent nothing.
pub async fn try_login(login: &Login<'_>, pinned: Option<&str>) -> Result<(), Failure> {
    log_in(login, pinned).await?.close().await;
    Ok(())
}

async fn log_in(login: &Login<'_>, pinned: Option<&str>) -> Result<HostSession, Failure> {
    let address = login.address.parse().map_err(|error| Failure::argument("managementIp", login.address, error))?;
    let target =
        SshTarget { address, port: login.port, username: login.username.to_owned(), password: login.password.clone() };
    let pinned: Option<HostKey> = match pinned {
        Some(key) => {
            Some(key.parse().map_err(|_| Failure::new(ErrorKind::Internal, "the stored host key cannot be read"))?)
        }
        None => None,
    };
    Ok(HostSession::connect(target, pinned.as_ref()).await?)
}

fn agent_config<O: JobOperation>(run: &Run<O>, machine: HostUuid) -> String {
    format!(
        "host_uuid = \"{machine}\"\nnode_uuid = \"{}\"\nlisten = \"[::]:{DEFAULT_PORT}\"\nallow_emulation = {}\n",
        run.node.uuid, run.node.config.allow_emulation
    )
}

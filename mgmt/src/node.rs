//! The management node: everything its parts share, how it starts, and how it talks to its hosts.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use futures_util::future::join_all;
use gantry_common::{
    agent::{CancelOperation, Command},
    error::ErrorKind,
    id::{AccountUuid, HostUuid, NetworkServiceProviderUuid, NodeUuid, OperationId, SessionUuid},
};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{Declaration, Handler, Operation, Router, Turns},
    background::{self, Unmeasured},
    clock::Timestamp,
    config::Config,
    console::{self, Consoles},
    failure::Failure,
    hosts::{
        Looks, Observer, Slots,
        fleet::{CallError, Fleet, HostEndpoint, WaitError},
        pki::Authority,
    },
    job::{self, FailPoint, JobHandler, Jobs},
    notification::Notice,
    operations, password,
    resource::{
        Account, AccountType, ConnectionStatus, Host, Machine, ManagementNode, NetworkServiceProvider, NotificationType,
    },
    seal::Seal,
    secret::Secret,
    settings::{Settings, Values},
    store::{SqlValue, Store, Tx},
};

/// How long a command waits for a host that was just lost to come back.
const RECONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// How long the node's start waits for the hosts that were there when it ended, so that what it resumes, and calls that
/// come at once, find them.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// Logins checked at the same time: each takes much memory and time on purpose.
const LOGIN_SLOTS: usize = 2;

/// The name of the operator's account.
pub const ADMIN: &str = "admin";

/// The management node.
pub struct Node {
    /// Its id; hosts belong to it by this.
    pub uuid: NodeUuid,
    /// The operator's account.
    pub admin: AccountUuid,
    /// What it was started with.
    pub config: Config,
    /// The inventory.
    pub store: Store,
    /// Its global settings.
    pub settings: Arc<Settings>,
    /// Seals secrets in the inventory.
    pub seal: Seal,
    /// Its jobs.
    pub jobs: Jobs,
    /// The connections to its hosts.
    pub fleet: Fleet,
    /// The consoles that are open.
    pub consoles: Consoles,
    /// The newest looks at VMs.
    pub looks: Looks,
    /// Bounds the commands that a host gets at the same time.
    pub slots: Slots,
    /// The machines whose storages are to be measured.
    pub unmeasured: Arc<Unmeasured>,
    /// Its certificate authority.
    pub authority: Arc<Authority>,
    /// Finds the operation that a request means.
    pub router: Router,
    /// Bounds the requests that are at work at the same time.
    pub turns: Turns,
    /// Bounds the logins that are checked at the same time.
    pub login_slots: Semaphore,
    /// A hash that no password fits, checked for unknown names.
    pub decoy_hash: String,
    operations: Vec<Operation>,
    ready: AtomicBool,
}

/// How the node is started.
pub struct Start {
    /// What it is started with.
    pub config: Config,
    /// The operator's password for a new inventory; one is made up where it is left out.
    pub admin_password: Option<String>,
    /// Where tests end it.
    pub failpoint: Option<FailPoint>,
}

impl Node {
    /// Opens or makes the data directory and everything in it. Nothing runs yet.
    pub async fn open(start: Start) -> anyhow::Result<Arc<Self>> {
        let Start { config, admin_password, failpoint } = start;
        let data = config.data.clone();
        make_private_directory(&data)?;
        let store =
            Store::open(&data.join("gantry.db")).with_context(|| format!("{} cannot be opened", data.display()))?;
        let seal = Seal::open_or_create(&data.join("seal.key"))?;
        let authority = Authority::open_or_create(&data.join("pki"))?;
        let uuid = node_uuid(&store).await?;
        let settings = Arc::new(Settings::open(&store).await?);
        let admin = admin_account(&store, &data, admin_password).await?;
        flat_provider(&store).await?;
        join(&store, uuid, config.listen).await?;
        console::record_proxy(&store, uuid).await?;
        let operations = operations::all();
        let next_job = store.read(|tx| tx.next_job_number().map_err(Failure::from)).await?;
        let observer = Arc::new(Observer::default());
        let turns = Turns::new(&config.limits);
        let node = Arc::new(Self {
            uuid,
            admin,
            config,
            store,
            seal,
            settings: settings.clone(),
            jobs: Jobs::new(next_job, failpoint)?,
            fleet: Fleet::new(authority.clone(), observer.clone(), settings)?,
            consoles: Consoles::default(),
            looks: Looks::default(),
            slots: Slots::default(),
            unmeasured: Arc::default(),
            authority,
            router: Router::new(&operations),
            turns,
            login_slots: Semaphore::new(LOGIN_SLOTS),
            decoy_hash: password::hash(&Secret::new(SessionUuid::random().to_string()))?,
            operations,
            ready: AtomicBool::new(false),
        });
        observer.watch_for(&node);
        Ok(node)
    }

    /// Takes up where the node ended: its hosts, its open jobs, the results that had not arrived.
    pub async fn run(self: &Arc<Self>) -> anyhow::Result<()> {
        let mut expected = Vec::new();
        for machine in self.store.write(forget_connections).await? {
            self.fleet.watch(HostEndpoint { host: machine.uuid, address: machine.address, port: machine.port });
            if machine.status == ConnectionStatus::Connected {
                expected.push(self.fleet.wait_connected(machine.uuid, FIRST_LOOK));
            }
        }
        // One that does not come is Disconnected, and its jobs say so.
        join_all(expected).await;
        let jobs = job::resume_jobs(self).await?;
        job::resume_posting(self).await?;
        tracing::info!(node = %self.uuid, open_jobs = jobs, "the node has taken up where it ended");
        self.ready.store(true, Ordering::Release);
        background::start(self);
        Ok(())
    }

    /// Whether the node takes calls.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// How the jobs of an operation are driven.
    pub fn job_handler(&self, api: &str) -> Option<JobHandler> {
        self.job_operation(api).map(|(_, handler)| handler)
    }

    /// The operation with this name, if it answers by job.
    pub fn job_operation(&self, api: &str) -> Option<(&'static Declaration, JobHandler)> {
        let operation = self.operations.iter().find(|operation| operation.declaration.name == api)?;
        match operation.handler {
            Handler::Job(handler) => Some((operation.declaration, handler)),
            Handler::Sync(_) | Handler::Query(_) | Handler::Planned => None,
        }
    }

    /// Has a machine's agent carry out a command. A connection that is lost meanwhile is waited for, and the command
    /// repeated under the same id, so that it is carried out once.
    pub async fn call<C: Command + Clone>(
        &self,
        machine: HostUuid,
        operation: OperationId,
        command: C,
    ) -> Result<C::Reply, Failure> {
        self.call_until(machine, operation, command, &CancellationToken::new()).await
    }

    /// The same; when `cancelled` is, the agent is told to break the command off, and the outcome is what it makes of that.
    pub async fn call_until<C: Command + Clone>(
        &self,
        machine: HostUuid,
        operation: OperationId,
        command: C,
        cancelled: &CancellationToken,
    ) -> Result<C::Reply, Failure> {
        let mut outcome = Box::pin(self.insist(machine, operation, command, cancelled));
        tokio::select! {
            outcome = &mut outcome => return outcome,
            () = cancelled.cancelled() => {}
        }
        // An agent that does not know the command yet will not start it.
        let cancel = CancelOperation { target: operation };
        let never = CancellationToken::new();
        let (told, outcome) = tokio::join!(self.insist(machine, OperationId::random(), cancel, &never), outcome);
        if let Err(failure) = told {
            tracing::warn!(host = %machine, %operation, error = %failure, "the host could not be told to cancel");
        }
        outcome
    }

    async fn insist<C: Command + Clone>(
        &self,
        machine: HostUuid,
        operation: OperationId,
        command: C,
        cancelled: &CancellationToken,
    ) -> Result<C::Reply, Failure> {
        loop {
            // A cancelled command takes no time, and waits for no slot. Nor does one whose host is away.
            let slot = cancelled.run_until_cancelled(self.slots.enter(machine, C::NAME)).await;
            let outcome = self.fleet.call(machine, operation, command.clone()).await;
            drop(slot);
            match outcome {
                Ok(reply) => {
                    self.unmeasured.note::<C>(machine);
                    return Ok(reply);
                }
                Err(CallError::Agent(error)) => return Err(error.into()),
                Err(error @ (CallError::Lost { .. } | CallError::NotConnected { .. })) => {
                    self.fleet.redial_now(machine);
                    if self.fleet.wait_connected(machine, RECONNECT_PATIENCE).await.is_err() {
                        // How it is connected names its address.
                        let details = if self.store.read(|tx| tx.is_operators()).await? {
                            format!(
                                "host {machine} cannot carry out {}: {error}; see QueryHost for its status",
                                C::NAME
                            )
                        } else {
                            format!("host {machine} cannot carry out {}: it is not connected", C::NAME)
                        };
                        return Err(Failure::new(ErrorKind::HostDisconnected, details));
                    }
                }
            }
        }
    }

    /// Waits until a machine's agent is connected.
    pub async fn wait_connected(&self, machine: HostUuid, patience: Duration) -> Result<(), Failure> {
        self.fleet.wait_connected(machine, patience).await.map_err(|error| {
            let kind = match &error {
                WaitError::NotWatched(_) => ErrorKind::Internal,
                WaitError::Timeout { .. } => ErrorKind::HostDisconnected,
            };
            Failure::new(kind, error.to_string())
        })
    }
}

fn make_private_directory(path: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("the data directory {} cannot be made", path.display()))
}

async fn node_uuid(store: &Store) -> Result<NodeUuid, Failure> {
    store
        .write(|tx| {
            if let Some(known) = tx.node_fact("uuid")?.and_then(|text| text.parse().ok()) {
                return Ok(known);
            }
            let uuid = NodeUuid::random();
            tx.set_node_fact("uuid", &uuid.to_string())?;
            Ok(uuid)
        })
        .await
}

/// The operator's account, made with the inventory. A password that nobody gave is written where only root reads it.
async fn admin_account(store: &Store, data: &std::path::Path, password: Option<String>) -> anyhow::Result<AccountUuid> {
    let known =
        store.read(|tx| Ok::<_, Failure>(tx.find::<Account>(&[("name", ADMIN.to_owned().to_sql())])?.pop())).await?;
    if let Some(account) = known {
        return Ok(account.uuid);
    }
    let password = match password {
        Some(password) => password,
        None => {
            let made_up = format!("{}{}", SessionUuid::random(), SessionUuid::random())[..40].to_owned();
            let path = data.join("admin-password");
            write_private_file(&path, &made_up)?;
            tracing::warn!(file = %path.display(), "the password of the account 'admin' was made up and stands in this file");
            made_up
        }
    };
    let now = Timestamp::now();
    let account = Account {
        uuid: AccountUuid::random(),
        name: ADMIN.to_owned(),
        description: None,
        kind: AccountType::SystemAdmin,
        create_date: now,
        last_op_date: now,
        // Clients send the digest, never the password itself.
        password_hash: password::hash(&password::digest(&password))?,
    };
    let uuid = account.uuid;
    store.write(move |tx| tx.insert(&account).map_err(Failure::from)).await?;
    Ok(uuid)
}

fn write_private_file(path: &std::path::Path, text: &str) -> anyhow::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    Ok(file.sync_all()?)
}

/// Records that the node was started.
async fn join(store: &Store, uuid: NodeUuid, listen: SocketAddr) -> Result<(), Failure> {
    let host_name = if listen.ip().is_unspecified() {
        std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
    } else {
        listen.ip().to_string()
    };
    let now = Timestamp::now();
    store
        .write(move |tx| {
            if let Some(before) = tx.get::<ManagementNode>(uuid)? {
                Notice::new(
                    NotificationType::Info,
                    "the management node was away from %s to %s (UTC)",
                    [before.heart_beat.to_string(), now.to_string()],
                )
                .about::<ManagementNode>(uuid)
                .record(tx, &Values::load(tx)?)?;
            }
            tx.reset_cleanups()?;
            tx.drop_lost_cache_claims()?;
            let joined = ManagementNode { uuid, host_name, join_date: now, heart_beat: now };
            if !tx.save(&joined)? {
                tx.insert(&joined)?;
            }
            Ok(())
        })
        .await
}

async fn flat_provider(store: &Store) -> Result<(), Failure> {
    store
        .write(|tx| {
            if tx.count::<NetworkServiceProvider>(&[])? == 0 {
                let now = Timestamp::now();
                tx.insert(&NetworkServiceProvider {
                    uuid: NetworkServiceProviderUuid::random(),
                    name: operations::FLAT_PROVIDER.to_owned(),
                    description: Some("DHCP and user data, served to each guest by its own host".to_owned()),
                    kind: "Flat".to_owned(),
                    network_service_types: json!(operations::FLAT_SERVICES),
                    create_date: now,
                    last_op_date: now,
                })?;
            }
            Ok(())
        })
        .await
}

/// No connection has outlived the node: what was connected is not, until it says so. Answers the machines as they were.
fn forget_connections(tx: &Tx<'_>) -> Result<Vec<Machine>, Failure> {
    for mut host in tx.all::<Host>()? {
        if host.status == ConnectionStatus::Connected {
            host.status = ConnectionStatus::Disconnected;
            tx.save(&host)?;
        }
    }
    let machines = tx.all::<Machine>()?;
    for machine in machines.iter().filter(|machine| machine.status == ConnectionStatus::Connected) {
        tx.save(&Machine { status: ConnectionStatus::Disconnected, ..machine.clone() })?;
    }
    Ok(machines)
}

//! The `gantry-mgmt` program.

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Parser, Subcommand};
use gantry_common::id::ClusterUuid;
use gantry_mgmt::{
    api,
    config::{Config, DEFAULT_FILE, Overrides},
    hosts,
    job::FailPoint,
    node::{Node, Start},
    operations,
    seal::Seal,
    store::Store,
};
use tokio::{net::TcpListener, signal::unix::SignalKind};
use tracing_subscriber::EnvFilter;

/// Gantry's management node.
#[derive(Parser)]
#[command(version)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and run the hosts.
    Serve(ServeArgs),
    /// Make a one-time token with which `gantry-agent join` makes a machine a host.
    Token(TokenArgs),
    /// Print what is carried out of the published reference, by chapter.
    #[command(hide = true)]
    Coverage,
    /// Print the operations as the command-line client carries them with it.
    #[command(hide = true)]
    Catalogue,
}

#[derive(clap::Args)]
struct Common {
    /// The configuration file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The directory of the database, the CA and the keys [default: /var/lib/gantry].
    #[arg(long)]
    data: Option<PathBuf>,
}

#[derive(clap::Args)]
struct ServeArgs {
    #[command(flatten)]
    common: Common,
    /// Where the API is served [default: 0.0.0.0:8080].
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// A file with the password of the account 'admin' for a new inventory; the environment's
    /// `GANTRY_ADMIN_PASSWORD` does the same.
    #[arg(long)]
    admin_password_file: Option<PathBuf>,
    /// Take hosts without hardware virtualisation and emulate their guests.
    #[arg(long)]
    allow_emulation: bool,
    /// The agent program that is brought to hosts [default: gantry-agent beside this program].
    #[arg(long)]
    agent_binary: Option<PathBuf>,
}

#[derive(clap::Args)]
struct TokenArgs {
    #[command(flatten)]
    common: Common,
    /// The cluster that the machine becomes a host of; without it the machine can only hold a backup storage.
    #[arg(long)]
    cluster: Option<ClusterUuid>,
    /// How many minutes the token can be used.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
}

impl Common {
    fn overrides(self) -> Overrides {
        Overrides { data: self.data, ..Overrides::default() }
    }
}

/// The command line over the environment over the file.
fn settings(file: Option<PathBuf>, line: Overrides) -> anyhow::Result<Config> {
    let asked_for = file.is_some();
    let file = Overrides::from_file(&file.unwrap_or_else(|| PathBuf::from(DEFAULT_FILE)), asked_for)?;
    Ok(line.or(Overrides::from_environment()?).or(file).finish())
}

#[tokio::main]
async fn main() -> ExitCode {
    log_to_stderr();
    let done = match Line::parse().command {
        Command::Serve(args) => serve(args).await,
        Command::Token(args) => token(args).await,
        Command::Coverage => {
            print!("{}", operations::coverage_table());
            Ok(())
        }
        Command::Catalogue => operations::catalogue_json().map(|json| print!("{json}")).map_err(Into::into),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The level comes from `GANTRY_LOG`. The journal has its own timestamps.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("GANTRY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().with_ansi(false).init();
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).init();
    }
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    // A second provider in the process would leave rustls without a default.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed before");
    }
    let admin_password = match &args.admin_password_file {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        None => std::env::var("GANTRY_ADMIN_PASSWORD").ok(),
    };
    let failpoint = match std::env::var("GANTRY_FAIL_POINT") {
        Ok(text) => Some(text.parse::<FailPoint>().map_err(anyhow::Error::msg)?),
        Err(_) => None,
    };
    let file = args.common.config.clone();
    let line = Overrides {
        listen: args.listen,
        agent_binary: args.agent_binary,
        allow_emulation: args.allow_emulation.then_some(true),
        ..args.common.overrides()
    };
    let config = settings(file, line)?;
    let listen = config.listen;
    let node = Node::open(Start { config, admin_password, failpoint }).await?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("the API cannot be served on {listen}"))?;
    tracing::info!(listen = %listener.local_addr()?, node = %node.uuid, "serving the API");
    let server = api::serve(listener, api::application(node.clone()), node.config.limits.clone(), stop_signal());
    node.run().await?;
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    tokio::select! {
        () = server => {}
        // A client that keeps its connection must not keep the node.
        () = after_stop_signal(Duration::from_secs(3)) => {}
    }
    node.consoles.stop().await;
    tracing::info!("stopped; open jobs go on at the next start");
    Ok(())
}

async fn stop_signal() {
    let signals =
        (tokio::signal::unix::signal(SignalKind::terminate()), tokio::signal::unix::signal(SignalKind::interrupt()));
    match signals {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        }
        _ => std::future::pending().await,
    }
}

async fn after_stop_signal(patience: Duration) {
    stop_signal().await;
    tokio::time::sleep(patience).await;
}

async fn token(args: TokenArgs) -> anyhow::Result<()> {
    let (file, cluster, minutes) = (args.common.config.clone(), args.cluster, args.minutes);
    let config = settings(file, args.common.overrides())?;
    let store = Store::open(&config.data.join("gantry.db")).with_context(|| {
        format!("{} holds no inventory: has `gantry-mgmt serve` run with it?", config.data.display())
    })?;
    let seal = Seal::open_or_create(&config.data.join("seal.key"))?;
    let token = hosts::new_join_token(&store, &seal, cluster, Duration::from_secs(minutes * 60)).await?;
    println!("{token}");
    Ok(())
}

//! The `gantry-agent` program.

use std::{
    fs,
    io::{self, IsTerminal, Read},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use gantry_agent::{
    check::{self, CheckArgs},
    config::{Config, DEFAULT_PATH},
    image::http_client,
    join::Joining,
    serve,
};
use gantry_common::{
    agent::DEFAULT_PORT,
    id::{HostUuid, NodeUuid},
    join::JoinToken,
};
use reqwest::Url;
use tracing_subscriber::EnvFilter;

/// Gantry's host agent: runs the VMs of one KVM host for its management node.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// The configuration file.
    #[arg(long, global = true, default_value = DEFAULT_PATH)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the management node; this is what the service runs.
    Serve,
    /// Make this host one of a management node's.
    Join(Box<JoinArgs>),
    /// Say whether this machine is fit to be a KVM host, and what to do where it is not.
    Check(CheckArgs),
}

#[derive(Args)]
struct JoinArgs {
    #[command(flatten)]
    token: TokenArgs,
    /// The management node's base URL, such as http://10.0.0.1:8080.
    #[arg(long)]
    server: Url,
    /// The address at which the management node reaches this host, if not the one this request comes from.
    #[arg(long)]
    address: Option<IpAddr>,
    /// The port the agent is to listen on.
    #[arg(long, default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// The address the agent is to listen on.
    #[arg(long, default_value_t = Ipv4Addr::UNSPECIFIED.into())]
    listen: IpAddr,
    /// The directory of the agent's certificate and key [default: /etc/gantry/tls].
    #[arg(long, value_parser = absolute)]
    tls_dir: Option<PathBuf>,
    /// The directory of what outlives a restart of the agent but not of the host [default: /run/gantry].
    #[arg(long, value_parser = absolute)]
    run_dir: Option<PathBuf>,
    /// The directory of the guests' serial logs [default: /var/log/gantry].
    #[arg(long, value_parser = absolute)]
    log_dir: Option<PathBuf>,
    /// Have guests emulated if the processor has no hardware virtualisation.
    #[arg(long)]
    allow_emulation: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct TokenArgs {
    /// The one-time token. Other users of this host can see it while the command runs: prefer the other two ways.
    #[arg(long, env = "GANTRY_JOIN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with the token; `-` is standard input.
    #[arg(long)]
    token_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    // Two workers serve the node's one connection with ease; libvirt's calls have threads of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(64)
        .enable_all()
        .build()
        .context("the runtime")?;
    match cli.command {
        Command::Serve => {
            runtime.block_on(serve::serve(Config::load(&cli.config)?, &cli.config)).map(|()| ExitCode::SUCCESS)
        }
        Command::Join(args) => runtime.block_on(join(*args, cli.config)).map(|()| ExitCode::SUCCESS),
        Command::Check(args) => check::run(&args),
    }
}

async fn join(args: JoinArgs, config_path: PathBuf) -> anyhow::Result<()> {
    let mut template = Config::new(HostUuid::random(), NodeUuid::random());
    template.listen = (args.listen, args.port).into();
    template.tls_dir = args.tls_dir.unwrap_or(template.tls_dir);
    template.run_dir = args.run_dir.unwrap_or(template.run_dir);
    template.log_dir = args.log_dir.unwrap_or(template.log_dir);
    template.allow_emulation = args.allow_emulation;
    let token = args.token.read()?;
    let joining = Joining { token, server: args.server, address: args.address, config_path, template };
    let path = joining.config_path.clone();
    let config = joining.join(&http_client()?).await?;
    println!("This is host {} of management node {} ({}).", config.host_uuid, config.node_uuid, path.display());
    println!("Start the agent with: systemctl enable --now gantry-agent");
    Ok(())
}

/// The service does not run where `join` did, so a relative path would not mean the same to it.
fn absolute(text: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("an absolute path is needed") }
}

impl TokenArgs {
    fn read(self) -> anyhow::Result<JoinToken> {
        let text = match (self.token, self.token_file) {
            (Some(token), _) => token,
            (None, Some(path)) if path == Path::new("-") => {
                let mut text = String::new();
                io::stdin().take(1024).read_to_string(&mut text).context("standard input")?;
                text
            }
            (None, Some(path)) => fs::read_to_string(&path).with_context(|| path.display().to_string())?,
            (None, None) => String::new(),
        };
        text.parse().map_err(anyhow::Error::from)
    }
}

/// The level comes from `RUST_LOG`. The journal has its own timestamps.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().with_ansi(false).init();
    } else {
        log.with_ansi(io::stderr().is_terminal()).init();
    }
}

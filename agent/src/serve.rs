//! `gantry-agent serve`: the service, under systemd or without it.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use gantry_common::agent::Acceleration;
use sd_notify::NotifyState;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    agent::Agent,
    config::Config,
    libvirt::acceleration,
    retire::Membership,
    server::{Health, Server, identity::Identity, tls_files::TlsFiles},
};

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps the agent from starting, with the field of the configuration it comes from.
pub async fn serve(config: Config, config_path: &Path) -> anyhow::Result<()> {
    if acceleration().context("/proc/cpuinfo")? == Acceleration::Emulation && !config.allow_emulation {
        bail!(
            "this processor has neither vmx nor svm: enable virtualisation in the firmware's setup, or set \
             allow_emulation = true to have guests emulated, which is slow"
        );
    }
    let identity = Identity::from_files(config.host_uuid, TlsFiles::new(&config.tls_dir)).context("tls_dir")?;
    let identity = Arc::new(identity);
    let listener = listen(config.listen).await?;
    let agent = Agent::start(&config, Membership::new(config_path, &config), &identity).await?;
    let peer_routes = agent.peer_routes();
    let server = Server::new(agent, identity, peer_routes);
    let shutdown = CancellationToken::new();
    tokio::spawn(stop_on_signal(
        [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?],
        shutdown.clone(),
    ));
    if let Some(deadline) = sd_notify::watchdog_enabled() {
        tokio::spawn(feed_watchdog(deadline, server.health()));
    }
    tracing::info!(host = %config.host_uuid, node = %config.node_uuid, listen = %config.listen, "the agent is ready");
    notify(NotifyState::Ready);
    server.serve(listener, shutdown).await;
    tracing::info!("the agent has stopped; guests go on");
    Ok(())
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("listen '{address}' is not usable: choose an address of this host and a free port"))
}

async fn stop_on_signal([mut terminate, mut interrupt]: [Signal; 2], shutdown: CancellationToken) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: commands under way come to an end first");
    notify(NotifyState::Stopping);
    shutdown.cancel();
}

/// Tells systemd that the agent is alive as long as it is: the runtime's workers and blocking threads take work, and
/// the server's loop answers. Whether libvirtd answers does not matter here, as a restarted agent could not help it.
async fn feed_watchdog(deadline: Duration, health: Health) {
    let mut ticks = interval(deadline / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let alive = async {
            let blocking = tokio::task::spawn_blocking(|| ()).await.is_ok();
            blocking && health.probe().await
        };
        match timeout(deadline / 3, alive).await {
            Ok(true) => notify(NotifyState::Watchdog),
            // The loop has ended: the agent is stopping, which systemd has a deadline for.
            Ok(false) => return,
            Err(_) => tracing::error!("the agent does not react; systemd will restart it if that goes on"),
        }
    }
}

/// Without systemd there is nobody to notify.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("systemd could not be notified: {error}");
    }
}

//! Stopping a VM: by asking the guest, or by pulling the plug.

use std::{sync::Arc, time::Duration};

use gantry_common::{
    agent::{AgentError, Event, Observation, StopMode, VmState},
    id::VmUuid,
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until},
};
use virt::domain::Domain;

use super::{Host, look::find_ours, pause, turn::Turn};
use crate::libvirt::{failed, is_gone};

/// libvirt itself gives a QEMU process some 40 s to die.
const DESTROY_DEADLINE: Duration = Duration::from_secs(60);
/// A guest that is still booting misses the request: it is repeated.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Stops the VM. One that does not run is only cleaned up after.
pub async fn stop(host: &Arc<Host>, turn: &mut Turn, vm: VmUuid, mode: StopMode) -> Result<Observation, AgentError> {
    let state = host.observer.sight(vm).await?.state();
    match (state, mode) {
        (VmState::Absent, _) => {}
        (VmState::Running | VmState::Paused, StopMode::Grace { timeout_seconds }) => {
            if state == VmState::Paused {
                // A suspended guest hears nothing.
                pause::resume(host, vm).await?;
            }
            if !shut_down(host, turn, vm, Duration::from_secs(timeout_seconds.into())).await? {
                destroy(host, vm).await?;
            }
        }
        // A stalled guest waits for storage that is gone: it cannot shut down.
        (VmState::Stalled, StopMode::Grace { .. }) | (_, StopMode::Force) => destroy(host, vm).await?,
    }
    let observation = host.observer.observe(vm).await?;
    if observation.state == VmState::Absent {
        host.release(vm).await?;
    }
    Ok(observation)
}

/// Pulls the plug. A VM that is not there is a success; somebody else's domain with the same uuid is left alone.
pub async fn destroy(host: &Host, vm: VmUuid) -> Result<(), AgentError> {
    const OPERATION: &str = "virDomainDestroy";
    let destroy = |domain: Domain| domain.destroy().map_err(failed(OPERATION));
    let outcome = host
        .commands
        .call_on(vm, OPERATION, DESTROY_DEADLINE, move |connection| find_ours(connection, vm)?.map_or(Ok(()), destroy))
        .await;
    match outcome {
        Err(error) if is_gone(&error) => Ok(()),
        outcome => outcome,
    }
}

/// Asks the guest to shut down and waits for it. Answers whether it did.
async fn shut_down(host: &Arc<Host>, turn: &mut Turn, vm: VmUuid, grace: Duration) -> Result<bool, AgentError> {
    let deadline = Instant::now() + grace;
    let mut events = host.observer.subscribe();
    loop {
        tokio::spawn(ask(host.clone(), vm, deadline.duration_since(Instant::now())));
        let pause_until = deadline.min(Instant::now() + ASK_AGAIN_AFTER);
        tokio::select! {
            () = ended(&mut events, vm) => return Ok(true),
            () = turn.hurried() => return Ok(false),
            () = sleep_until(pause_until) => {}
        }
        // An event may have been lost with the connection.
        match host.observer.sight(vm).await {
            Ok(sight) if sight.state() == VmState::Absent => return Ok(true),
            Ok(_) | Err(AgentError::LibvirtUnavailable { .. }) => {}
            Err(error) => return Err(error),
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
    }
}

async fn ended(events: &mut Receiver<Event>, vm: VmUuid) {
    loop {
        match events.recv().await {
            Ok(Event::Vm(Observation { vm: seen, state: VmState::Absent, .. })) if seen == vm => return,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

/// Asks the guest to shut down: its agent, where one answers, else its power button.
async fn ask(host: Arc<Host>, vm: VmUuid, patience: Duration) {
    const OPERATION: &str = "virDomainShutdown";
    let shutdown = |domain: Domain| domain.shutdown().map(drop).map_err(failed(OPERATION));
    let outcome = host
        .commands
        .call_on(vm, OPERATION, patience.max(Duration::from_secs(1)), move |connection| {
            find_ours(connection, vm)?.map_or(Ok(()), shutdown)
        })
        .await;
    match outcome {
        Err(error) if !is_gone(&error) => tracing::warn!(%vm, %error, "the guest could not be asked to shut down"),
        _ => {}
    }
}

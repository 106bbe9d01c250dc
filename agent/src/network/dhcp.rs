//! DHCP for the guests of an L3 network: one dnsmasq in the network's service namespace.
//!
//! dnsmasq is on its own once started and goes on while the agent restarts. The agent finds it by its pid file.

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    time::Duration,
};

use gantry_common::agent::{AgentError, GuestData, Network, Nic};
use nix::{
    sys::{
        signal::{Signal, kill},
        socket::{setsockopt, sockopt::BindToDevice},
    },
    unistd::Pid,
};

use super::{
    dhcp_options::{DhcpFiles, configuration, lease, options, release, secondary_mark},
    paths::{NetworkPaths, namespace_file},
    program,
    record::{self, Readers, make_directory},
    service_namespace::{self, INNER_INTERFACE, in_namespace},
};

const SERVER_PORT: u16 = 67;
const STOP_DEADLINE: Duration = Duration::from_secs(5);
const STOP_INTERVAL: Duration = Duration::from_millis(5);

/// Serves DHCP on the network: starts dnsmasq, or brings the running one up to date without dropping a lease.
pub(super) async fn ensure(paths: &NetworkPaths, network: &Network) -> Result<(), AgentError> {
    let directory = paths.dhcp(network.l3_network);
    let files = DhcpFiles(&directory);
    for directory in [&paths.root(), &paths.dhcps(), &directory, &files.leases(), &files.options(), &files.secondary()]
    {
        make_directory(directory, Readers::All)?;
    }
    let options_changed = record::write(&files.options().join("network"), options(network)?.as_bytes(), Readers::All)?;
    let configuration = configuration(network, &files);
    let changed = record::write(&files.configuration(), configuration.as_bytes(), Readers::All)?;
    if changed {
        stop(&files).await?;
    }
    match running(&files) {
        Some(pid) if options_changed => signal(pid, Signal::SIGHUP),
        Some(_) => Ok(()),
        None => start(paths, network, &files).await,
    }
}

/// Whether dnsmasq runs for the network.
pub(super) fn is_running(paths: &NetworkPaths, network: &Network) -> bool {
    running(&DhcpFiles(&paths.dhcp(network.l3_network))).is_some()
}

/// Ends DHCP on the network; its leases stay.
pub(super) async fn pause(paths: &NetworkPaths, network: &Network) -> Result<(), AgentError> {
    stop(&DhcpFiles(&paths.dhcp(network.l3_network))).await
}

/// Ends DHCP on the network and removes its files.
pub(super) async fn remove(paths: &NetworkPaths, network: &Network) -> Result<(), AgentError> {
    let directory = paths.dhcp(network.l3_network);
    stop(&DhcpFiles(&directory)).await?;
    record::remove(&directory)
}

/// Gives the interface its lease.
pub(super) async fn add_lease(
    paths: &NetworkPaths,
    network: &Network,
    nic: &Nic,
    guest_data: &GuestData,
) -> Result<(), AgentError> {
    let directory = paths.dhcp(network.l3_network);
    let files = DhcpFiles(&directory);
    let path = files.leases().join(nic.uuid.to_string());
    let existed = path.exists();
    let line = lease(nic, guest_data.hostname.as_deref());
    let changed = record::write(&path, line.as_bytes(), Readers::All)?;
    if mark_secondary(&files, nic)? && running(&files).is_some() {
        stop(&files).await?;
        return start(paths, network, &files).await;
    }
    // A new file is noticed at once; the old content of a changed one is dropped only on the signal.
    match running(&files) {
        Some(pid) if changed && existed => signal(pid, Signal::SIGHUP),
        _ => Ok(()),
    }
}

/// Says in dnsmasq's configuration whether the interface is a secondary one. Returns whether that changed; dnsmasq reads
/// it only when it starts.
fn mark_secondary(files: &DhcpFiles<'_>, nic: &Nic) -> Result<bool, AgentError> {
    let path = files.secondary().join(nic.uuid.to_string());
    if !nic.is_default {
        return record::write(&path, secondary_mark(nic).as_bytes(), Readers::All);
    }
    let changed = path.exists();
    record::remove(&path)?;
    Ok(changed)
}

/// Takes the interface's lease away, so that its address can be another's at once.
pub(super) async fn remove_lease(paths: &NetworkPaths, network: &Network, nic: &Nic) -> Result<(), AgentError> {
    let directory = paths.dhcp(network.l3_network);
    let files = DhcpFiles(&directory);
    // What dnsmasq still holds of it until its next start does no harm: the MAC address has no lease.
    record::remove(&files.secondary().join(nic.uuid.to_string()))?;
    let path = files.leases().join(nic.uuid.to_string());
    if !path.exists() {
        return Ok(());
    }
    if let (Some(server), true) = (network.service_address, running(&files).is_some()) {
        let message = release(nic.mac, nic.ip, server);
        in_namespace(network.l3_network, move || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            // Makes the message seem to come in by the interface that dnsmasq listens on.
            setsockopt(&socket, BindToDevice, &INNER_INTERFACE.into())?;
            socket.send_to(&message, (server, SERVER_PORT)).map(|_| ())
        })
        .await?;
    }
    record::remove(&path)?;
    running(&files).map_or(Ok(()), |pid| signal(pid, Signal::SIGHUP))
}

async fn start(paths: &NetworkPaths, network: &Network, files: &DhcpFiles<'_>) -> Result<(), AgentError> {
    record::remove(&files.pid())?;
    let namespace = namespace_file(&service_namespace::name(network.l3_network));
    // dnsmasq returns when its child, a session of its own, is ready to answer.
    let arguments = [format!("--net={}", namespace.display()), "dnsmasq".to_owned(), configuration_argument(files)];
    program::run(paths, "nsenter", &arguments.each_ref().map(String::as_str)).await?;
    if running(files).is_none() {
        return Err(AgentError::Program {
            program: "dnsmasq".to_owned(),
            status: "an early end".to_owned(),
            stderr: "it started and is gone; see the system's log".to_owned(),
        });
    }
    Ok(())
}

async fn stop(files: &DhcpFiles<'_>) -> Result<(), AgentError> {
    let Some(pid) = running(files) else { return record::remove(&files.pid()) };
    // One that does not end when asked is made to.
    for request in [Signal::SIGTERM, Signal::SIGKILL] {
        signal(pid, request)?;
        // Not by its pid file: it removes that some time before it ends, and holds the port until then.
        let gone = async {
            while serves(files, pid) {
                tokio::time::sleep(STOP_INTERVAL).await;
            }
        };
        if tokio::time::timeout(STOP_DEADLINE, gone).await.is_ok() {
            return record::remove(&files.pid());
        }
    }
    let operation = format!("the end of dnsmasq, process {pid},");
    Err(AgentError::Timeout { operation, seconds: 2 * STOP_DEADLINE.as_secs() })
}

fn configuration_argument(files: &DhcpFiles<'_>) -> String {
    format!("--conf-file={}", files.configuration().display())
}

/// The running dnsmasq of these files.
fn running(files: &DhcpFiles<'_>) -> Option<Pid> {
    let pid: i32 = fs::read_to_string(files.pid()).ok()?.trim().parse().ok()?;
    Some(Pid::from_raw(pid)).filter(|pid| serves(files, *pid))
}

/// Whether the process is the dnsmasq of these files. Its command line is compared, because pids are used again.
fn serves(files: &DhcpFiles<'_>, pid: Pid) -> bool {
    let argument = configuration_argument(files);
    fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline"))
        .is_ok_and(|command_line| command_line.split(|byte| *byte == 0).any(|part| part == argument.as_bytes()))
}

fn signal(pid: Pid, signal: Signal) -> Result<(), AgentError> {
    match kill(pid, signal) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
        Err(error) => {
            Err(AgentError::Network { operation: format!("send {signal} to dnsmasq"), reason: error.to_string() })
        }
    }
}

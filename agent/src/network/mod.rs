//! Networks on this host: bridges, DHCP, user data, anti-spoofing.
//!
//! The state is the kernel's and that of the files described in [`paths`]; an agent that starts finds all of it. DHCP is
//! answered while no agent runs, user data is not.

mod address_move;
mod anti_spoofing;
mod bridge;
mod dhcp;
mod dhcp_options;
mod isolation;
mod l3_network;
mod locks;
mod netlink;
mod networkd;
mod packet_filter;
mod paths;
mod program;
mod record;
mod service_namespace;
mod userdata;
mod userdata_server;
mod vm_nics;

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::Arc,
};

use gantry_common::{
    agent::{AgentError, Bridge, Network, VmSpec},
    id::{L3NetworkUuid, VmUuid},
};
use locks::LockPerKey;
use netlink::Link;
use parking_lot::Mutex;
pub use paths::NetworkPaths;
use userdata_server::UserdataServer;

/// The networks of this host. Every method may be called again with the same effect, and from several tasks at once.
#[derive(Debug)]
pub struct Networks {
    host: Arc<HostNetworks>,
}

/// Locks are taken in the order of the fields.
#[derive(Debug)]
struct HostNetworks {
    paths: NetworkPaths,
    vm_locks: LockPerKey<VmUuid>,
    network_locks: LockPerKey<L3NetworkUuid>,
    /// One for all bridges: two of them must not want the same interface.
    bridge_lock: tokio::sync::Mutex<()>,
    filter_lock: tokio::sync::Mutex<()>,
    userdata_servers: Mutex<HashMap<L3NetworkUuid, UserdataServer>>,
}

impl Networks {
    /// The networks whose state is kept in `paths`. Serves nothing before [`Networks::restore`].
    pub fn new(paths: NetworkPaths) -> Self {
        Self {
            host: Arc::new(HostNetworks {
                paths,
                vm_locks: LockPerKey::default(),
                network_locks: LockPerKey::default(),
                bridge_lock: tokio::sync::Mutex::default(),
                filter_lock: tokio::sync::Mutex::default(),
                userdata_servers: Mutex::default(),
            }),
        }
    }

    /// Takes up what an earlier agent left: finishes what it had begun, serves user data again, starts what died. To be
    /// called once when the agent starts.
    ///
    /// # Errors
    /// The first of the errors; everything else was restored nevertheless.
    pub async fn restore(&self) -> Result<(), AgentError> {
        self.to_the_end(|host| async move { host.restore().await }).await
    }

    /// Takes away the leases, user data and rules of VMs that are not in `running`, and brings up again what died or was
    /// removed by another program: DHCP, user data, the packet filter. A VM that is about to start counts as running.
    ///
    /// # Errors
    /// The first of the errors; every other VM was dealt with nevertheless.
    pub async fn sweep(&self, running: &HashSet<VmUuid>) -> Result<(), AgentError> {
        let running = running.clone();
        self.to_the_end(|host| async move { host.sweep(&running).await }).await
    }

    /// Makes the bridge; see `EnsureBridge`.
    ///
    /// # Errors
    /// [`AgentError::InvalidArgument`] or [`AgentError::InUse`] where it cannot be made, and what went wrong otherwise;
    /// the host's addresses and routes are then as before.
    pub async fn ensure_bridge(&self, bridge: &Bridge) -> Result<(), AgentError> {
        let bridge = bridge.clone();
        self.to_the_end(|host| async move { host.ensure_bridge(&bridge).await.map(|_| ()) }).await
    }

    /// Removes the bridge and the services on it; see `RemoveBridge`. A bridge that was there before Gantry stays.
    ///
    /// # Errors
    /// [`AgentError::InUse`] while guests are on it.
    pub async fn remove_bridge(&self, bridge: &Bridge) -> Result<(), AgentError> {
        let bridge = bridge.clone();
        self.to_the_end(|host| async move { host.remove_bridge(&bridge).await }).await
    }

    /// Serves the network, its bridge included; see `EnsureNetwork`.
    ///
    /// # Errors
    /// [`AgentError::InvalidArgument`] for values that cannot be served, and what went wrong otherwise; the network is
    /// then served as before.
    pub async fn ensure_network(&self, network: &Network) -> Result<(), AgentError> {
        let network = network.clone();
        self.to_the_end(|host| async move { host.ensure_network(&network).await }).await
    }

    /// Ends the network's services; see `RemoveNetwork`.
    ///
    /// # Errors
    /// [`AgentError::InUse`] while VMs are on it.
    pub async fn remove_network(&self, l3_network: L3NetworkUuid) -> Result<(), AgentError> {
        self.to_the_end(move |host| async move { host.remove_network(l3_network).await }).await
    }

    /// Brings up everything the VM's interfaces need before its domain starts: networks, leases, user data,
    /// anti-spoofing rules.
    ///
    /// # Errors
    /// What went wrong; the VM then has what it had before.
    pub async fn attach_vm(&self, vm: &VmSpec) -> Result<(), AgentError> {
        let vm = vm.clone();
        self.to_the_end(|host| async move { host.attach_vm(&vm).await }).await
    }

    /// Takes the VM's leases, user data and rules away. A VM that has none is a success.
    ///
    /// # Errors
    /// What went wrong; another call goes on from there.
    pub async fn detach_vm(&self, vm: VmUuid) -> Result<(), AgentError> {
        self.to_the_end(move |host| async move { host.detach_vm(vm).await }).await
    }

    /// Runs the work as a task of its own: it ends or is undone even if the caller no longer waits.
    async fn to_the_end<F>(&self, work: impl FnOnce(Arc<HostNetworks>) -> F) -> Result<(), AgentError>
    where
        F: Future<Output = Result<(), AgentError>> + Send + 'static,
    {
        let task = tokio::spawn(work(Arc::clone(&self.host)));
        task.await.unwrap_or_else(|error| Err(AgentError::Internal { reason: error.to_string() }))
    }
}

impl HostNetworks {
    async fn ensure_bridge(&self, bridge: &Bridge) -> Result<Link, AgentError> {
        let _bridges = self.bridge_lock.lock().await;
        bridge::ensure(&self.paths, bridge).await
    }

    async fn remove_bridge(&self, bridge: &Bridge) -> Result<(), AgentError> {
        for network in self.networks()? {
            if network.bridge.name == bridge.name {
                self.remove_network(network.l3_network).await?;
            }
        }
        let _bridges = self.bridge_lock.lock().await;
        bridge::remove(&self.paths, bridge).await
    }
}

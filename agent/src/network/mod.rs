//! Networks on this host: bridges, DHCP, user data, anti-spoofing.

use gantry_common::{
    agent::{AgentError, Bridge, Network, VmSpec},
    id::{L3NetworkUuid, VmUuid},
};

/// The networks of this host.
#[derive(Debug)]
pub struct Networks {}

impl Networks {
    /// Makes the bridge; see `EnsureBridge`.
    pub async fn ensure_bridge(&self, _bridge: &Bridge) -> Result<(), AgentError> {
        Ok(())
    }

    /// Removes the bridge; see `RemoveBridge`.
    pub async fn remove_bridge(&self, _bridge: &Bridge) -> Result<(), AgentError> {
        Ok(())
    }

    /// Serves the network, its bridge included; see `EnsureNetwork`.
    pub async fn ensure_network(&self, _network: &Network) -> Result<(), AgentError> {
        Ok(())
    }

    /// Ends the network's services; see `RemoveNetwork`.
    pub async fn remove_network(&self, _l3_network: L3NetworkUuid) -> Result<(), AgentError> {
        Ok(())
    }

    /// Brings up everything the VM's interfaces need before its domain starts: networks, leases, user data,
    /// anti-spoofing rules.
    pub async fn attach_vm(&self, _vm: &VmSpec) -> Result<(), AgentError> {
        Ok(())
    }

    /// Takes the VM's leases, user data and rules away. A VM that has none is a success.
    pub async fn detach_vm(&self, _vm: VmUuid) -> Result<(), AgentError> {
        Ok(())
    }
}

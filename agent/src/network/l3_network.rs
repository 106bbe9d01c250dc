//! The services of an L3 network on this host.

use gantry_common::{
    agent::{AgentError, Network},
    id::L3NetworkUuid,
};

use super::{
    HostNetworks, dhcp, dhcp_options, isolation,
    netlink::Link,
    packet_filter::{self, Element},
    program,
    record::{self, BridgeRecord, NetworkRecord, VmRecord},
    service_namespace, userdata,
    userdata_server::UserdataServer,
};

impl HostNetworks {
    pub(super) fn networks(&self) -> Result<Vec<Network>, AgentError> {
        let records: Vec<NetworkRecord> = record::load_all(&self.paths.networks())?;
        Ok(records.into_iter().map(|record| record.network).collect())
    }

    pub(super) fn network(&self, l3_network: L3NetworkUuid) -> Result<Option<Network>, AgentError> {
        let record: Option<NetworkRecord> = record::load(&self.paths.network(l3_network))?;
        Ok(record.map(|record| record.network))
    }

    fn vms(&self) -> Result<Vec<VmRecord>, AgentError> {
        record::load_all(&self.paths.vms())
    }

    pub(super) async fn restore(&self) -> Result<(), AgentError> {
        let mut outcome = program::wait_for_earlier(&self.paths).await;
        outcome = first_error(outcome, record::remove_half_written(&self.paths.root()), "records");
        outcome = first_error(outcome, self.load_filter().await, "packet filter");
        for BridgeRecord { bridge, .. } in record::load_all(&self.paths.bridges())? {
            let restored = self.ensure_bridge(&bridge).await.map(|_| ());
            outcome = first_error(outcome, restored, &format!("bridge {}", bridge.name));
        }
        let revived = self.revive_networks().await;
        outcome.and(revived)
    }

    /// Brings up again what died of the networks' services.
    pub(super) async fn revive_networks(&self) -> Result<(), AgentError> {
        let mut outcome = Ok(());
        for Network { l3_network, .. } in self.networks()? {
            let _network = self.network_locks.lock(l3_network).await;
            // It may have been removed since the list was made.
            let Some(network) = self.network(l3_network)? else { continue };
            let revived = self.ensure_network_locked(&network).await;
            outcome = first_error(outcome, revived, &format!("L3 network {l3_network}"));
        }
        outcome
    }

    pub(super) async fn ensure_network(&self, network: &Network) -> Result<(), AgentError> {
        let _network = self.network_locks.lock(network.l3_network).await;
        self.ensure_network_locked(network).await
    }

    async fn ensure_network_locked(&self, network: &Network) -> Result<(), AgentError> {
        check(network)?;
        let bridge = self.ensure_bridge(&network.bridge).await?;
        let before = self.network(network.l3_network)?;
        if before.as_ref() == Some(network) && self.is_served(network, &bridge).await? {
            return Ok(());
        }
        let path = self.paths.network(network.l3_network);
        record::store(&path, &NetworkRecord { network: network.clone() })?;
        let Err(error) = self.serve(network, before.as_ref(), &bridge).await else { return Ok(()) };
        let undone = match &before {
            None => self.end_services(network).await,
            Some(before) => match record::store(&path, &NetworkRecord { network: before.clone() }) {
                Ok(()) => self.serve(before, Some(network), &bridge).await,
                failed => failed,
            },
        };
        if let Err(second) = undone {
            tracing::error!(l3_network = %network.l3_network, error = %second, "network not as before");
        }
        Err(error)
    }

    pub(super) async fn remove_network(&self, l3_network: L3NetworkUuid) -> Result<(), AgentError> {
        let _network = self.network_locks.lock(l3_network).await;
        let Some(network) = self.network(l3_network)? else {
            return service_namespace::remove(&self.paths, l3_network).await;
        };
        for VmRecord { vm, nics, .. } in self.vms()? {
            if nics.iter().any(|nic| nic.l3_network == l3_network) {
                return Err(AgentError::InUse { what: format!("L3 network {l3_network}"), user: format!("VM {vm}") });
            }
        }
        self.end_services(&network).await
    }

    async fn is_served(&self, network: &Network, bridge: &Link) -> Result<bool, AgentError> {
        if !isolation::has_services(network) {
            return Ok(true);
        }
        Ok((!network.dhcp || dhcp::is_running(&self.paths, network))
            && (!network.userdata || self.serves_userdata(network.l3_network))
            && service_namespace::is_joined(network.l3_network, bridge).await?)
    }

    fn serves_userdata(&self, l3_network: L3NetworkUuid) -> bool {
        self.userdata_servers.lock().get(&l3_network).is_some_and(UserdataServer::is_running)
    }

    /// Brings the services up as `network` says. `before` is what they may be like.
    async fn serve(&self, network: &Network, before: Option<&Network>, bridge: &Link) -> Result<(), AgentError> {
        let l3_network = network.l3_network;
        // The rules first: the namespace's port must not be reachable from other hosts for a moment.
        self.load_filter().await?;
        if !network.userdata {
            self.userdata_servers.lock().remove(&l3_network);
        }
        if !network.dhcp {
            dhcp::remove(&self.paths, network).await?;
        }
        let Some(service_address) = network.service_address.filter(|_| isolation::has_services(network)) else {
            return service_namespace::remove(&self.paths, l3_network).await;
        };
        let same_namespace = before.is_none_or(|before| shape(before) == shape(network));
        if !same_namespace || !service_namespace::is_joined(l3_network, bridge).await? {
            self.userdata_servers.lock().remove(&l3_network);
            dhcp::pause(&self.paths, network).await?;
            service_namespace::make(&self.paths, network, service_address, bridge).await?;
        }
        for VmRecord { vm, nics, guest_data } in self.vms()? {
            for nic in nics.iter().filter(|nic| nic.l3_network == l3_network) {
                if network.dhcp {
                    dhcp::add_lease(&self.paths, network, nic, &guest_data).await?;
                }
                userdata::add(&self.paths, vm, nic, &guest_data)?;
            }
        }
        if network.dhcp {
            dhcp::ensure(&self.paths, network).await?;
        }
        if network.userdata && !self.serves_userdata(l3_network) {
            // A server that stopped still holds its socket until it is dropped.
            self.userdata_servers.lock().remove(&l3_network);
            let server = UserdataServer::start(&self.paths, l3_network).await?;
            self.userdata_servers.lock().insert(l3_network, server);
        }
        Ok(())
    }

    async fn end_services(&self, network: &Network) -> Result<(), AgentError> {
        let l3_network = network.l3_network;
        self.userdata_servers.lock().remove(&l3_network);
        dhcp::remove(&self.paths, network).await?;
        service_namespace::remove(&self.paths, l3_network).await?;
        record::remove(&self.paths.guests(l3_network))?;
        record::remove(&self.paths.network(l3_network))?;
        self.load_filter().await
    }

    /// Whether nothing is served here any more.
    pub(super) fn has_no_records(&self) -> Result<bool, AgentError> {
        Ok(record::is_empty(&self.paths.networks())? && record::is_empty(&self.paths.vms())?)
    }

    /// Loads the packet filter as the records want it.
    pub(super) async fn load_filter(&self) -> Result<(), AgentError> {
        let _filter = self.filter_lock.lock().await;
        self.load_filter_locked().await
    }

    pub(super) async fn load_filter_locked(&self) -> Result<(), AgentError> {
        packet_filter::replace(&self.paths, self.all_elements()?).await
    }

    pub(super) fn all_elements(&self) -> Result<Vec<Element>, AgentError> {
        let mut elements = Vec::new();
        for network in self.networks()? {
            elements.extend(isolation::network_elements(&network));
        }
        for vm in self.vms()? {
            elements.extend(self.elements_of(&vm)?);
        }
        Ok(elements)
    }
}

/// What the namespace itself is made by.
fn shape(network: &Network) -> impl PartialEq {
    (network.service_address, network.subnet, network.userdata, network.bridge.clone())
}

fn check(network: &Network) -> Result<(), AgentError> {
    dhcp_options::options(network)?;
    if !isolation::has_services(network) {
        return Ok(());
    }
    let subnet = network.subnet;
    let remedy = format!("DHCP and user data need an address of {subnet} of their own");
    let Some(address) = network.service_address else {
        return Err(AgentError::invalid("serviceAddress", "none", remedy));
    };
    let usable = subnet.contains(&address) && address != subnet.network() && address != subnet.broadcast();
    if !usable || Some(address) == network.gateway {
        return Err(AgentError::invalid("serviceAddress", address, remedy));
    }
    Ok(())
}

/// Logs a failed part of a larger whole, and keeps the first failure.
pub(super) fn first_error(
    earlier: Result<(), AgentError>,
    outcome: Result<(), AgentError>,
    what: &str,
) -> Result<(), AgentError> {
    if let Err(error) = &outcome {
        tracing::error!(%error, "{what} not restored");
    }
    earlier.and(outcome)
}

//! A VM's interfaces: leases, user data and packet filter.

use std::collections::HashSet;

use gantry_common::{
    agent::{AgentError, Nic, VmSpec},
    id::VmUuid,
};

use super::{
    HostNetworks, anti_spoofing, bridge, dhcp, isolation,
    l3_network::first_error,
    packet_filter::{self, Element},
    record::{self, VmRecord},
    userdata,
};

impl HostNetworks {
    pub(super) async fn attach_vm(&self, vm: &VmSpec) -> Result<(), AgentError> {
        let _vm = self.vm_locks.lock(vm.uuid).await;
        check(vm)?;
        let path = self.paths.vm(vm.uuid);
        let before: Option<VmRecord> = record::load(&path)?;
        let Err(error) = self.attach(vm, before.as_ref()).await else { return Ok(()) };
        let attached = VmRecord::from(vm);
        let undone = match &before {
            None => self.detach(&attached).await,
            Some(before) => self.change_nics(before, Some(&attached)).await,
        };
        if let Err(second) = undone {
            tracing::error!(vm = %vm.uuid, error = %second, "the VM's interfaces are not as before");
        }
        Err(error)
    }

    pub(super) async fn detach_vm(&self, vm: VmUuid) -> Result<(), AgentError> {
        let _vm = self.vm_locks.lock(vm).await;
        match record::load(&self.paths.vm(vm))? {
            Some(record) => self.detach(&record).await,
            None => Ok(()),
        }
    }

    pub(super) async fn sweep(&self, running: &HashSet<VmUuid>) -> Result<(), AgentError> {
        let mut outcome = Ok(());
        for VmRecord { vm, .. } in record::load_all::<VmRecord>(&self.paths.vms())? {
            if !running.contains(&vm) {
                outcome = first_error(outcome, self.detach_vm(vm).await, &format!("VM {vm}"));
            }
        }
        outcome = outcome.and(self.revive_networks().await);
        let _filter = self.filter_lock.lock().await;
        if !self.all_elements()?.is_empty() && !packet_filter::is_loaded(&self.paths).await? {
            tracing::warn!("the packet filter was removed by another program; loading it again");
            outcome = first_error(outcome, self.load_filter_locked().await, "packet filter");
        }
        outcome
    }

    async fn attach(&self, vm: &VmSpec, before: Option<&VmRecord>) -> Result<(), AgentError> {
        let record = VmRecord::from(vm);
        if before.is_none() {
            // Keeps the networks from being removed from now on, and tells a later agent what to take away.
            record::store(&self.paths.vm(vm.uuid), &record)?;
        }
        for network in &vm.networks {
            self.ensure_network(network).await?;
        }
        self.change_nics(&record, before).await
    }

    /// Gives the VM the interfaces of `record` in place of those it had `before`.
    async fn change_nics(&self, record: &VmRecord, before: Option<&VmRecord>) -> Result<(), AgentError> {
        for nic in before.iter().flat_map(|before| &before.nics) {
            if !record.nics.iter().any(|kept| kept.uuid == nic.uuid && kept.mac == nic.mac && kept.ip == nic.ip) {
                self.remove_nic_data(nic).await?;
            }
        }
        {
            let _filter = self.filter_lock.lock().await;
            let old = before.map_or(Ok(Vec::new()), |before| self.elements_of(before))?;
            record::store(&self.paths.vm(record.vm), record)?;
            let new = self.elements_of(record)?;
            let removed: Vec<_> = old.into_iter().filter(|element| !new.contains(element)).collect();
            self.change_filter(&new, &removed).await?;
        }
        for nic in &record.nics {
            let _network = self.network_locks.lock(nic.l3_network).await;
            let Some(network) = self.network(nic.l3_network)? else { continue };
            if network.dhcp {
                dhcp::add_lease(&self.paths, &network, nic, &record.guest_data).await?;
            }
            if isolation::has_services(&network) {
                userdata::add(&self.paths, record.vm, nic, &record.guest_data)?;
            }
        }
        Ok(())
    }

    async fn detach(&self, record: &VmRecord) -> Result<(), AgentError> {
        for nic in &record.nics {
            self.remove_nic_data(nic).await?;
        }
        let _filter = self.filter_lock.lock().await;
        let elements = self.elements_of(record)?;
        record::remove(&self.paths.vm(record.vm))?;
        if self.has_no_records()? {
            return self.load_filter_locked().await;
        }
        self.change_filter(&[], &elements).await
    }

    async fn remove_nic_data(&self, nic: &Nic) -> Result<(), AgentError> {
        let _network = self.network_locks.lock(nic.l3_network).await;
        if let Some(network) = self.network(nic.l3_network)? {
            dhcp::remove_lease(&self.paths, &network, nic).await?;
        }
        userdata::remove(&self.paths, nic)
    }

    async fn change_filter(&self, added: &[Element], removed: &[Element]) -> Result<(), AgentError> {
        match packet_filter::change(&self.paths, added, removed).await {
            Ok(()) => Ok(()),
            Err(error) => {
                // The table is not there yet, or another program flushed the rule set.
                tracing::debug!(%error, "loading the whole packet filter");
                self.load_filter_locked().await
            }
        }
    }

    pub(super) fn elements_of(&self, record: &VmRecord) -> Result<Vec<Element>, AgentError> {
        let mut elements = Vec::new();
        for nic in &record.nics {
            match self.network(nic.l3_network)? {
                Some(network) => elements.extend(packet_filter::nic_elements(nic, &network)),
                None => elements.extend(anti_spoofing::elements(nic)),
            }
        }
        Ok(elements)
    }
}

fn check(vm: &VmSpec) -> Result<(), AgentError> {
    for nic in &vm.nics {
        bridge::check_interface_name("tap", &nic.tap)?;
        if !nic.mac.is_unicast() {
            return Err(AgentError::invalid("mac", nic.mac, "an interface needs a unicast MAC address"));
        }
        let Some(network) = vm.networks.iter().find(|network| network.l3_network == nic.l3_network) else {
            let remedy = "the VM's networks must include the network of each of its interfaces";
            return Err(AgentError::invalid("l3Network", nic.l3_network, remedy));
        };
        if !network.subnet.contains(&nic.ip) {
            let remedy = format!("the interface is on {}", network.subnet);
            return Err(AgentError::invalid("ip", nic.ip, remedy));
        }
    }
    Ok(())
}

//! Fresh looks at libvirt. None of them waits for a domain that is busy or hung.

use gantry_common::{
    agent::{AgentError, ForeignDomain, VmState},
    id::VmUuid,
};
use virt::{connect::Connect, domain::Domain};
use virt_sys as sys;

use super::state::vm_state;
use crate::libvirt::{domain_xml::is_ours, failed, if_found, is_gone};

/// What is found under a VM's uuid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// Nothing that runs.
    Nothing,
    /// The VM, which runs, is paused or is stalled.
    Ours(VmState),
    /// A domain that somebody else made.
    Foreign {
        /// libvirt's name.
        name: String,
    },
}

impl Sight {
    /// The VM's state; somebody else's domain is not the VM.
    pub fn state(&self) -> VmState {
        match self {
            Self::Ours(state) => *state,
            Self::Nothing | Self::Foreign { .. } => VmState::Absent,
        }
    }
}

/// All domains that run.
#[derive(Debug, Default)]
pub struct Everything {
    /// Gantry's.
    pub ours: Vec<(VmUuid, VmState)>,
    /// The others.
    pub foreign: Vec<ForeignDomain>,
}

/// The domain with the uuid of `vm`, whoever made it and whether it runs or not.
pub fn find(connection: &Connect, vm: VmUuid) -> Result<Option<Domain>, AgentError> {
    if_found(Domain::lookup_by_uuid(connection, vm.as_uuid())).map_err(failed("virDomainLookupByUUID"))
}

/// The VM's domain, if it is there and Gantry's.
pub fn find_ours(connection: &Connect, vm: VmUuid) -> Result<Option<Domain>, AgentError> {
    let Some(domain) = find(connection, vm)? else { return Ok(None) };
    Ok(or_gone(is_ours(&domain, vm))?.unwrap_or(false).then_some(domain))
}

/// Looks for the VM.
pub fn look_at(connection: &Connect, vm: VmUuid) -> Result<Sight, AgentError> {
    match find(connection, vm)? {
        Some(domain) => Ok(or_gone(sight_of(&domain, vm))?.unwrap_or(Sight::Nothing)),
        None => Ok(Sight::Nothing),
    }
}

/// Looks at all domains.
pub fn look_at_everything(connection: &Connect) -> Result<Everything, AgentError> {
    let domains = connection
        .list_all_domains(sys::VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        .map_err(failed("virConnectListAllDomains"))?;
    let mut everything = Everything::default();
    for domain in domains {
        let vm: VmUuid = domain.get_uuid().map_err(failed("virDomainGetUUID"))?.into();
        match or_gone(sight_of(&domain, vm))? {
            Some(Sight::Ours(state)) => everything.ours.push((vm, state)),
            Some(Sight::Foreign { name }) => everything.foreign.extend(or_gone(foreign(&domain, vm, name))?),
            Some(Sight::Nothing) | None => {}
        }
    }
    everything.foreign.sort_by(|a, b| a.uuid.cmp(&b.uuid));
    Ok(everything)
}

fn sight_of(domain: &Domain, vm: VmUuid) -> Result<Sight, AgentError> {
    if !is_ours(domain, vm)? {
        return Ok(Sight::Foreign { name: domain.get_name().map_err(failed("virDomainGetName"))? });
    }
    let (state, reason) = domain.get_state().map_err(failed("virDomainGetState"))?;
    Ok(match vm_state(state, reason) {
        VmState::Absent => Sight::Nothing,
        state => Sight::Ours(state),
    })
}

fn foreign(domain: &Domain, uuid: VmUuid, name: String) -> Result<ForeignDomain, AgentError> {
    let info = domain.get_info().map_err(failed("virDomainGetInfo"))?;
    Ok(ForeignDomain { uuid: uuid.hyphenated(), name, cpu_num: info.nr_virt_cpu, memory_bytes: info.max_mem * 1024 })
}

/// `None` where the domain ended while it was being looked at.
fn or_gone<T>(result: Result<T, AgentError>) -> Result<Option<T>, AgentError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

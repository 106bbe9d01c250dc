//! The VMs that a VM is kept apart from.

use gantry_common::id::{AffinityGroupUuid, HostUuid, VmUuid};

use crate::{
    failure::Failure,
    operations::require,
    resource::{AdminState, AffinityGroup, AffinityGroupUsage, AffinityPolicy, VmInstance, VmInstanceState, Volume},
    store::{SqlValue, Tx},
};

/// An enabled affinity group, seen by one VM that is to be placed.
#[derive(Debug, Clone, PartialEq)]
pub struct Affinity {
    /// The group's name.
    pub group: String,
    /// Whether its VMs may share a host where there is no other way.
    pub policy: AffinityPolicy,
    /// The group's other VMs.
    pub others: Vec<Neighbour>,
}

/// Another VM of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its id.
    pub uuid: VmUuid,
    /// Its name.
    pub name: String,
    /// The host it is on, whatever it does there.
    pub on: Option<HostUuid>,
    /// The host whose disks hold its volumes: where it will run.
    pub home: Option<HostUuid>,
}

impl Affinity {
    /// The enabled group that a VM is in.
    pub fn of_vm(tx: &Tx<'_>, vm: VmUuid) -> Result<Option<Self>, Failure> {
        match tx.find::<AffinityGroupUsage>(&[("resource_uuid", vm.to_sql())])?.pop() {
            Some(usage) => Self::of_group(tx, usage.affinity_group_uuid, Some(vm)),
            None => Ok(None),
        }
    }

    /// A group, if it is enabled, as one of its VMs sees it, or one that is yet to join.
    pub fn of_group(tx: &Tx<'_>, group: AffinityGroupUuid, vm: Option<VmUuid>) -> Result<Option<Self>, Failure> {
        let group = require::<AffinityGroup>(tx, "affinityGroupUuid", group)?;
        if group.state != AdminState::Enabled {
            return Ok(None);
        }
        let mut others = Vec::new();
        for usage in tx.find::<AffinityGroupUsage>(&[("affinity_group_uuid", group.uuid.to_sql())])? {
            if Some(usage.resource_uuid) == vm {
                continue;
            }
            let Some(other) = tx.get::<VmInstance>(usage.resource_uuid)? else { continue };
            let is_gone = matches!(other.state, VmInstanceState::Destroyed | VmInstanceState::Expunging);
            let root = other.root_volume_uuid.filter(|_| !is_gone).map(|uuid| tx.get::<Volume>(uuid)).transpose()?;
            let home = root.flatten().and_then(|root| root.host_uuid);
            others.push(Neighbour { uuid: other.uuid, name: other.name, on: other.host_uuid, home });
        }
        Ok(Some(Self { group: group.name, policy: group.policy, others }))
    }

    /// Why a VM that is to run must not run on a host.
    pub fn refuse(&self, host: HostUuid) -> Option<String> {
        if self.policy != AffinityPolicy::AntiHard {
            return None;
        }
        let there: Vec<String> = self.on(host).map(|other| format!("VM '{}' ({})", other.name, other.uuid)).collect();
        (!there.is_empty())
            .then(|| format!("{} of its affinity group '{}' (antiHard) is on it", there.join(" and "), self.group))
    }

    /// How crowded a host is with VMs of the group: those that are on it, and those that are off and can only run there.
    pub fn crowd(&self, host: HostUuid) -> (usize, usize) {
        let waiting = self.others.iter().filter(|other| other.on.is_none() && other.home == Some(host));
        (self.on(host).count(), waiting.count())
    }

    fn on(&self, host: HostUuid) -> impl Iterator<Item = &Neighbour> {
        self.others.iter().filter(move |other| other.on == Some(host))
    }
}

//! Which look at a VM is the newest: an old one, overtaken on its way, must not overrule it. And looks that came while a
//! job had the VM in hand, which are judged when it is done.

use std::collections::HashMap;

use gantry_common::{
    agent::Observation,
    id::{HostUuid, VmUuid},
};
use parking_lot::Mutex;

/// The newest looks at VMs.
#[derive(Default)]
pub struct Looks {
    newest: Mutex<HashMap<(HostUuid, VmUuid), u64>>,
    deferred: Mutex<HashMap<VmUuid, (HostUuid, Observation)>>,
}

impl Looks {
    /// Notes a look; whether it is as new as the newest one known.
    pub fn note(&self, host: HostUuid, look: &Observation) -> bool {
        let mut newest = self.newest.lock();
        let known = newest.entry((host, look.vm)).or_default();
        let news = look.revision >= *known;
        if news {
            *known = look.revision;
        }
        news
    }

    /// Keeps a look until the VM's job is done.
    pub fn defer(&self, host: HostUuid, look: Observation) {
        self.deferred.lock().insert(look.vm, (host, look));
    }

    /// The looks that were kept.
    pub fn take_deferred(&self) -> Vec<(HostUuid, Observation)> {
        self.deferred.lock().drain().map(|(_, kept)| kept).collect()
    }

    /// Forgets a VM.
    pub fn forget(&self, vm: VmUuid) {
        self.newest.lock().retain(|(_, known), _| *known != vm);
    }
}

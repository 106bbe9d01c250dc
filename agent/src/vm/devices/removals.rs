//! What guests let go of, and when.

use std::{collections::HashMap, sync::Arc};

use gantry_common::id::VmUuid;
use parking_lot::Mutex;
use tokio::sync::broadcast::{self, error::RecvError};

use super::{Device, DeviceName, attach::attach, live::LiveDevice};
use crate::vm::Host;

/// Events that wait for a detachment that listens.
const BUFFERED: usize = 64;

/// How a guest answered the request to let go of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// The device is gone.
    Done,
    /// The guest keeps it.
    Refused,
}

/// Passes on what guests answer, and remembers the devices whose detachment was given up. QEMU cannot take the request
/// back: a guest that answers after that lets go of a device that everybody was told it keeps.
#[derive(Debug)]
pub struct Removals {
    news: broadcast::Sender<(VmUuid, String, Removal)>,
    given_up: Mutex<HashMap<(VmUuid, String), Device>>,
}

/// What the guest of one VM answers from now on.
#[derive(Debug)]
pub struct News {
    vm: VmUuid,
    news: broadcast::Receiver<(VmUuid, String, Removal)>,
}

impl Default for Removals {
    fn default() -> Self {
        Self { news: broadcast::Sender::new(BUFFERED), given_up: Mutex::default() }
    }
}

impl Removals {
    /// Listens to what the guest of `vm` answers.
    pub fn subscribe(&self, vm: VmUuid) -> News {
        News { vm, news: self.news.subscribe() }
    }

    /// Passes on what a guest answered. Answers whether the device is one that has to be put back.
    pub fn tell(&self, vm: VmUuid, alias: &str, removal: Removal) -> bool {
        // Nobody listens where nobody detaches.
        let _ = self.news.send((vm, alias.to_owned(), removal));
        removal == Removal::Done && self.given_up.lock().contains_key(&(vm, alias.to_owned()))
    }

    /// Remembers that the VM keeps the device. Call it in the VM's turn.
    pub fn give_up(&self, vm: VmUuid, name: &DeviceName, device: &LiveDevice) {
        let kept = Device { name: name.clone(), file: device.file.clone(), xml: device.xml.clone() };
        self.given_up.lock().insert((vm, device.alias.clone()), kept);
    }

    /// Forgets that the VM keeps a device. Call it in the VM's turn.
    pub fn forget(&self, vm: VmUuid, alias: &str) -> Option<Device> {
        self.given_up.lock().remove(&(vm, alias.to_owned()))
    }

    /// Forgets the devices of a VM that ended.
    pub fn forget_vm(&self, vm: VmUuid) {
        self.given_up.lock().retain(|(of, _), _| *of != vm);
    }
}

impl News {
    /// Waits for the guest's answer about the device that libvirt calls `alias`.
    pub async fn about(&mut self, alias: &str) -> Removal {
        loop {
            match self.news.recv().await {
                Ok((vm, about, removal)) if vm == self.vm && about == alias => return removal,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }
}

/// Gives a VM back a device that its guest let go of after the detachment had been given up.
pub async fn put_back(host: Arc<Host>, vm: VmUuid, alias: String) {
    let turn = Arc::new(host.turns.of(vm).await);
    let Some(device) = host.removals.forget(vm, &alias) else { return };
    tracing::info!(%vm, device = %device.name, "a guest let go of a device that it was said to keep: attaching it again");
    if let Err(error) = attach(&host, &turn, vm, device).await {
        tracing::error!(%vm, alias, %error, "a device that a guest let go of too late is not attached again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(alias: &str) -> LiveDevice {
        LiveDevice { alias: alias.into(), target: None, file: None, xml: format!("<{alias}/>") }
    }

    fn name() -> DeviceName {
        DeviceName::Interface("fa:4c:ee:9a:76:00".parse().unwrap())
    }

    #[tokio::test]
    async fn an_answer_reaches_who_asked_for_that_device_of_that_vm() {
        let removals = Removals::default();
        let vm = VmUuid::random();
        let mut news = removals.subscribe(vm);
        removals.tell(VmUuid::random(), "net0", Removal::Done);
        removals.tell(vm, "net1", Removal::Done);
        removals.tell(vm, "net0", Removal::Refused);
        assert_eq!(news.about("net0").await, Removal::Refused);
    }

    #[test]
    fn only_a_device_that_was_given_up_is_put_back_and_only_once() {
        let removals = Removals::default();
        let vm = VmUuid::random();
        assert!(!removals.tell(vm, "net0", Removal::Done));
        removals.give_up(vm, &name(), &device("net0"));
        assert!(!removals.tell(vm, "net0", Removal::Refused));
        assert!(removals.tell(vm, "net0", Removal::Done));
        assert_eq!(removals.forget(vm, "net0").unwrap().xml, "<net0/>");
        assert!(!removals.tell(vm, "net0", Removal::Done));
    }

    #[test]
    fn a_vm_that_ended_takes_its_devices_with_it() {
        let removals = Removals::default();
        let (ended, other) = (VmUuid::random(), VmUuid::random());
        removals.give_up(ended, &name(), &device("net0"));
        removals.give_up(other, &name(), &device("net0"));
        removals.forget_vm(ended);
        assert!(!removals.tell(ended, "net0", Removal::Done));
        assert!(removals.tell(other, "net0", Removal::Done));
    }
}

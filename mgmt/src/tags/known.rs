//! The system tags that mean something, by the resources that can have them.

use super::check;
use crate::failure::Failure;

/// What a tag begins with that names the host whose local storage is to hold a new volume.
pub const LOCAL_STORAGE_HOST: &str = "localStorage::hostUuid::";

/// Who gives a resource a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Giver {
    /// A caller, at any time; it can be changed and taken away again.
    Anyone,
    /// An operator alone, at any time; operators change it and take it away again.
    Operator,
    /// A caller, with the call that makes the resource.
    Maker,
    /// The node itself.
    Node,
    /// Nobody: it is published and this node does not have what it asks for.
    Nobody,
}

/// What follows at once from a tag that comes, changes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing at once: it is read when it is needed, for a VM at its next start.
    WhenNeeded,
    /// The capacity of hosts is counted anew.
    HostCapacity,
    /// A VM that is off gets the address; for one that runs it is kept until its next start.
    Address,
}

/// A kind of system tag.
#[derive(Debug)]
pub struct KnownTag {
    /// The resource that can have it, such as `VmInstance`.
    pub resource: &'static str,
    /// How it is written, with `{name}` for what varies.
    pub form: &'static str,
    /// Who gives it.
    pub giver: Giver,
    /// Whether a resource can have several of it.
    pub several: bool,
    /// What follows from it.
    pub effect: Effect,
    pub(super) check: fn(&str) -> Result<(), Failure>,
}

impl KnownTag {
    const fn new(
        resource: &'static str,
        form: &'static str,
        giver: Giver,
        check: fn(&str) -> Result<(), Failure>,
    ) -> Self {
        Self { resource, form, giver, several: false, effect: Effect::WhenNeeded, check }
    }

    const fn several(self) -> Self {
        Self { several: true, ..self }
    }

    const fn with(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }

    /// What every tag of this kind begins with.
    pub fn prefix(&self) -> &'static str {
        self.form.split('{').next().unwrap_or(self.form)
    }

    /// Whether a tag is of this kind.
    pub fn is(&self, tag: &str) -> bool {
        tag.starts_with(self.prefix())
    }
}

/// Says that an image, or a VM, has the QEMU guest agent in it.
pub const QEMU_GUEST_AGENT: &str = "qemuga";

/// All kinds. A new one is one line here; what it means is where it is read.
pub static KNOWN: &[KnownTag] = &[
    KnownTag::new("VmInstance", "hostname::{name}", Giver::Anyone, check::vm),
    KnownTag::new("VmInstance", "staticIp::{l3NetworkUuid}::{ip}", Giver::Anyone, check::vm)
        .several()
        .with(Effect::Address),
    KnownTag::new("VmInstance", "customMac::{l3NetworkUuid}::{mac}", Giver::Maker, check::vm).several(),
    KnownTag::new("VmInstance", "userdata::{base64}", Giver::Anyone, check::vm),
    KnownTag::new("VmInstance", "sshkey::{publicKey}", Giver::Anyone, check::vm).several(),
    KnownTag::new("VmInstance", "bootMode::{mode}", Giver::Anyone, check::boot_mode),
    KnownTag::new("VmInstance", "vmConsoleMode::{mode}", Giver::Anyone, check::console_mode),
    KnownTag::new("VmInstance", "usbRedirect::{switch}", Giver::Anyone, check::usb_redirect),
    KnownTag::new("VmInstance", "iso::{imageUuid}::{drive}", Giver::Node, check::nothing).several(),
    KnownTag::new("VmInstance", QEMU_GUEST_AGENT, Giver::Anyone, check::guest_agent),
    KnownTag::new("VmInstance", "consolePassword::{password}", Giver::Nobody, check::nothing),
    KnownTag::new("VmInstance", "ha::{level}", Giver::Nobody, check::nothing),
    KnownTag::new("VmInstance", "vmCpuPinning::{policy}", Giver::Operator, check::vm),
    KnownTag::new("VmInstance", "pciDevice::{uuid}", Giver::Nobody, check::nothing).several(),
    KnownTag::new("VmInstance", "gpuOfferingUuid::{uuid}", Giver::Nobody, check::nothing),
    KnownTag::new("VmInstance", "affinityGroupUuid::{uuid}", Giver::Maker, check::vm),
    // A VM takes them over from its instance offering.
    KnownTag::new("VmInstance", "maxInstancePerHost::{number}", Giver::Node, check::nothing),
    KnownTag::new("VmInstance", "minimumCPUUsageHostAllocatorStrategyMode::{mode}", Giver::Node, check::nothing),
    KnownTag::new("VmInstance", "minimumMemoryUsageHostAllocatorStrategyMode::{mode}", Giver::Node, check::nothing),
    KnownTag::new("InstanceOffering", "maxInstancePerHost::{number}", Giver::Anyone, check::max_instances),
    KnownTag::new("InstanceOffering", "minimumCPUUsageHostAllocatorStrategyMode::{mode}", Giver::Anyone, check::mode),
    KnownTag::new(
        "InstanceOffering",
        "minimumMemoryUsageHostAllocatorStrategyMode::{mode}",
        Giver::Anyone,
        check::mode,
    ),
    KnownTag::new("InstanceOffering", "primaryStorage::allocator::uuid::{uuid}", Giver::Anyone, check::uuid),
    KnownTag::new("InstanceOffering", "primaryStorage::allocator::userTag::{tag}", Giver::Anyone, check::user_tag)
        .several(),
    KnownTag::new("DiskOffering", "primaryStorage::allocator::uuid::{uuid}", Giver::Anyone, check::uuid),
    KnownTag::new("DiskOffering", "primaryStorage::allocator::userTag::{tag}", Giver::Anyone, check::user_tag)
        .several(),
    KnownTag::new("Volume", "localStorage::hostUuid::{hostUuid}", Giver::Maker, check::local_storage_host),
    KnownTag::new("Volume", "ephemeral::shareable", Giver::Maker, check::shareable),
    KnownTag::new("Volume", "capability::virtio-scsi", Giver::Nobody, check::nothing),
    KnownTag::new("Image", "bootMode::{mode}", Giver::Anyone, check::boot_mode),
    KnownTag::new("Image", QEMU_GUEST_AGENT, Giver::Anyone, check::guest_agent),
    KnownTag::new("Image", "md5::{digest}", Giver::Maker, check::md5),
    KnownTag::new("Image", "sha256::{digest}", Giver::Maker, check::sha256),
    KnownTag::new("Host", "reservedMemory::{bytes}", Giver::Anyone, check::bytes).with(Effect::HostCapacity),
    KnownTag::new("Cluster", "host::reservedMemory::{bytes}", Giver::Anyone, check::bytes).with(Effect::HostCapacity),
    KnownTag::new("Zone", "host::reservedMemory::{bytes}", Giver::Anyone, check::bytes).with(Effect::HostCapacity),
    KnownTag::new("Host", "hostname::{name}", Giver::Node, check::nothing),
    KnownTag::new("Host", "os::distribution::{name}", Giver::Node, check::nothing),
    KnownTag::new("Host", "os::kernel::{version}", Giver::Node, check::nothing),
    KnownTag::new("Host", "cpu::model::{name}", Giver::Node, check::nothing),
    KnownTag::new("Host", "libvirt::version::{version}", Giver::Node, check::nothing),
    KnownTag::new("Host", "qemu::version::{version}", Giver::Node, check::nothing),
    KnownTag::new("Host", "agent::version::{version}", Giver::Node, check::nothing),
    KnownTag::new("Host", "acceleration::{kind}", Giver::Node, check::nothing),
    KnownTag::new("Host", "foreignDomain::{uuid}::{name}", Giver::Node, check::nothing).several(),
];

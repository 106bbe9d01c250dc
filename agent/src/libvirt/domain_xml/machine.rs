//! The machine itself: processor, memory, firmware, clock.

use gantry_common::agent::{CpuPin, Firmware, VmSpec};

use super::{Hypervisor, Placement, hardware::Hardware, xml::Element};

/// Where guests find their user data. cloud-init's NoCloud source reads this from the machine's serial number and
/// appends `meta-data` and `user-data` to the address, hence the slash at its end. Without `dsmode=net`, cloud-init
/// before 24.1 takes the data for local and stops before it applies any of it.
const CLOUD_INIT_SEED: &str = "ds=nocloud;dsmode=net;s=http://169.254.169.254/";

/// Memory, in bytes as the specification has it.
pub fn memory(spec: &VmSpec) -> Element {
    Element::text("memory", spec.memory_bytes).attr("unit", "bytes")
}

/// Virtual processors.
pub fn vcpu(spec: &VmSpec) -> Element {
    Element::text("vcpu", spec.cpu_num).attr("placement", "static")
}

/// Which virtual processors run on certain processors of the host alone; the others run on any.
pub fn cputune(spec: &VmSpec) -> Option<Element> {
    let pin = |pin: &CpuPin| Element::new("vcpupin").attr("vcpu", pin.vcpu).attr("cpuset", &pin.cpus);
    (!spec.cpu_pins.is_empty()).then(|| Element::new("cputune").children(spec.cpu_pins.iter().map(pin)))
}

/// What the firmware tells the guest about its machine.
pub fn sysinfo(spec: &VmSpec) -> Element {
    let entry = |name, value: &str| Element::text("entry", value).attr("name", name);
    Element::new("sysinfo").attr("type", "smbios").child(Element::new("system").children([
        entry("manufacturer", "Gantry"),
        entry("product", "Gantry VM"),
        entry("serial", CLOUD_INIT_SEED),
        entry("uuid", &spec.uuid.hyphenated()),
    ]))
}

/// Machine type and firmware.
pub fn os(spec: &VmSpec, hardware: Hardware, placement: &Placement) -> Element {
    let uefi = spec.firmware == Firmware::Uefi;
    let mut os = Element::new("os");
    if uefi {
        os = os.attr("firmware", "efi");
    }
    let kind = Element::text("type", "hvm").attr("arch", "x86_64").attr("machine", hardware.machine);
    let without_secure_boot =
        Element::new("firmware").child(Element::new("feature").attr("enabled", "no").attr("name", "secure-boot"));
    os.child(kind)
        .children(uefi.then_some(without_secure_boot))
        .children(placement.nvram.as_ref().filter(|_| uefi).map(|path| Element::text("nvram", path.display())))
        .child(Element::new("smbios").attr("mode", "sysinfo"))
}

/// What the platform offers beyond the processor.
pub fn features(hardware: Hardware, hypervisor: Hypervisor) -> Element {
    let on = |name| Element::new(name).attr("state", "on");
    let hyperv = || {
        Element::new("hyperv").children([
            on("relaxed"),
            on("vapic"),
            on("spinlocks").attr("retries", 8191),
            on("vpindex"),
            on("synic"),
            on("stimer"),
        ])
    };
    Element::new("features")
        .children([Element::new("acpi"), Element::new("apic")])
        .children((hardware.windows && hypervisor == Hypervisor::Kvm).then(hyperv))
}

/// The processor. All virtual processors are cores of one socket: Windows licences count sockets. Under emulation the
/// model is QEMU's own default, the one that every QEMU can emulate.
pub fn cpu(spec: &VmSpec, hypervisor: Hypervisor) -> Element {
    let cpu = match hypervisor {
        Hypervisor::Kvm => Element::new("cpu").attr("mode", "host-model").attr("check", "partial"),
        _ => Element::new("cpu"),
    };
    let topology =
        Element::new("topology").attr("sockets", 1).attr("dies", 1).attr("cores", spec.cpu_num).attr("threads", 1);
    cpu.child(topology)
}

/// The clock. Lost ticks are made up for the way each guest system expects it.
pub fn clock(hardware: Hardware, hypervisor: Hypervisor) -> Element {
    let clock = Element::new("clock").attr("offset", if hardware.windows { "localtime" } else { "utc" });
    if hypervisor != Hypervisor::Kvm {
        return clock;
    }
    let timer = |name| Element::new("timer").attr("name", name);
    clock
        .children([
            timer("rtc").attr("tickpolicy", "catchup"),
            timer("pit").attr("tickpolicy", "delay"),
            timer("hpet").attr("present", "no"),
        ])
        .children(hardware.windows.then(|| timer("hypervclock").attr("present", "yes")))
}

/// What becomes of the domain when the guest ends: nothing is left of it but after a restart.
pub fn lifecycle() -> [Element; 3] {
    [
        Element::text("on_poweroff", "destroy"),
        Element::text("on_reboot", "restart"),
        Element::text("on_crash", "destroy"),
    ]
}

/// No sleep states: a guest that puts itself to sleep would have nobody to wake it.
pub fn power_management() -> Element {
    Element::new("pm").children([
        Element::new("suspend-to-mem").attr("enabled", "no"),
        Element::new("suspend-to-disk").attr("enabled", "no"),
    ])
}

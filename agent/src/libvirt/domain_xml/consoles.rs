//! How people and the agent reach a guest: screen, serial line, guest agent; and the small virtio devices.

use gantry_common::agent::VmSpec;

use super::{Placement, hardware::Hardware, xml::Element};

/// How often the guest's balloon driver reports memory use.
const BALLOON_PERIOD_SECONDS: u32 = 10;

/// The screen, with the tablet that keeps the pointers together. It is served by VNC: on a port of libvirt's choice, or on
/// none, and then only to whom libvirt hands a connection (`virDomainOpenGraphicsFD`).
pub fn screen(spec: &VmSpec, hardware: Hardware) -> [Element; 4] {
    let graphics = Element::new("graphics").attr("type", "vnc");
    let graphics = match spec.console_listen {
        Some(address) => graphics
            .attr("port", -1)
            .attr("autoport", "yes")
            .child(Element::new("listen").attr("type", "address").attr("address", address)),
        None => graphics.child(Element::new("listen").attr("type", "none")),
    };
    [
        Element::new("controller").attr("type", "usb").attr("model", hardware.usb),
        Element::new("input").attr("type", "tablet").attr("bus", "usb"),
        graphics,
        Element::new("video").child(Element::new("model").attr("type", "vga").attr("heads", 1)),
    ]
}

/// The serial line: a pseudo terminal for `virsh console`, recorded in a file that virtlogd keeps short.
pub fn serial(placement: &Placement) -> [Element; 2] {
    let record = Element::new("log").attr("file", placement.serial_log.display()).attr("append", "on");
    [
        Element::new("serial")
            .attr("type", "pty")
            .child(record)
            .child(Element::new("target").attr("type", "isa-serial").attr("port", 0)),
        Element::new("console")
            .attr("type", "pty")
            .child(Element::new("target").attr("type", "serial").attr("port", 0)),
    ]
}

/// The guest agent's channel, a balloon that reports memory use, and a source of random numbers, for guests that
/// drive virtio.
pub fn guest_support(hardware: Hardware) -> Vec<Element> {
    if !hardware.virtio {
        return vec![Element::new("memballoon").attr("model", "none")];
    }
    vec![
        Element::new("channel")
            .attr("type", "unix")
            .child(Element::new("target").attr("type", "virtio").attr("name", "org.qemu.guest_agent.0")),
        Element::new("memballoon")
            .attr("model", "virtio")
            .child(Element::new("stats").attr("period", BALLOON_PERIOD_SECONDS)),
        Element::new("rng")
            .attr("model", "virtio")
            .child(Element::text("backend", "/dev/urandom").attr("model", "random")),
    ]
}

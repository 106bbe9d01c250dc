//! The agent's VMs on a real libvirtd with real QEMU processes, by emulation where need be. Each test runs on a lab host
//! of its own: it makes a bridge, and it kills libvirtd.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it cannot go on")]

mod discs;
mod disks;
mod fixture;
mod guests;
mod lab_host;
mod libvirtd;
mod nics;

//! What is asked of a host, and what a judgement of it says.

use std::fmt;

use serde::Serialize;

use super::{packages::Component, types::KernelFeature};
use crate::id::{HostUuid, NodeUuid};

/// What is asked of a host.
#[derive(Debug, Clone)]
pub struct HostPolicy {
    /// Whether a host without hardware virtualisation may run its guests by emulation.
    pub allow_emulation: bool,
    /// The management node that wants the host; `None` when no node is concerned.
    pub node: Option<NodeUuid>,
    /// Which host it is to that node.
    pub host: Option<HostUuid>,
    /// The port the agent is to listen on.
    pub agent_port: u16,
    /// The architecture of the agent's program, as `uname -m` says it.
    pub agent_architecture: String,
    /// The size of the agent's program.
    pub agent_bytes: u64,
    /// The judge's own clock, in seconds since 1970; `None` when it is the host's clock too.
    pub clock_epoch_seconds: Option<i64>,
}

/// One judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub found: String,
    /// What to do about it; empty where nothing has to be done.
    pub remedy: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// The host can be used, with a drawback.
    Warning,
    /// Installing a package mends it, and a source for packages is there.
    MissingPackage(Component),
    /// The host cannot be used.
    Fatal,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// The operating system and its package manager.
    OperatingSystem,
    /// The processor's architecture.
    Architecture,
    /// Whether the probe ran as root.
    Privilege,
    /// systemd as init.
    Systemd,
    /// Hardware virtualisation.
    Virtualisation,
    /// Whether QEMU may use `/dev/kvm`.
    KvmAccess,
    /// Groups for device passthrough.
    Iommu,
    /// A feature of the kernel.
    Kernel(KernelFeature),
    /// A program that a package brings.
    Component(Component),
    /// libvirt's daemon runs, or will once it is enabled.
    LibvirtService,
    /// Free space and inodes, and permission to write.
    Disk,
    /// The agent's port is free.
    Port,
    /// No other management node runs the host.
    Owner,
    /// The host's clock agrees with the management node's.
    Clock,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OperatingSystem => f.write_str("operating system"),
            Self::Architecture => f.write_str("architecture"),
            Self::Privilege => f.write_str("privilege"),
            Self::Systemd => f.write_str("systemd"),
            Self::Virtualisation => f.write_str("virtualisation"),
            Self::KvmAccess => f.write_str("kvm access"),
            Self::Iommu => f.write_str("iommu"),
            Self::Kernel(feature) => write!(f, "kernel: {}", feature.module()),
            Self::Component(component) => write!(f, "{component}"),
            Self::LibvirtService => f.write_str("libvirt service"),
            Self::Disk => f.write_str("disk"),
            Self::Port => f.write_str("port"),
            Self::Owner => f.write_str("owner"),
            Self::Clock => f.write_str("clock"),
        }
    }
}

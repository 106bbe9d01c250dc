//! What a KVM host must have, judged from what the probe found.

use super::{
    finding::{Check, Finding, HostPolicy, Severity},
    packages::Component,
    types::{CpuVirtualisation, FeatureState, KernelFeature, ProbedHost, Version},
};

/// The oldest libvirt the agent works with.
pub const LIBVIRT_MIN: Version = Version(8, 0);
/// The oldest QEMU the agent works with.
pub const QEMU_MIN: Version = Version(6, 2);
/// Room for the agent, its configuration and what was there before.
const SETUP_BYTES: u64 = 64 << 20;
/// Room for libvirt, QEMU and what they bring along.
const PACKAGES_BYTES: u64 = 2 << 30;
/// Files that setting up may make.
const SETUP_INODES: u64 = 100;
/// A clock this far off is worth mending; this much further and certificates are refused.
const SKEW_WARNING_SECONDS: u64 = 5;
const SKEW_FATAL_SECONDS: u64 = 300;

/// Judges a host. Every check is made whatever the others say, so that one look names all that is wrong.
pub fn check_host(host: &ProbedHost, policy: &HostPolicy) -> Vec<Finding> {
    let mut findings = vec![
        operating_system(host),
        architecture(host, policy),
        privilege(host),
        systemd(host),
        virtualisation(host, policy),
        kvm_access(host, policy),
        iommu(host),
    ];
    findings.extend(KernelFeature::ALL.map(|feature| kernel(host, feature)));
    findings.extend(Component::ALL.map(|part| component(host, part)));
    findings.push(libvirt_service(host));
    let installs = findings.iter().any(|finding| matches!(finding.severity, Severity::MissingPackage(_)));
    findings.extend(disks(host, policy, installs));
    findings.extend([port(host, policy), owner(host, policy), clock(host, policy)]);
    findings
}

fn ok(check: Check, found: impl Into<String>) -> Finding {
    Finding { check, severity: Severity::Ok, found: found.into(), remedy: String::new() }
}

fn warning(check: Check, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { check, severity: Severity::Warning, found: found.into(), remedy: remedy.into() }
}

fn fatal(check: Check, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { check, severity: Severity::Fatal, found: found.into(), remedy: remedy.into() }
}

fn operating_system(host: &ProbedHost) -> Finding {
    let found = format!("{} with kernel {}", host.os.name, host.kernel);
    match host.packages.manager {
        Some(_) => ok(Check::OperatingSystem, found),
        None => warning(
            Check::OperatingSystem,
            format!("{found}, without apt, dnf or zypper"),
            "nothing can be installed here automatically: keep libvirt and QEMU installed by other means",
        ),
    }
}

fn architecture(host: &ProbedHost, policy: &HostPolicy) -> Finding {
    if host.architecture == policy.agent_architecture {
        return ok(Check::Architecture, &host.architecture);
    }
    fatal(
        Check::Architecture,
        format!("the host is {} and the agent is built for {}", host.architecture, policy.agent_architecture),
        format!("use a host of architecture {}", policy.agent_architecture),
    )
}

fn privilege(host: &ProbedHost) -> Finding {
    match host.uid {
        0 => ok(Check::Privilege, "root"),
        uid => warning(
            Check::Privilege,
            format!("the check ran as user {uid}"),
            "run it as root: some things cannot be seen without",
        ),
    }
}

fn systemd(host: &ProbedHost) -> Finding {
    match host.systemd {
        Some(version) => ok(Check::Systemd, format!("systemd {version}")),
        None => fatal(
            Check::Systemd,
            "systemd does not run as init",
            "use a host that was booted with systemd: the agent is a systemd service",
        ),
    }
}

fn virtualisation(host: &ProbedHost, policy: &HostPolicy) -> Finding {
    let check = Check::Virtualisation;
    let (found, remedy) = match (host.cpu_virtualisation, host.kvm_device, host.architecture.as_str()) {
        (Some(extension), true, _) => {
            let name = match extension {
                CpuVirtualisation::Vmx => "Intel VT-x (vmx)",
                CpuVirtualisation::Svm => "AMD-V (svm)",
            };
            return ok(check, name);
        }
        (None, true, "aarch64") => return ok(check, "KVM on ARM"),
        (Some(_), false, _) => (
            "the processor has hardware virtualisation, but /dev/kvm is not there",
            "enable virtualisation in the firmware and load the module kvm_intel or kvm_amd",
        ),
        (None, _, _) => (
            "the processor shows neither vmx nor svm",
            "enable virtualisation in the firmware, or nested virtualisation if the host is itself a virtual machine",
        ),
    };
    if policy.allow_emulation {
        warning(check, format!("{found}: guests are emulated and run slowly"), remedy)
    } else {
        fatal(check, found, format!("{remedy}; or allow emulation, with which guests run slowly"))
    }
}

/// libvirt probes QEMU as root and finds KVM, finds that its guests may not use it, takes what it learned for outdated
/// and probes again: at every call, which then takes seconds.
fn kvm_access(host: &ProbedHost, policy: &HostPolicy) -> Finding {
    let check = Check::KvmAccess;
    let access = match &host.kvm_access {
        _ if !host.kvm_device => return ok(check, "no /dev/kvm"),
        None => return ok(check, "seen by root only, once libvirt is installed"),
        Some(access) if access.allowed => return ok(check, format!("{} may use /dev/kvm", access.user)),
        Some(access) => access,
    };
    let user = &access.user;
    let found =
        format!("QEMU's user {user} may not use /dev/kvm: guests cannot, and every call to libvirt takes seconds");
    let remedy = format!(
        "`chgrp kvm /dev/kvm && chmod 660 /dev/kvm`, as udev's rules have it; if {user} is not in the group kvm, also \
         `usermod -aG kvm {user}` and restart libvirt"
    );
    if policy.allow_emulation { warning(check, found, remedy) } else { fatal(check, found, remedy) }
}

fn iommu(host: &ProbedHost) -> Finding {
    match host.iommu_groups {
        0 => ok(Check::Iommu, "no groups: devices cannot be passed through to guests"),
        groups => ok(Check::Iommu, format!("{groups} groups")),
    }
}

fn kernel(host: &ProbedHost, feature: KernelFeature) -> Finding {
    let check = Check::Kernel(feature);
    match host.features.get(&feature).copied().unwrap_or(FeatureState::Unknown) {
        FeatureState::Present => ok(check, "present"),
        FeatureState::Loadable => ok(check, "loaded when needed"),
        FeatureState::Missing => fatal(
            check,
            format!("kernel {} lacks {}", host.kernel, feature.module()),
            "install the distribution's full kernel with its modules, and reboot",
        ),
        FeatureState::Unknown => warning(
            check,
            format!("the modules of the running kernel {} are not on the host", host.kernel),
            "if the kernel was upgraded, reboot into the new one",
        ),
    }
}

fn component(host: &ProbedHost, part: Component) -> Finding {
    let check = Check::Component(part);
    let too_old = |version: Version, min: Version| {
        fatal(check, format!("version {version} is older than {min}"), "upgrade the host's distribution")
    };
    let there = match part {
        Component::Libvirt => match host.libvirt.daemon() {
            Some((_, version)) if version < LIBVIRT_MIN => return too_old(version, LIBVIRT_MIN),
            Some((daemon, version)) => return ok(check, format!("{} {version}", daemon.name())),
            None => false,
        },
        Component::Qemu => match &host.qemu {
            Some(qemu) if qemu.version < QEMU_MIN => return too_old(qemu.version, QEMU_MIN),
            Some(qemu) => return ok(check, format!("{} {}", qemu.path, qemu.version)),
            None => false,
        },
        Component::QemuImg => host.qemu_img,
        Component::Firmware => host.firmware,
        Component::Dnsmasq => host.dnsmasq,
        Component::Nftables => host.nft,
    };
    if there { ok(check, "installed") } else { missing(host, part) }
}

fn missing(host: &ProbedHost, part: Component) -> Finding {
    let check = Check::Component(part);
    let Some(manager) = host.packages.manager else {
        return fatal(check, "not installed, and no known package manager", "install it on the host");
    };
    let package = part.package(manager, &host.architecture);
    // A package that is not offered may only be missing from lists that were never fetched.
    if host.packages.sources == Some(0) && !host.packages.offered.contains(package) {
        return fatal(
            check,
            format!("not installed, and {manager} has no package source"),
            format!("configure a package source on the host, or install {package} there"),
        );
    }
    Finding {
        check,
        severity: Severity::MissingPackage(part),
        found: "not installed".to_owned(),
        remedy: format!("install {package} with {manager}; adding the host does so"),
    }
}

fn libvirt_service(host: &ProbedHost) -> Finding {
    let check = Check::LibvirtService;
    let Some((daemon, _)) = host.libvirt.daemon() else {
        return ok(check, "comes with libvirt");
    };
    let name = daemon.name();
    match (host.libvirt.is_running(daemon), host.libvirt.is_enabled(daemon)) {
        (true, true) => ok(check, format!("{name} runs")),
        (running, _) => {
            let found = if running { "runs but is not started at boot" } else { "does not run" };
            warning(
                check,
                format!("{name} {found}"),
                format!("`systemctl enable --now {name}.socket`; adding the host does so"),
            )
        }
    }
}

fn disks(host: &ProbedHost, policy: &HostPolicy, installs: bool) -> Vec<Finding> {
    let mut findings: Vec<_> = host
        .disks
        .iter()
        .filter_map(|disk| {
            let mut needed = SETUP_BYTES;
            match disk.path.as_str() {
                // The program that runs now is kept beside the new one until the new one is known to work.
                "/usr/local" => needed += 2 * policy.agent_bytes,
                "/var" => needed += 3 * policy.agent_bytes,
                _ => {}
            }
            if installs && matches!(disk.path.as_str(), "/" | "/var") {
                needed += PACKAGES_BYTES;
            }
            let path = &disk.path;
            if host.uid == 0 && !disk.writable {
                Some(fatal(Check::Disk, format!("{path} is mounted read-only"), "mount it read-write"))
            } else if disk.available_bytes < needed {
                let (free, needed) = (disk.available_bytes >> 20, needed.div_ceil(1 << 20));
                Some(fatal(
                    Check::Disk,
                    format!("{path} has {free} MiB free and {needed} MiB are needed"),
                    format!("free space on the file system of {path}"),
                ))
            } else if disk.available_inodes.is_some_and(|inodes| inodes < SETUP_INODES) {
                Some(fatal(
                    Check::Disk,
                    format!("the file system of {path} has no inodes left for new files"),
                    format!("delete files on the file system of {path}"),
                ))
            } else {
                None
            }
        })
        .collect();
    if findings.is_empty() {
        let least = host.disks.iter().map(|disk| disk.available_bytes).min().unwrap_or_default();
        findings.push(ok(Check::Disk, format!("at least {} MiB free", least >> 20)));
    }
    findings
}

fn port(host: &ProbedHost, policy: &HostPolicy) -> Finding {
    let port = policy.agent_port;
    match (host.listening_ports.contains(&port), host.agent.running) {
        (false, _) => ok(Check::Port, format!("{port} is free")),
        (true, true) => ok(Check::Port, format!("{port} is the agent's")),
        (true, false) => fatal(
            Check::Port,
            format!("another program listens on port {port}, which the agent needs"),
            format!("find it with `ss -ltnp 'sport = :{port}'` and stop it, or give the agent another port"),
        ),
    }
}

fn owner(host: &ProbedHost, policy: &HostPolicy) -> Finding {
    let check = Check::Owner;
    match (host.agent.node, policy.node) {
        (None, _) if host.agent.configured && host.uid == 0 => warning(
            check,
            "/etc/gantry/agent.toml is there but names no management node",
            "adding the host replaces it",
        ),
        (None, _) if host.agent.configured => ok(check, "configured; only root can see for which management node"),
        (None, _) => ok(check, "no management node"),
        (Some(node), None) => ok(check, format!("management node {node}")),
        (Some(node), Some(ours)) if node != ours => fatal(
            check,
            format!("the host is run by another management node, {node}"),
            "delete the host there first; if that node is gone for good, stop the service gantry-agent on the host and \
             delete /etc/gantry/agent.toml",
        ),
        (Some(_), Some(_)) => match (host.agent.host, policy.host) {
            (Some(theirs), Some(ours)) if theirs != ours => warning(
                check,
                format!("this management node already set the host up as {theirs}"),
                "make sure that it is not in the inventory under another address",
            ),
            _ => ok(check, "this management node"),
        },
    }
}

fn clock(host: &ProbedHost, policy: &HostPolicy) -> Finding {
    let Some(ours) = policy.clock_epoch_seconds else {
        return ok(Check::Clock, "not compared");
    };
    let seconds = host.clock_epoch_seconds.abs_diff(ours);
    let direction = if host.clock_epoch_seconds < ours { "behind" } else { "ahead of" };
    let found = format!("{seconds} s {direction} the management node");
    let remedy = "let the host keep time, for example with `timedatectl set-ntp true`";
    if seconds <= SKEW_WARNING_SECONDS {
        ok(Check::Clock, "agrees with the management node")
    } else if seconds <= SKEW_FATAL_SECONDS {
        warning(Check::Clock, found, remedy)
    } else {
        fatal(Check::Clock, found, format!("{remedy}: certificates are not valid at such a time"))
    }
}

#[cfg(test)]
mod tests;

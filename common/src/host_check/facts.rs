//! Reads what the probe printed.

use std::{collections::BTreeMap, str::FromStr};

use super::types::{
    CpuVirtualisation, DiskSpace, FeatureState, InstalledAgent, KernelFeature, KvmAccess, LibvirtDaemon, LibvirtFacts,
    OperatingSystem, PackageFacts, ProbedHost, Qemu, SystemdUnit,
};

/// Why the text is no probe's output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The last line is missing.
    #[error("the probe's output is cut off after '{last}'")]
    CutOff {
        /// The last line that arrived.
        last: String,
    },
    /// A line without a key.
    #[error("the probe printed '{0}', which is no key=value line")]
    NoPair(String),
    /// A key that should be there once.
    #[error("the probe did not print '{0}' once")]
    NotOnce(String),
    /// A key nobody knows.
    #[error("the probe printed the unknown key '{0}'")]
    UnknownKey(String),
    /// A value that is none of the key's.
    #[error("the probe printed {key}='{value}', which is not {expected}")]
    BadValue {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl ProbedHost {
    /// Reads the probe's output. Whatever follows the last line is ignored.
    ///
    /// # Errors
    /// [`ProbeError`] unless every key is there as often as it may be, with a value it may have.
    pub fn parse(output: &str) -> Result<Self, ProbeError> {
        let mut lines = Lines::read(output)?;
        let facts = Self {
            uid: lines.number("uid")?,
            clock_epoch_seconds: lines.number("clock")?,
            hostname: lines.one("hostname")?,
            addresses: lines.many("address", "an IP address", |text| text.parse().ok())?,
            architecture: lines.one("architecture")?,
            kernel: lines.one("kernel")?,
            os: OperatingSystem {
                id: lines.one("os_id")?,
                version: lines.one("os_version")?,
                name: lines.one("os_name")?,
            },
            systemd: lines.optional("systemd", "a version number", |text| text.parse().ok())?,
            cpu_count: lines.number("cpu_count")?,
            cpu_virtualisation: lines.optional("cpu_virtualisation", "vmx or svm", |text| match text {
                "vmx" => Some(CpuVirtualisation::Vmx),
                "svm" => Some(CpuVirtualisation::Svm),
                _ => None,
            })?,
            memory_bytes: lines
                .value("memory_kib", "a size", |text| text.parse::<u64>().ok().and_then(|kib| kib.checked_mul(1024)))?,
            kvm_device: lines.flag("kvm_device")?,
            kvm_access: lines.optional("kvm_access", "a user and whether it has access", |text| {
                let [user, allowed] = words(text)?;
                Some(KvmAccess { user: user.to_owned(), allowed: yes_or_no(allowed)? })
            })?,
            iommu_groups: lines.number("iommu_groups")?,
            features: KernelFeature::ALL
                .into_iter()
                .map(|feature| Ok((feature, lines.feature(feature)?)))
                .collect::<Result<_, ProbeError>>()?,
            libvirt: LibvirtFacts {
                daemons: lines.many("libvirt_daemon", "a daemon and its version", |text| {
                    let (name, version) = text.split_once(' ')?;
                    Some((daemon(name)?, version.parse().ok()?))
                })?,
                units: lines.many("libvirt_unit", "a unit with its states", unit)?,
                sockets: [("libvirt_socket", LibvirtDaemon::Libvirtd), ("virtqemud_socket", LibvirtDaemon::Virtqemud)]
                    .into_iter()
                    .filter_map(|(key, daemon)| match lines.flag(key) {
                        Ok(there) => there.then_some(Ok(daemon)),
                        Err(error) => Some(Err(error)),
                    })
                    .collect::<Result<_, _>>()?,
            },
            qemu: lines.optional("qemu", "a path and a version", |text| {
                let (path, version) = text.split_once(' ')?;
                Some(Qemu { path: path.to_owned(), version: version.parse().ok()? })
            })?,
            qemu_img: lines.flag("qemu_img")?,
            dnsmasq: lines.flag("dnsmasq")?,
            nft: lines.flag("nft")?,
            firmware: lines.flag("firmware")?,
            packages: PackageFacts {
                manager: lines.optional("package_manager", "a package manager", |text| text.parse().ok())?,
                sources: lines.at_most_one("package_sources", "a number", |text| text.parse().ok())?,
                offered: lines.many("package", "a package's name", |text| Some(text.to_owned()))?,
            },
            disks: lines.many(
                "disk",
                "a directory with its free bytes, free inodes and whether it is writable",
                disk,
            )?,
            listening_ports: lines.many("listen", "a port in hex", |text| u16::from_str_radix(text, 16).ok())?,
            agent: InstalledAgent {
                digest: lines.optional("agent_digest", "a SHA-256", |text| text.parse().ok())?,
                configured: lines.flag("agent_configured")?,
                node: lines.optional("node_uuid", "a uuid", |text| text.parse().ok())?,
                host: lines.optional("host_uuid", "a uuid", |text| text.parse().ok())?,
                running: lines.one("agent_service")? == "active",
            },
        };
        lines.none_left()?;
        Ok(facts)
    }
}

fn daemon(name: &str) -> Option<LibvirtDaemon> {
    [LibvirtDaemon::Libvirtd, LibvirtDaemon::Virtqemud].into_iter().find(|daemon| daemon.name() == name)
}

fn unit(text: &str) -> Option<SystemdUnit> {
    let [name, active, file] = words(text)?;
    Some(SystemdUnit { name: name.to_owned(), active: active == "active", enabled: file.starts_with("enabled") })
}

fn disk(text: &str) -> Option<DiskSpace> {
    let [path, bytes, inodes, writable] = words(text)?;
    Some(DiskSpace {
        path: path.to_owned(),
        available_bytes: bytes.parse().ok()?,
        available_inodes: if inodes == "-" { None } else { Some(inodes.parse().ok()?) },
        writable: yes_or_no(writable)?,
    })
}

fn words<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split(' ').collect::<Vec<_>>().try_into().ok()
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// The lines that nobody has read yet, by key.
struct Lines<'a>(BTreeMap<&'a str, Vec<&'a str>>);

impl<'a> Lines<'a> {
    const END: &'static str = "end=gantry-probe";

    fn read(output: &'a str) -> Result<Self, ProbeError> {
        let mut lines: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut last = "";
        for line in output.lines() {
            if line == Self::END {
                return Ok(Self(lines));
            }
            let (key, value) = line.split_once('=').ok_or_else(|| ProbeError::NoPair(shown(line)))?;
            lines.entry(key).or_default().push(value);
            last = line;
        }
        Err(ProbeError::CutOff { last: shown(last) })
    }

    fn many<T, C: FromIterator<T>>(
        &mut self,
        key: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<C, ProbeError> {
        let bad = |value: &str| ProbeError::BadValue { key: key.to_owned(), value: shown(value), expected };
        self.0.remove(key).unwrap_or_default().into_iter().map(|value| parse(value).ok_or_else(|| bad(value))).collect()
    }

    fn at_most_one<T>(
        &mut self,
        key: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ProbeError> {
        let mut values: Vec<T> = self.many(key, expected, parse)?;
        let value = values.pop();
        if values.is_empty() { Ok(value) } else { Err(ProbeError::NotOnce(key.to_owned())) }
    }

    fn value<T>(
        &mut self,
        key: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ProbeError> {
        self.at_most_one(key, expected, parse)?.ok_or_else(|| ProbeError::NotOnce(key.to_owned()))
    }

    /// A key that is always there and whose value may be empty.
    fn optional<T>(
        &mut self,
        key: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ProbeError> {
        self.value(key, expected, |text| if text.is_empty() { Some(None) } else { parse(text).map(Some) })
    }

    fn one(&mut self, key: &str) -> Result<String, ProbeError> {
        self.value(key, "text", |text| Some(text.to_owned()))
    }

    fn number<T: FromStr>(&mut self, key: &str) -> Result<T, ProbeError> {
        self.value(key, "a number", |text| text.parse().ok())
    }

    fn flag(&mut self, key: &str) -> Result<bool, ProbeError> {
        self.value(key, "yes or no", yes_or_no)
    }

    fn feature(&mut self, feature: KernelFeature) -> Result<FeatureState, ProbeError> {
        let key = format!("feature_{}", feature.module());
        self.value(&key, "present, loadable, missing or unknown", |text| match text {
            "present" => Some(FeatureState::Present),
            "loadable" => Some(FeatureState::Loadable),
            "missing" => Some(FeatureState::Missing),
            "unknown" => Some(FeatureState::Unknown),
            _ => None,
        })
    }

    fn none_left(self) -> Result<(), ProbeError> {
        self.0.into_keys().next().map_or(Ok(()), |key| Err(ProbeError::UnknownKey(shown(key))))
    }
}

/// Enough of a line to recognise it by.
fn shown(line: &str) -> String {
    line.chars().filter(|char| !char.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host_check::{PackageManager, Version};

    const LAB_HOST: &str = include_str!("fixtures/lab-host.txt");
    const FEDORA: &str = include_str!("fixtures/fedora.txt");

    #[test]
    fn the_probe_of_a_ready_debian_host_is_read() {
        let facts = ProbedHost::parse(LAB_HOST).unwrap();
        assert_eq!(facts.hostname, "host1");
        assert_eq!(facts.os.id, "debian");
        assert_eq!(facts.systemd, Some(252));
        assert_eq!(facts.libvirt.daemon(), Some((LibvirtDaemon::Libvirtd, Version(9, 0))));
        assert!(facts.libvirt.is_running(LibvirtDaemon::Libvirtd));
        assert_eq!(facts.qemu.unwrap().version, Version(7, 2));
        assert_eq!(facts.packages.sources, None);
        assert!(facts.listening_ports.contains(&22));
        assert_eq!(facts.disks.len(), 4);
        assert_eq!(facts.agent, InstalledAgent::default());
    }

    #[test]
    fn the_probe_of_a_bare_host_is_read() {
        let facts = ProbedHost::parse(include_str!("fixtures/bare-host.txt")).unwrap();
        assert_eq!(facts.libvirt.daemon(), None);
        assert_eq!(facts.qemu, None);
        assert_eq!(facts.packages.sources, Some(9));
        assert!(facts.packages.offered.is_empty());
    }

    #[test]
    fn the_probe_of_a_machine_without_systemd_is_read() {
        let facts = ProbedHost::parse(include_str!("fixtures/no-systemd.txt")).unwrap();
        assert_eq!(facts.systemd, None);
        assert!(facts.kvm_device);
        assert_eq!(facts.kvm_access, Some(KvmAccess { user: "libvirt-qemu".to_owned(), allowed: false }));
        assert!(!facts.libvirt.is_running(LibvirtDaemon::Libvirtd));
    }

    #[test]
    fn the_probe_of_a_fedora_host_with_modular_daemons_is_read() {
        let facts = ProbedHost::parse(FEDORA).unwrap();
        assert_eq!(facts.cpu_virtualisation, Some(CpuVirtualisation::Svm));
        assert_eq!(facts.packages.manager, Some(PackageManager::Dnf));
        assert_eq!(facts.libvirt.daemon(), Some((LibvirtDaemon::Virtqemud, Version(10, 6))));
        assert!(facts.libvirt.is_enabled(LibvirtDaemon::Virtqemud));
        assert_eq!(facts.disks[0].available_inodes, None);
        assert_eq!(facts.agent.node, Some("8aef7e3a53b34eedaa05027a919156d9".parse().unwrap()));
        assert!(facts.agent.running);
    }

    #[test]
    fn a_probe_that_was_cut_off_anywhere_is_refused() {
        for (end, _) in LAB_HOST.trim_end().char_indices() {
            assert!(ProbedHost::parse(&LAB_HOST[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_missing_a_doubled_and_an_unknown_key_are_refused() {
        let missing = LAB_HOST.replace("uid=0\n", "");
        assert_eq!(ProbedHost::parse(&missing), Err(ProbeError::NotOnce("uid".into())));
        let doubled = LAB_HOST.replace("uid=0\n", "uid=0\nuid=0\n");
        assert_eq!(ProbedHost::parse(&doubled), Err(ProbeError::NotOnce("uid".into())));
        let unknown = LAB_HOST.replace("uid=0\n", "uid=0\nhat=straw\n");
        assert_eq!(ProbedHost::parse(&unknown), Err(ProbeError::UnknownKey("hat".into())));
    }

    #[test]
    fn a_value_that_is_none_of_the_keys_is_refused_with_the_key_named() {
        let error = ProbedHost::parse(&LAB_HOST.replace("kvm_device=no", "kvm_device=maybe")).unwrap_err();
        assert_eq!(error.to_string(), "the probe printed kvm_device='maybe', which is not yes or no");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let _ = ProbedHost::parse(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn no_change_to_one_line_makes_the_reader_panic(line in 0usize..46, text in ".{0,60}", fedora: bool) {
            let fixture = if fedora { FEDORA } else { LAB_HOST };
            let mut lines: Vec<_> = fixture.lines().map(str::to_owned).collect();
            let line = line % lines.len();
            let key = lines[line].split('=').next().unwrap_or_default().to_owned();
            lines[line] = format!("{key}={text}");
            let _ = ProbedHost::parse(&lines.join("\n"));
        }
    }
}

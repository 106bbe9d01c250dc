//! What this host is and has.

use std::{collections::BTreeSet, fs, io, path::Path, time::Duration};

use futures_util::TryStreamExt;
use gantry_common::{
    agent::{Acceleration, HostFacts},
    cpu_set::CpuSet,
};
use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage};

use crate::libvirt::{Executor, acceleration, failed};

const VERSIONS_DEADLINE: Duration = Duration::from_secs(10);

/// The host's facts. libvirt is asked by way of `libvirt`; while it cannot be asked, its versions are empty. What the
/// kernel does not tell is empty or zero.
pub async fn facts(libvirt: &Executor) -> HostFacts {
    let (libvirt_version, qemu_version) = versions(libvirt).await.unwrap_or_default();
    let interfaces = uplinks().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the network interfaces cannot be listed");
        Vec::new()
    });
    let facts =
        tokio::task::spawn_blocking(move || HostFacts { libvirt_version, qemu_version, interfaces, ..local_facts() });
    facts.await.unwrap_or_else(|error| {
        tracing::error!(%error, "reading the host's facts failed");
        local_facts()
    })
}

async fn versions(libvirt: &Executor) -> Option<(String, String)> {
    let ask = libvirt.call("virConnectGetVersion", VERSIONS_DEADLINE, |connection| {
        let libvirt = connection.get_lib_version().map_err(failed("virConnectGetLibVersion"))?;
        let hypervisor = connection.get_hyp_version().map_err(failed("virConnectGetVersion"))?;
        Ok((version(libvirt), version(hypervisor)))
    });
    ask.await.inspect_err(|error| tracing::debug!(%error, "libvirt's versions are not known")).ok()
}

/// libvirt writes 9.0.0 as 9000000.
fn version(number: u32) -> String {
    format!("{}.{}.{}", number / 1_000_000, number / 1_000 % 1_000, number % 1_000)
}

/// What the kernel and the files tell, without libvirt and the network interfaces.
pub fn local_facts() -> HostFacts {
    let cpuinfo = text("/proc/cpuinfo");
    let cpus = online_cpus();
    HostFacts {
        agent_version: env!("CARGO_PKG_VERSION").into(),
        boot_id: text("/proc/sys/kernel/random/boot_id").trim().into(),
        hostname: text("/proc/sys/kernel/hostname").trim().into(),
        operating_system: os_name(&text("/etc/os-release")).unwrap_or_default(),
        kernel: text("/proc/sys/kernel/osrelease").trim().into(),
        cpu_model: cpu_field(&cpuinfo, "model name").unwrap_or_default().into(),
        cpu_num: cpus.len() as u32,
        cpus,
        cpu_sockets: sockets(Path::new("/sys/devices/system/cpu")).unwrap_or(1),
        cpu_mhz: mhz(&cpuinfo),
        memory_bytes: memory_bytes(&text("/proc/meminfo")).unwrap_or_default(),
        acceleration: acceleration().unwrap_or(Acceleration::Emulation),
        libvirt_version: String::new(),
        qemu_version: String::new(),
        interfaces: Vec::new(),
    }
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| {
        tracing::debug!(path, %error, "a fact is not known");
        String::new()
    })
}

fn os_name(os_release: &str) -> Option<String> {
    let value = |key| os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let name = value("PRETTY_NAME").or_else(|| value("NAME"))?;
    Some(name.trim_matches(['"', '\'']).to_owned())
}

fn cpu_field<'a>(cpuinfo: &'a str, field: &str) -> Option<&'a str> {
    cpuinfo.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == field).map(|(_, v)| v.trim())
}

/// The logical processors that are online.
pub fn online_cpus() -> CpuSet {
    text("/sys/devices/system/cpu/online").parse().unwrap_or_default()
}

fn sockets(cpus: &Path) -> io::Result<u32> {
    let mut packages = BTreeSet::new();
    for cpu in fs::read_dir(cpus)? {
        if let Ok(package) = fs::read_to_string(cpu?.path().join("topology/physical_package_id")) {
            packages.insert(package);
        }
    }
    Ok((packages.len() as u32).max(1))
}

/// The highest rate where the kernel knows it; `/proc/cpuinfo` shows the one of this moment.
fn mhz(cpuinfo: &str) -> u32 {
    let highest_khz: Option<u32> = text("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq").trim().parse().ok();
    let now_mhz = || cpu_field(cpuinfo, "cpu MHz")?.parse::<f64>().ok().map(|mhz| mhz.round() as u32);
    highest_khz.map(|khz| khz / 1000).or_else(now_mhz).unwrap_or_default()
}

fn memory_bytes(meminfo: &str) -> Option<u64> {
    let kilobytes = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix(" kB")?;
    kilobytes.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// The interfaces that can carry an L2 network: physical ones, bonds, VLANs, and a container's own end of a veth pair.
async fn uplinks() -> anyhow::Result<Vec<String>> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let connection = tokio::spawn(connection);
    let links: Result<Vec<LinkMessage>, _> = handle.link().get().execute().try_collect().await;
    connection.abort();
    let mut names: Vec<String> = links?.iter().filter_map(uplink).collect();
    names.sort();
    Ok(names)
}

fn uplink(link: &LinkMessage) -> Option<String> {
    let mut name = None;
    let mut kind = None;
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.clone()),
            LinkAttribute::LinkInfo(infos) => {
                kind = infos
                    .iter()
                    .find_map(|info| if let LinkInfo::Kind(kind) = info { Some(kind.clone()) } else { None });
            }
            _ => {}
        }
    }
    let carries_a_network = match kind {
        None | Some(InfoKind::Bond | InfoKind::Vlan) => true,
        Some(InfoKind::Veth) => is_own_veth(name.as_deref()?),
        Some(_) => false,
    };
    name.filter(|_| carries_a_network && link.header.link_layer_type == LinkLayerType::Ether)
}

/// Whether a veth is this host's way out, where the host is a container, and not the near end of somebody else's: of a
/// container's, or of a network's services (`gs…`).
fn is_own_veth(name: &str) -> bool {
    ["eth", "en", "host", "mv"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_written_as_people_do() {
        assert_eq!(version(9_000_000), "9.0.0");
        assert_eq!(version(7_002_022), "7.2.22");
    }

    #[test]
    fn the_system_is_named_as_it_names_itself() {
        let debian = "NAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(os_name(debian).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(os_name("NAME=Arch").as_deref(), Some("Arch"));
        assert_eq!(os_name(""), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(memory_bytes("MemTotal:       24576000 kB\nMemFree: 1 kB\n"), Some(24_576_000 * 1024));
        assert_eq!(memory_bytes("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn a_containers_own_veth_is_an_uplink_and_others_near_ends_are_not() {
        assert!(["eth0", "ens3", "host0", "enp1s0"].iter().all(|name| is_own_veth(name)));
        assert!(!["veth1a2b", "ve-web", "vb-web", "gs0a1b2c", "cali1", "docker0"].iter().any(|name| is_own_veth(name)));
    }

    #[tokio::test]
    async fn this_machines_facts_are_real() {
        let facts = facts(&Executor::new("test", "test:///default", 1)).await;
        assert!(facts.cpu_num > 0 && facts.cpu_sockets > 0 && facts.memory_bytes > 1 << 20, "{facts:?}");
        assert_eq!(facts.boot_id.len(), 36);
        assert_eq!(facts.cpu_num as usize, facts.cpus.len());
        assert!(!facts.kernel.is_empty() && !facts.libvirt_version.is_empty(), "{facts:?}");
        assert!(!facts.interfaces.iter().any(|name| name == "lo"));
    }
}

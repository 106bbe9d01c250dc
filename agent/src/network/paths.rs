//! Where the network's state is kept on the host.

use std::path::{Path, PathBuf};

use gantry_common::id::{L3NetworkUuid, VmUuid};

/// Where the network's state is kept. All of it is gone after a reboot of the host, as are the interfaces it describes.
#[derive(Debug, Clone)]
pub struct NetworkPaths {
    /// Gantry's run-time directory; the network's files are under `network/` in it.
    pub run_dir: PathBuf,
}

impl Default for NetworkPaths {
    fn default() -> Self {
        Self { run_dir: PathBuf::from("/run/gantry") }
    }
}

impl NetworkPaths {
    /// Everything of the network's.
    pub(super) fn root(&self) -> PathBuf {
        self.run_dir.join("network")
    }

    /// Held by every program that the agent runs, until it ends; see [`super::program`].
    pub(super) fn programs_lock(&self) -> PathBuf {
        self.root().join("programs.lock")
    }

    /// One file per bridge that Gantry made.
    pub(super) fn bridges(&self) -> PathBuf {
        self.root().join("bridges")
    }

    /// The bridge's record.
    pub(super) fn bridge(&self, name: &str) -> PathBuf {
        self.bridges().join(format!("{name}.json"))
    }

    /// One file per VM whose interfaces are served here. Not readable by others: user data may hold secrets.
    pub(super) fn vms(&self) -> PathBuf {
        self.root().join("vms")
    }

    /// The VM's record.
    pub(super) fn vm(&self, vm: VmUuid) -> PathBuf {
        self.vms().join(format!("{vm}.json"))
    }

    /// One file per L3 network.
    pub(super) fn networks(&self) -> PathBuf {
        self.root().join("networks")
    }

    /// The L3 network's record.
    pub(super) fn network(&self, l3_network: L3NetworkUuid) -> PathBuf {
        self.networks().join(format!("{l3_network}.json"))
    }

    /// One directory per L3 network with DHCP. Readable by all, since dnsmasq gives up root.
    pub(super) fn dhcps(&self) -> PathBuf {
        self.root().join("dhcp")
    }

    /// What dnsmasq reads for the L3 network.
    pub(super) fn dhcp(&self, l3_network: L3NetworkUuid) -> PathBuf {
        self.dhcps().join(l3_network.to_string())
    }

    /// What the guests of the L3 network are told, one file per IP address.
    pub(super) fn guests(&self, l3_network: L3NetworkUuid) -> PathBuf {
        self.root().join("guests").join(l3_network.to_string())
    }
}

/// Where `ip netns` keeps the namespace of that name.
pub(super) fn namespace_file(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

//! An agent to deploy.

use std::fmt::Write as _;

use gantry_common::{
    host_check::HostPolicy,
    id::{HostUuid, NodeUuid},
};
use gantry_mgmt::{
    onboarding::{AgentProgram, Deployment},
    secret::Secret,
};
use tempfile::TempDir;

pub const KEY: &str =
    "-----BEGIN PRIVATE KEY-----\nbm90IGEgcmVhbCBrZXksIGJ1dCBubyBsZXNzIHNlY3JldA\n-----END PRIVATE KEY-----\n";
pub const UNIT: &str = "[Unit]
Description=Gantry host agent

[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/local/bin/gantry-agent run
TimeoutStartSec=30

[Install]
WantedBy=multi-user.target
";

/// What a program does when the service starts it.
#[derive(Clone, Copy)]
pub enum Behaviour {
    /// It says that it is ready, and runs.
    Runs,
    /// It ends at once with an error.
    FailsToStart,
    /// It cannot even say its version.
    CannotRun,
}

/// A program with what belongs to it.
pub struct Agent {
    pub node: NodeUuid,
    pub program: AgentProgram,
    config_toml: String,
    key: Secret,
    _directory: TempDir,
}

impl Agent {
    /// `version` and `padding_bytes` tell programs apart. What pads it does not compress.
    pub async fn new(node: NodeUuid, version: &str, behaviour: Behaviour, padding_bytes: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gantry-agent");
        let (at_version, at_start) = match behaviour {
            Behaviour::Runs => ("exit 0", "systemd-notify --ready && exec sleep infinity"),
            Behaviour::FailsToStart => ("exit 0", "echo 'cannot bind: the cat sits on it' >&2; exit 3"),
            Behaviour::CannotRun => ("echo 'libvirt.so.0: cannot open shared object file' >&2; exit 127", "exit 1"),
        };
        let mut text = String::from("#!/bin/sh\n");
        writeln!(text, "# {version}\nif [ \"$1\" = --version ]; then {at_version}; fi\n{at_start}\nexit 1").unwrap();
        let mut bytes = text.into_bytes();
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..padding_bytes.div_ceil(8) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            bytes.extend_from_slice(&random.to_le_bytes());
        }
        std::fs::write(&path, bytes).unwrap();
        let host = HostUuid::random();
        Self {
            node,
            program: AgentProgram::open(&path).await.unwrap(),
            config_toml: format!("node_uuid = \"{node}\"\nhost_uuid = \"{host}\"\n"),
            key: Secret::new(KEY),
            _directory: directory,
        }
    }

    pub async fn simple(node: NodeUuid) -> Self {
        Self::new(node, "one", Behaviour::Runs, 0).await
    }

    pub fn deployment(&self) -> Deployment<'_> {
        Deployment {
            node: self.node,
            program: &self.program,
            config_toml: &self.config_toml,
            ca_pem: "-----BEGIN CERTIFICATE-----\nca\n-----END CERTIFICATE-----\n",
            certificate_pem: "-----BEGIN CERTIFICATE-----\nagent\n-----END CERTIFICATE-----\n",
            key_pem: &self.key,
            unit: UNIT,
        }
    }

    pub fn policy(&self) -> HostPolicy {
        HostPolicy {
            allow_emulation: true,
            node: Some(self.node),
            host: None,
            agent_port: 8083,
            agent_architecture: std::env::consts::ARCH.to_owned(),
            agent_bytes: self.program.size_bytes(),
            clock_epoch_seconds: None,
        }
    }
}

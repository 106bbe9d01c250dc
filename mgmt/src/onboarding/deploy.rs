//! Putting the agent in place, and taking it away again.

use std::time::Duration;

use gantry_common::id::NodeUuid;

use super::{
    error::OnboardingError,
    outcome,
    program::AgentProgram,
    remote::{Running, Script},
    session::HostSession,
};
use crate::secret::Secret;

/// The program may have to come over a slow line, and the service has its own time to start.
const DEPLOY: Script = Script {
    during: "putting the agent in place",
    text: concat!(include_str!("scripts/layout.sh"), include_str!("scripts/deploy.sh")),
    deadline: Duration::from_secs(20 * 60),
};
const COMMIT: Script = Script {
    during: "confirming the agent",
    text: concat!(include_str!("scripts/layout.sh"), include_str!("scripts/commit.sh")),
    deadline: Duration::from_secs(120),
};
const WITHDRAW: Script = Script {
    during: "taking the agent away",
    text: concat!(include_str!("scripts/layout.sh"), include_str!("scripts/withdraw.sh")),
    deadline: Duration::from_secs(300),
};

/// Whether a step changed the host. A step that is repeated changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It did.
    Yes,
    /// All was as it should be.
    No,
}

/// The agent as it is to be on a host.
#[derive(Debug)]
pub struct Deployment<'a> {
    /// The management node it belongs to. `config_toml` must name the same as `node_uuid`.
    pub node: NodeUuid,
    /// `/usr/local/bin/gantry-agent`. It must answer `--version` with success.
    pub program: &'a AgentProgram,
    /// `/etc/gantry/agent.toml`, with `node_uuid = "…"` and `host_uuid = "…"` on lines of their own.
    pub config_toml: &'a str,
    /// `/etc/gantry/tls/ca.pem`.
    pub ca_pem: &'a str,
    /// `/etc/gantry/tls/cert.pem`.
    pub certificate_pem: &'a str,
    /// `/etc/gantry/tls/key.pem`, readable by root only.
    pub key_pem: &'a Secret,
    /// `/etc/systemd/system/gantry-agent.service`, with an `[Install]` section.
    pub unit: &'a str,
}

impl HostSession {
    /// Puts the agent in place, enables and starts it, all or nothing: if it does not start, what was there before is
    /// back. Files that are as they should be are left alone, the service is restarted only if something changed.
    ///
    /// # Errors
    /// [`OnboardingError::Owned`], [`OnboardingError::DiskFull`], [`OnboardingError::AgentDoesNotRun`],
    /// [`OnboardingError::StartFailed`], [`OnboardingError::Contended`], and whatever can happen to a connection. After
    /// [`OnboardingError::ConnectionLost`] call this or [`HostSession::withdraw`] again.
    pub async fn deploy(&self, deployment: &Deployment<'_>) -> Result<Changed, OnboardingError> {
        let mut running = Running::start(self.ssh(), self.target(), &DEPLOY).await?;
        running.send_line(&deployment.node.to_string()).await?;
        running.send_line(&deployment.program.digest().to_string()).await?;
        for file in [
            deployment.ca_pem,
            deployment.certificate_pem,
            deployment.key_pem.expose(),
            deployment.unit,
            deployment.config_toml,
        ] {
            running.send_encoded(file.as_bytes()).await?;
        }
        if running.line().await?.as_deref() == Some("agent=wanted") {
            let mut pieces = deployment.program.compressed();
            while let Some(piece) = pieces.recv().await {
                let piece = piece.map_err(|error| deployment.program.unreadable(&error))?;
                running.send(piece).await?;
                if running.ended() {
                    break;
                }
            }
        }
        let finished = running.finish().await?;
        outcome::changed(&self.target().address, DEPLOY.during, &[], &finished)
    }

    /// The deployment stays: what was on the host before it is forgotten.
    ///
    /// # Errors
    /// [`OnboardingError::Owned`] if the agent there is not `node`'s, and whatever can happen to a connection.
    pub async fn commit(&self, node: NodeUuid) -> Result<Changed, OnboardingError> {
        self.run_for(node, &COMMIT).await
    }

    /// Takes back what [`HostSession::deploy`] did, wherever it stopped: to what was there before, or, after
    /// [`HostSession::commit`], to no agent at all. Packages stay.
    ///
    /// # Errors
    /// [`OnboardingError::Owned`] if the agent there is not `node`'s, and whatever can happen to a connection.
    pub async fn withdraw(&self, node: NodeUuid) -> Result<Changed, OnboardingError> {
        self.run_for(node, &WITHDRAW).await
    }

    async fn run_for(&self, node: NodeUuid, script: &Script) -> Result<Changed, OnboardingError> {
        let mut running = Running::start(self.ssh(), self.target(), script).await?;
        running.send_line(&node.to_string()).await?;
        let finished = running.finish().await?;
        outcome::changed(&self.target().address, script.during, &[], &finished)
    }
}

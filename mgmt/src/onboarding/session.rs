//! One visit to a host.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantry_common::host_check::{Finding, HostPolicy, PROBE, ProbedHost, check_host};

use super::{
    error::OnboardingError,
    host_key::HostKey,
    install::InstallPlan,
    remote::{Running, Script, one_line},
    ssh::{Ssh, SshTarget},
};

const CHECK: Script = Script { during: "checking the host", text: PROBE, deadline: Duration::from_secs(60) };

/// A logged-in session on a host that is to become a KVM host, or is one.
pub struct HostSession {
    ssh: Ssh,
    target: SshTarget,
}

/// A host that was found fit.
#[derive(Debug)]
pub struct Checked {
    /// What was found.
    pub host: ProbedHost,
    /// How it was judged; no finding is fatal.
    pub findings: Vec<Finding>,
    /// What has to be installed or started first.
    pub plan: InstallPlan,
}

impl HostSession {
    /// Connects and logs in. With a pinned key nothing is sent to a host that has another; without one, pin
    /// [`HostSession::host_key`] from now on.
    ///
    /// # Errors
    /// One for every way in which a host cannot be reached, known or entered.
    pub async fn connect(target: SshTarget, pinned: Option<&HostKey>) -> Result<Self, OnboardingError> {
        let ssh = Ssh::connect(&target, pinned).await?;
        Ok(Self { ssh, target })
    }

    /// The host's key.
    pub fn host_key(&self) -> &HostKey {
        self.ssh.host_key()
    }

    /// Looks at the host. Changes nothing.
    ///
    /// # Errors
    /// [`OnboardingError::Probe`], those of becoming root, and whatever can happen to a connection.
    pub async fn probe(&self) -> Result<ProbedHost, OnboardingError> {
        let host = || self.target.address.clone();
        let finished = Running::start(&self.ssh, &self.target, &CHECK).await?.finish().await?;
        let output = finished.lines.join("\n");
        ProbedHost::parse(&output).map_err(|source| match finished.status {
            Some(0) => OnboardingError::Probe { host: host(), source },
            _ => {
                let output = one_line(&finished.stderr);
                OnboardingError::Script { host: host(), during: CHECK.during, output: format!("{source}: {output}") }
            }
        })
    }

    /// Looks at the host and judges it. Changes nothing. The clock is compared with this node's, whatever `policy` says.
    ///
    /// # Errors
    /// [`OnboardingError::Owned`] and [`OnboardingError::Unfit`], which lists all that is wrong; those of
    /// [`HostSession::probe`].
    pub async fn check(&self, policy: &HostPolicy) -> Result<Checked, OnboardingError> {
        let host = self.probe().await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let policy = HostPolicy { clock_epoch_seconds: i64::try_from(now).ok(), ..policy.clone() };
        let findings = check_host(&host, &policy);
        let node = host.agent.node.map(|node| node.to_string());
        if let Some(error) = OnboardingError::of_findings(&self.target.address, &findings, node) {
            return Err(error);
        }
        let plan = InstallPlan::from_findings(&host, &findings);
        Ok(Checked { host, findings, plan })
    }

    /// Ends the session.
    pub async fn close(self) {
        self.ssh.close().await;
    }

    pub(super) fn ssh(&self) -> &Ssh {
        &self.ssh
    }

    pub(super) fn target(&self) -> &SshTarget {
        &self.target
    }
}

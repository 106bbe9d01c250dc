//! Installing what a host lacks.

use std::time::Duration;

use gantry_common::host_check::{Check, Finding, PackageManager, ProbedHost, Severity};

use super::{
    deploy::Changed,
    error::OnboardingError,
    outcome,
    remote::{Running, Script},
    session::HostSession,
};

/// Packages come over the network, sometimes slowly; then they are unpacked.
const INSTALL: Script = Script {
    during: "installing packages",
    text: include_str!("scripts/install.sh"),
    deadline: Duration::from_secs(30 * 60),
};

/// What has to be installed and started before the agent can work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallPlan {
    manager: Option<PackageManager>,
    packages: Vec<&'static str>,
    starts_libvirt: bool,
}

impl InstallPlan {
    pub(super) fn from_findings(host: &ProbedHost, findings: &[Finding]) -> Self {
        let manager = host.packages.manager;
        let missing = |finding: &Finding| match finding.severity {
            Severity::MissingPackage(component) => {
                manager.map(|manager| component.package(manager, &host.architecture))
            }
            _ => None,
        };
        let packages: Vec<_> = findings.iter().filter_map(missing).collect();
        let stopped =
            |finding: &Finding| finding.check == Check::LibvirtService && finding.severity == Severity::Warning;
        let starts_libvirt = !packages.is_empty() || findings.iter().any(stopped);
        Self { manager, packages, starts_libvirt }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        !self.starts_libvirt
    }

    /// The packages that will be installed.
    pub fn packages(&self) -> &[&'static str] {
        &self.packages
    }
}

impl HostSession {
    /// Installs the packages of the plan with the host's own package manager, and sees to it that libvirt runs and
    /// comes back after a reboot. Packages stay installed whatever becomes of the host later.
    ///
    /// # Errors
    /// [`OnboardingError::Packages`] with the end of what the package manager said, [`OnboardingError::Libvirt`], and
    /// whatever can happen to a connection.
    pub async fn install(&self, plan: &InstallPlan) -> Result<Changed, OnboardingError> {
        if plan.is_empty() {
            return Ok(Changed::No);
        }
        let mut running = Running::start(self.ssh(), self.target(), &INSTALL).await?;
        running.send_line(plan.manager.map_or("", PackageManager::name)).await?;
        running.send_line(&plan.packages.join(" ")).await?;
        let finished = running.finish().await?;
        outcome::changed(&self.target().address, INSTALL.during, &plan.packages, &finished)
    }
}

#[cfg(test)]
mod tests {
    use gantry_common::host_check::{HostPolicy, check_host};

    use super::*;

    fn plan(fixture: &str) -> InstallPlan {
        let host = ProbedHost::parse(fixture).unwrap();
        let policy = HostPolicy {
            allow_emulation: true,
            node: None,
            host: None,
            agent_port: 8083,
            agent_architecture: "x86_64".to_owned(),
            agent_bytes: 0,
            clock_epoch_seconds: None,
        };
        InstallPlan::from_findings(&host, &check_host(&host, &policy))
    }

    const FEDORA: &str = include_str!("../../../common/src/host_check/fixtures/fedora.txt");

    #[test]
    fn a_fit_host_needs_nothing() {
        assert!(plan(FEDORA).is_empty());
    }

    #[test]
    fn only_what_is_missing_is_installed() {
        let plan = plan(&FEDORA.replace("firmware=yes", "firmware=no\npackage_sources=3"));
        assert_eq!(plan.packages(), ["edk2-ovmf"]);
    }

    #[test]
    fn a_stopped_libvirt_is_started_without_installing_anything() {
        let plan = plan(&FEDORA.replace("virtqemud.socket active", "virtqemud.socket inactive"));
        assert!(!plan.is_empty());
        assert!(plan.packages().is_empty());
    }
}

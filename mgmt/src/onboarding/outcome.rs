//! What a script's exit status says.

use super::{address::HostAddress, deploy::Changed, error::OnboardingError, remote::Finished};

// The table of scripts/layout.sh and scripts/install.sh.
const OWNED: u32 = 10;
const SUPERSEDED: u32 = 11;
const AGENT_DOES_NOT_RUN: u32 = 12;
const START_FAILED: u32 = 13;
const BUSY: u32 = 14;
const PACKAGES_FAILED: u32 = 20;
const LIBVIRT_FAILED: u32 = 21;

/// Whether the script changed the host, or why it failed.
pub(super) fn changed(
    host: &HostAddress,
    during: &'static str,
    packages: &[&str],
    finished: &Finished,
) -> Result<Changed, OnboardingError> {
    let host = host.clone();
    let output = finished.stderr_text();
    let error = match finished.status {
        Some(0) => {
            return match finished.lines.last().map(String::as_str) {
                Some("result=changed" | "result=yes") => Ok(Changed::Yes),
                Some("result=unchanged" | "result=no") => Ok(Changed::No),
                _ => Err(OnboardingError::Script { host, during, output: "it did not say how it ended".to_owned() }),
            };
        }
        Some(OWNED) => OnboardingError::Owned { host, node: output },
        // What else failed because another setup swept it away stands before the reason.
        Some(SUPERSEDED | BUSY) => {
            let reason = output.rsplit(" | ").next().unwrap_or_default().to_owned();
            OnboardingError::Contended { host, reason }
        }
        Some(AGENT_DOES_NOT_RUN) => OnboardingError::AgentDoesNotRun { host, output },
        Some(START_FAILED) => OnboardingError::StartFailed { host, output },
        _ if output.contains("No space left on device") => OnboardingError::DiskFull { host, during, output },
        Some(PACKAGES_FAILED) => OnboardingError::Packages { host, packages: packages.join(", "), output },
        Some(LIBVIRT_FAILED) => OnboardingError::Libvirt { host, output },
        status => {
            let status = status.map_or_else(|| "a signal".to_owned(), |status| format!("status {status}"));
            OnboardingError::Script { host, during, output: format!("{output} (it ended with {status})") }
        }
    };
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_and_this_table_agree_on_exit_statuses() {
        let layout = include_str!("scripts/layout.sh");
        for (name, status) in [
            ("owned", OWNED),
            ("superseded", SUPERSEDED),
            ("agent_does_not_run", AGENT_DOES_NOT_RUN),
            ("start_failed", START_FAILED),
            ("busy", BUSY),
        ] {
            assert!(layout.contains(&format!("{name}={status}")), "{name}");
        }
        let install = include_str!("scripts/install.sh");
        assert!(install.contains(&format!("exit {PACKAGES_FAILED}")));
        assert!(install.contains(&format!("exit {LIBVIRT_FAILED}")));
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let host: HostAddress = "192.0.2.7".parse().unwrap();
        let failed = |stderr: &str| Finished { status: Some(1), lines: vec![], stderr: stderr.as_bytes().to_vec() };
        let full = failed("cp: error writing '/etc/gantry/x': No space left on device\n");
        assert!(matches!(changed(&host, "", &[], &full), Err(OnboardingError::DiskFull { .. })));
        assert!(matches!(changed(&host, "", &[], &failed("cp: no such file")), Err(OnboardingError::Script { .. })));
    }
}

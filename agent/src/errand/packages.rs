//! The upgrade of the host's packages, by its own package manager.

use std::time::Duration;

use gantry_common::agent::{AgentError, Call, Upgrade};

use super::{Ended, Errand, Errands};

const SCRIPT: &str = include_str!("upgrade.sh");
/// A slow mirror and a whole release's worth of packages.
const DEADLINE: Duration = Duration::from_secs(2 * 3600);
const OUTPUT_BYTES: u64 = 256 << 10;
/// How much of what a failed package manager said is passed on.
const SAID_BYTES: usize = 2000;

#[derive(Debug, Clone, Copy)]
enum Mode {
    Plan,
    Upgrade,
}

impl Errands {
    /// What an upgrade would do.
    ///
    /// # Errors
    /// [`AgentError::InvalidArgument`] for an exclusion that is no package's name; [`AgentError::Program`] where the
    /// package manager fails.
    pub async fn plan_upgrade(&self, call: &Call, exclude: &[String]) -> Result<Upgrade, AgentError> {
        self.packages(call, Mode::Plan, exclude).await
    }

    /// Upgrades the packages. Where something stands in the way, nothing is changed and the obstacles are answered.
    ///
    /// # Errors
    /// As [`Errands::plan_upgrade`].
    pub async fn upgrade_packages(&self, call: &Call, exclude: &[String]) -> Result<Upgrade, AgentError> {
        let upgrade = self.packages(call, Mode::Upgrade, exclude).await?;
        tracing::info!(
            packages = upgrade.packages.len(),
            restart = upgrade.restart_needed,
            "the host's packages were upgraded"
        );
        call.report(1, Some(1));
        Ok(upgrade)
    }

    async fn packages(&self, call: &Call, mode: Mode, exclude: &[String]) -> Result<Upgrade, AgentError> {
        for name in exclude {
            check_name(name)?;
        }
        let mode = match mode {
            Mode::Plan => "plan",
            Mode::Upgrade => "upgrade",
        };
        let errand = Errand {
            script: SCRIPT,
            input: &format!("{mode}\n{}\n", exclude.join("\n")),
            deadline: DEADLINE,
            output_bytes: OUTPUT_BYTES,
            // A package manager that is interrupted leaves broken packages behind.
            can_be_cancelled: false,
        };
        read(self.run(call, &errand).await?)
    }
}

/// Names and patterns that every package manager takes for such: nothing in them means more to it or to a shell.
fn check_name(name: &str) -> Result<(), AgentError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".+_:*?-".contains(&byte);
    if !name.is_empty() && name.bytes().all(fits) && !name.starts_with('-') {
        return Ok(());
    }
    Err(AgentError::invalid(
        "excludePackages",
        name,
        "a package's name is needed, in which * and ? stand for any letters",
    ))
}

fn read(ended: Ended) -> Result<Upgrade, AgentError> {
    if ended.status != Some(0) {
        let mut start = ended.stderr.len().saturating_sub(SAID_BYTES);
        while !ended.stderr.is_char_boundary(start) {
            start += 1;
        }
        let status = match (ended.status, ended.timed_out) {
            (Some(status), _) => format!("exit status {status}"),
            (None, true) => format!("no end within {} s", DEADLINE.as_secs()),
            (None, false) => "an interruption".to_owned(),
        };
        let stderr = ended.stderr[start..].trim().to_owned();
        return Err(AgentError::Program { program: "the package manager".to_owned(), status, stderr });
    }
    let mut upgrade = Upgrade::default();
    for line in ended.stdout.lines() {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("package", name) => upgrade.packages.push(name.to_owned()),
            ("obstacle", what) => upgrade.obstacles.push(what.to_owned()),
            ("restart", _) => upgrade.restart_needed = true,
            _ => return Err(AgentError::Internal { reason: format!("the upgrade script said '{line}'") }),
        }
    }
    Ok(upgrade)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: Option<i32>, stdout: &str) -> Ended {
        Ended { status, timed_out: false, stdout: stdout.to_owned(), stderr: "E: broken".to_owned() }
    }

    #[test]
    fn packages_obstacles_and_the_need_of_a_restart_are_read() {
        let upgrade = read(ended(Some(0), "package qemu\nobstacle dpkg was interrupted\nrestart\n")).unwrap();
        assert_eq!(upgrade.packages, ["qemu"]);
        assert_eq!(upgrade.obstacles, ["dpkg was interrupted"]);
        assert!(upgrade.restart_needed);
    }

    #[test]
    fn a_package_manager_that_fails_is_quoted() {
        let error = read(ended(Some(100), "package qemu\n")).unwrap_err().to_string();
        assert!(error.contains("exit status 100") && error.contains("E: broken"), "{error}");
        assert!(read(ended(None, "")).unwrap_err().to_string().contains("interruption"));
    }

    #[test]
    fn only_names_and_patterns_of_packages_are_taken() {
        for name in ["kernel", "systemd*", "libc6:amd64", "g++-12", "lib?"] {
            assert_eq!(check_name(name), Ok(()));
        }
        for name in ["", "--all", "a b", "a\nb", "$(reboot)", "a;b", "../x", "a/b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}

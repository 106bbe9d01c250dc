//! A real host for one test: a container of tests/lab with its own systemd, sshd and libvirt.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use gantry_mgmt::{
    onboarding::{HostKey, HostSession, OnboardingError, SshTarget},
    secret::Secret,
};

/// The lab these tests use unless `GANTRY_LAB` says otherwise.
const LAB: &str = "3";

pub enum Kind {
    /// With libvirt and QEMU.
    Kvm,
    /// Without.
    Bare,
}

/// The state of a host, by lines.
pub struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// What is in only one of the two.
    pub fn difference(&self, other: &Self) -> Vec<String> {
        let only = |sign, mine: &Self, theirs: &Self| -> Vec<_> {
            mine.0.difference(&theirs.0).map(|line| format!("{sign} {line}")).collect()
        };
        [only('-', self, other), only('+', other, self)].concat()
    }
}

/// A freshly booted host. Tests that have one run one at a time; it is gone when dropped.
pub struct LabHost {
    _turn: File,
}

impl LabHost {
    pub fn boot(kind: &Kind) -> Self {
        let turn = File::create(format!("/run/lock/gantry-onboarding-test-{}", lab())).unwrap();
        turn.lock().unwrap();
        hosts(&["down"]);
        match kind {
            Kind::Kvm => hosts(&["up", "1"]),
            Kind::Bare => hosts(&["up-bare", "1"]),
        };
        Self { _turn: turn }
    }

    pub fn address(&self) -> String {
        hosts(&["addr", "1"]).trim().to_owned()
    }

    pub fn target(&self, username: &str, password: &str) -> SshTarget {
        SshTarget {
            address: self.address().parse().unwrap(),
            port: 22,
            username: username.to_owned(),
            password: Secret::new(password),
        }
    }

    pub async fn login(&self, username: &str) -> Result<HostSession, OnboardingError> {
        HostSession::connect(self.target(username, "lab"), None).await
    }

    pub async fn login_pinned(&self, key: &HostKey) -> Result<HostSession, OnboardingError> {
        HostSession::connect(self.target("root", "lab"), Some(key)).await
    }

    /// Runs a script on the host without its network; its standard output.
    pub fn run(&self, script: &str) -> String {
        let output = self.try_run(script);
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn try_run(&self, script: &str) -> Output {
        let mut child = command(&["enter", "1", "sh"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Waits until the script succeeds.
    pub async fn until(&self, script: &str) {
        let begin = Instant::now();
        while !self.try_run(script).status.success() {
            assert!(begin.elapsed() < Duration::from_secs(60), "it never became true: {script}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Takes the host off the network, or puts it back.
    pub fn cut(&self) {
        hosts(&["cut", "1"]);
    }

    pub fn join(&self) {
        hosts(&["join", "1"]);
    }

    pub fn power_cycle(&self) {
        hosts(&["kill", "1"]);
        hosts(&["start", "1"]);
    }

    /// Everything onboarding could have changed: files with their contents, modes and owners, and the service.
    pub fn snapshot(&self) -> Snapshot {
        let text = self.run(
            "find /etc /usr/local /var/lib/gantry /root /home -printf '%p %y %m %u %g %s %l\n' 2>/dev/null | sort
             find /etc /usr/local -type f -exec sha256sum {} + | sort -k2
             systemctl show --property=LoadState,ActiveState,UnitFileState gantry-agent.service
             systemctl --failed --plain --no-legend
             dpkg-query --show | sha256sum",
        );
        Snapshot(text.lines().map(str::to_owned).collect())
    }
}

/// Panics with what changed, if anything did.
pub fn assert_unchanged(before: &Snapshot, host: &LabHost) {
    let difference = before.difference(&host.snapshot());
    assert!(difference.is_empty(), "the host was changed:\n{}", difference.join("\n"));
}

impl Drop for LabHost {
    fn drop(&mut self) {
        let _ = command(&["down"]).output();
    }
}

fn lab() -> String {
    std::env::var("GANTRY_LAB").unwrap_or_else(|_| LAB.to_owned())
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/lab/hosts"));
    command.args(arguments).env("GANTRY_LAB", lab()).stdin(Stdio::null());
    command
}

fn hosts(arguments: &[&str]) -> String {
    let output = command(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "hosts {arguments:?} failed (the lab needs root and Debian 12): {error}");
    String::from_utf8(output.stdout).unwrap()
}

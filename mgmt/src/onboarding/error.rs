//! Why a machine did not become a KVM host.

use std::path::PathBuf;

use gantry_common::{
    error::ErrorKind,
    host_check::{Check, Finding, ProbeError, Severity},
};

use super::{address::HostAddress, host_key::HostKey};

/// Why a machine did not become a KVM host: what was tried on which host, what stood in the way, what to do about it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are the words of the texts")]
pub enum OnboardingError {
    /// DNS knows no address.
    #[error("host {host}: its name could not be resolved: {reason}; check the name, or give the IP address instead")]
    NameUnresolved { host: HostAddress, reason: String },
    /// Nothing answered.
    #[error(
        "host {host}: SSH port {port} did not answer within {seconds} s; check that the host is on and that no \
         firewall drops the connection"
    )]
    ConnectTimeout { host: HostAddress, port: u16, seconds: u64 },
    /// The port is closed.
    #[error("host {host}: connection to SSH port {port} refused; check the port, and that sshd runs on the host")]
    ConnectionRefused { host: HostAddress, port: u16 },
    /// No way leads there.
    #[error(
        "host {host}: no route to it ({reason}); check the address, that the host is on, and the management node's \
         network"
    )]
    NoRoute { host: HostAddress, reason: String },
    /// Connecting failed in some other way.
    #[error("host {host}: connecting to SSH port {port} failed: {reason}; check the address and the port")]
    ConnectFailed { host: HostAddress, port: u16, reason: String },
    /// What answers does not speak SSH as we do.
    #[error("host {host}: what answers on port {port} did not agree to an SSH session: {reason}; check the port")]
    Handshake { host: HostAddress, port: u16, reason: String },
    /// The host is not the one that was seen before.
    #[error(
        "host {host}: its SSH key is {found} and {pinned} was seen before; nothing was sent to it. If the host was \
         reinstalled, delete it and add it again; if not, someone may be in between"
    )]
    HostKeyChanged { host: HostAddress, pinned: Box<HostKey>, found: Box<HostKey> },
    /// Wrong name or password.
    #[error(
        "host {host}: login as '{username}' failed: wrong user name or password, or sshd does not let this user in \
         with a password (for root: PermitRootLogin)"
    )]
    WrongPassword { host: HostAddress, username: String },
    /// The server takes no passwords.
    #[error(
        "host {host}: sshd takes no passwords, only {methods}; set 'PasswordAuthentication yes' in its configuration"
    )]
    PasswordLoginOff { host: HostAddress, methods: String },
    /// The server wants more than a password.
    #[error(
        "host {host}: sshd wants more than the password of '{username}' (also {methods}); use a user that needs only a \
         password"
    )]
    SecondFactor { host: HostAddress, username: String, methods: String },
    /// Commands cannot be run.
    #[error("host {host}: user '{username}' cannot run commands over SSH: {output}; give the user a login shell")]
    NoShell { host: HostAddress, username: String, output: String },
    /// Neither root nor sudo.
    #[error(
        "host {host}: user '{username}' is not root and may not use sudo: {reason}; use root, or allow the user to run \
         all commands with sudo"
    )]
    NoPrivilege { host: HostAddress, username: String, reason: String },
    /// sudo does not take the login password.
    #[error(
        "host {host}: sudo did not accept the password of '{username}'; use a user whose login password is the one that \
         sudo asks for"
    )]
    WrongSudoPassword { host: HostAddress, username: String },
    /// The connection ended in the middle.
    #[error(
        "host {host}: the SSH connection was lost while {during}; repeat the operation once the host can be reached: it \
         goes on where it was"
    )]
    ConnectionLost { host: HostAddress, during: &'static str },
    /// The host took too long.
    #[error("host {host}: {during} did not end within {seconds} s; check the host's load and disks, then repeat it")]
    Deadline { host: HostAddress, during: &'static str, seconds: u64 },
    /// The probe's output is not what it should be.
    #[error("host {host}: its state could not be read: {source}; run `gantry-agent check` there to see more")]
    Probe {
        host: HostAddress,
        #[source]
        source: ProbeError,
    },
    /// The host lacks what a KVM host needs.
    #[error("host {host} cannot be a KVM host: {}", listed(.findings))]
    Unfit { host: HostAddress, findings: Vec<Finding> },
    /// Another management node runs the host.
    #[error(
        "host {host} is run by another management node, {node}; delete the host there first, or, if that node is gone \
         for good, stop the service gantry-agent on the host and delete /etc/gantry/agent.toml"
    )]
    Owned { host: HostAddress, node: String },
    /// A package could not be installed.
    #[error(
        "host {host}: the packages {packages} could not be installed: {output}; check the host's package sources, or \
         install them there"
    )]
    Packages { host: HostAddress, packages: String, output: String },
    /// libvirt does not start.
    #[error("host {host}: libvirt could not be started: {output}; check `systemctl status libvirtd` there")]
    Libvirt { host: HostAddress, output: String },
    /// No room.
    #[error("host {host}: a disk is full: while {during}: {output}; free space there. Nothing was changed")]
    DiskFull { host: HostAddress, during: &'static str, output: String },
    /// The agent's program does not run there.
    #[error(
        "host {host}: the agent's program does not run there: {output}; use a host with a distribution this version of \
         Gantry is built for. Nothing was changed"
    )]
    AgentDoesNotRun { host: HostAddress, output: String },
    /// The agent's service does not start.
    #[error(
        "host {host}: the agent's service did not start: {output}; what was there before is back in place. Mend what \
         it names and repeat the operation"
    )]
    StartFailed { host: HostAddress, output: String },
    /// Someone else sets the host up.
    #[error("host {host}: {reason}; wait for it to end, then repeat the operation")]
    Contended { host: HostAddress, reason: String },
    /// A script failed in a way that has no name.
    #[error("host {host}: {during} failed: {output}; mend what it names and repeat the operation")]
    Script { host: HostAddress, during: &'static str, output: String },
    /// The management node cannot read the agent's program.
    #[error("the agent's program {} cannot be read: {reason}; reinstall the management node", .path.display())]
    AgentProgram { path: PathBuf, reason: String },
}

impl OnboardingError {
    /// The kind the API answers with.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NameUnresolved { .. }
            | Self::ConnectTimeout { .. }
            | Self::ConnectionRefused { .. }
            | Self::NoRoute { .. }
            | Self::ConnectFailed { .. }
            | Self::Handshake { .. }
            | Self::ConnectionLost { .. } => ErrorKind::HostUnreachable,
            Self::HostKeyChanged { .. } => ErrorKind::HostKeyChanged,
            Self::WrongPassword { .. }
            | Self::PasswordLoginOff { .. }
            | Self::SecondFactor { .. }
            | Self::NoShell { .. }
            | Self::NoPrivilege { .. }
            | Self::WrongSudoPassword { .. } => ErrorKind::HostLogin,
            Self::Unfit { .. } => ErrorKind::HostUnfit,
            Self::Owned { .. } => ErrorKind::HostOwned,
            Self::Deadline { .. }
            | Self::Probe { .. }
            | Self::Packages { .. }
            | Self::Libvirt { .. }
            | Self::DiskFull { .. }
            | Self::AgentDoesNotRun { .. }
            | Self::StartFailed { .. }
            | Self::Contended { .. }
            | Self::Script { .. } => ErrorKind::HostSetup,
            Self::AgentProgram { .. } => ErrorKind::Internal,
        }
    }

    /// The error that the findings amount to, if any of them is fatal. Who owns the host comes first: nothing else
    /// about it is ours to judge.
    pub(super) fn of_findings(host: &HostAddress, findings: &[Finding], node: Option<String>) -> Option<Self> {
        let fatal: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Fatal).cloned().collect();
        match (fatal.iter().any(|finding| finding.check == Check::Owner), node) {
            (true, Some(node)) => Some(Self::Owned { host: host.clone(), node }),
            _ if fatal.is_empty() => None,
            _ => Some(Self::Unfit { host: host.clone(), findings: fatal }),
        }
    }
}

fn listed(findings: &[Finding]) -> String {
    let texts: Vec<_> = findings
        .iter()
        .map(|finding| format!("{}: {} (to mend it: {})", finding.check, finding.found, finding.remedy))
        .collect();
    texts.join("; ")
}

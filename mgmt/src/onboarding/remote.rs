//! A script that runs on the host as root and talks with us over its standard input and output.
//!
//! What sshd is asked to run is one constant line that any login shell understands. It announces itself, reads the
//! script as one line of base64, and evaluates it; so no quoting is needed anywhere, noise from shell profiles is told
//! from the script's output, and nothing but that line ever shows in the host's process list.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client::Msg};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::{
    address::HostAddress,
    error::OnboardingError,
    ssh::{Ssh, SshTarget},
    sudo,
};

/// What the first line says once the script can be sent.
pub(super) const READY: &str = "gantry-ready";
/// Reads the script from the next line of its input and evaluates it.
pub(super) const BOOTSTRAP: &str = "sh -c 'echo gantry-ready; read line; eval \"$(echo $line | base64 -d)\"'";
const STDOUT_MAX_BYTES: usize = 256 * 1024;
const STDERR_MAX_BYTES: usize = 8 * 1024;

/// A constant script.
pub(super) struct Script {
    /// What running it is, for errors: "installing packages".
    pub during: &'static str,
    /// Its text.
    pub text: &'static str,
    /// How long it may take in all.
    pub deadline: Duration,
}

/// A script that has ended.
#[derive(Debug)]
pub(super) struct Finished {
    /// Its exit status; `None` if a signal ended it.
    pub status: Option<u32>,
    /// The lines of its standard output that were not read while it ran.
    pub lines: Vec<String>,
    /// The end of its standard error.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// The end of standard error as one line of text.
    pub(super) fn stderr_text(&self) -> String {
        one_line(&self.stderr)
    }
}

/// The text in one line, without control characters.
pub(super) fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.chars().filter(|char| !char.is_control()).collect::<String>().trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    lines.join(" | ")
}

/// A script that runs.
pub(super) struct Running {
    pub(super) host: HostAddress,
    during: &'static str,
    deadline: Duration,
    ends: Instant,
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    status: Option<u32>,
    signalled: bool,
    closed: bool,
}

impl Running {
    /// Starts the script as root: directly, or through sudo.
    pub(super) async fn start(ssh: &Ssh, target: &SshTarget, script: &Script) -> Result<Self, OnboardingError> {
        let host = target.address.clone();
        let ends = Instant::now() + script.deadline;
        let lost = |_: russh::Error| OnboardingError::ConnectionLost { host: host.clone(), during: script.during };
        let channel = match timeout_at(ends, ssh.open_channel()).await {
            Ok(channel) => channel.map_err(lost)?,
            Err(_) => return Err(late(&host, script)),
        };
        let (read, write) = channel.split();
        let mut running = Self {
            host: host.clone(),
            during: script.during,
            deadline: script.deadline,
            ends,
            read,
            write,
            stdout: Vec::new(),
            stderr: Vec::new(),
            status: None,
            signalled: false,
            closed: false,
        };
        let root = target.username == "root";
        let command = if root { BOOTSTRAP.to_owned() } else { sudo::command() };
        running.write.exec(true, command).await.map_err(lost)?;
        if root {
            running.await_ready().await?;
        } else {
            sudo::await_ready(&mut running, target).await?;
        }
        running.send_encoded(script.text.as_bytes()).await?;
        Ok(running)
    }

    async fn await_ready(&mut self) -> Result<(), OnboardingError> {
        while let Some(line) = self.line().await? {
            if line == READY {
                return Ok(());
            }
        }
        let output = one_line(&[self.stdout.as_slice(), self.stderr.as_slice()].concat());
        Err(OnboardingError::NoShell { host: self.host.clone(), username: "root".to_owned(), output })
    }

    /// Sends one line. The value must not hold a newline; everything else reaches the script as it is.
    pub(super) async fn send_line(&mut self, value: &str) -> Result<(), OnboardingError> {
        debug_assert!(!value.contains('\n'));
        self.send(Bytes::from(format!("{}\n", value.replace('\n', " ")))).await
    }

    /// Sends any bytes as one line of base64.
    pub(super) async fn send_encoded(&mut self, bytes: &[u8]) -> Result<(), OnboardingError> {
        let mut line = Zeroizing::new(STANDARD.encode(bytes));
        line.push('\n');
        self.send(Bytes::copy_from_slice(line.as_bytes())).await
    }

    /// Sends bytes. A script that ended meanwhile is no error: how it ended tells why.
    pub(super) async fn send(&mut self, bytes: Bytes) -> Result<(), OnboardingError> {
        if self.closed {
            return Ok(());
        }
        let Self { read, write, ends, .. } = self;
        let (ends, mut messages) = (*ends, Vec::new());
        let sent = {
            let data = write.data_bytes(bytes);
            tokio::pin!(data);
            loop {
                tokio::select! {
                    sent = timeout_at(ends, &mut data) => break sent,
                    message = read.wait() => {
                        let over = matches!(message, None | Some(ChannelMsg::Close));
                        messages.push(message);
                        if over { break Ok(Ok(())) }
                    }
                }
            }
        };
        for message in messages {
            self.take_in(message)?;
        }
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.lost()),
            Err(_) => {
                self.abandon().await;
                Err(self.late())
            }
        }
    }

    /// The next line of standard output; `None` once the script has ended.
    pub(super) async fn line(&mut self) -> Result<Option<String>, OnboardingError> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Some(line));
            }
            if self.closed {
                return Ok(None);
            }
            self.receive().await?;
        }
    }

    pub(super) fn take_line(&mut self) -> Option<String> {
        let end = self.stdout.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.stdout.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line[..end]).trim_end_matches('\r').to_owned())
    }

    /// Closes standard input and waits for the end.
    pub(super) async fn finish(mut self) -> Result<Finished, OnboardingError> {
        if !self.closed {
            let _ = self.write.eof().await;
        }
        while !self.closed {
            self.receive().await?;
        }
        let stdout = String::from_utf8_lossy(&self.stdout).into_owned();
        Ok(Finished {
            status: self.status,
            lines: stdout.lines().map(str::to_owned).collect(),
            stderr: std::mem::take(&mut self.stderr),
        })
    }

    /// Leaves the script to itself: its input and output are gone.
    pub(super) async fn abandon(&self) {
        let _ = self.write.eof().await;
        let _ = self.write.close().await;
    }

    pub(super) fn ended(&self) -> bool {
        self.closed
    }

    /// Takes in one message of the host.
    pub(super) async fn receive(&mut self) -> Result<(), OnboardingError> {
        match timeout_at(self.ends, self.read.wait()).await {
            Ok(message) => self.take_in(message),
            Err(_) => {
                self.abandon().await;
                Err(self.late())
            }
        }
    }

    fn take_in(&mut self, message: Option<ChannelMsg>) -> Result<(), OnboardingError> {
        match message {
            Some(ChannelMsg::Data { data }) => {
                self.stdout.extend_from_slice(&data);
                if self.stdout.len() > STDOUT_MAX_BYTES {
                    return Err(self.failed(format!("it printed more than {STDOUT_MAX_BYTES} bytes")));
                }
            }
            Some(ChannelMsg::ExtendedData { data, .. }) => {
                self.stderr.extend_from_slice(&data);
                let surplus = self.stderr.len().saturating_sub(STDERR_MAX_BYTES);
                self.stderr.drain(..surplus);
            }
            Some(ChannelMsg::ExitStatus { exit_status }) => self.status = Some(exit_status),
            Some(ChannelMsg::ExitSignal { .. }) => self.signalled = true,
            Some(ChannelMsg::Failure) => return Err(self.failed("sshd runs no commands for this user".to_owned())),
            None | Some(ChannelMsg::Close) => {
                self.closed = true;
                if self.status.is_none() && !self.signalled {
                    return Err(self.lost());
                }
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn lost(&self) -> OnboardingError {
        OnboardingError::ConnectionLost { host: self.host.clone(), during: self.during }
    }

    fn late(&self) -> OnboardingError {
        let seconds = self.deadline.as_secs();
        OnboardingError::Deadline { host: self.host.clone(), during: self.during, seconds }
    }

    fn failed(&self, output: String) -> OnboardingError {
        OnboardingError::Script { host: self.host.clone(), during: self.during, output }
    }
}

fn late(host: &HostAddress, script: &Script) -> OnboardingError {
    OnboardingError::Deadline { host: host.clone(), during: script.during, seconds: script.deadline.as_secs() }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    use super::*;

    /// Runs the bootstrap as sshd does with `shell` as the login shell; `None` if that shell is not on this machine.
    fn bootstrap(shell: &str, script: &str, input: &[u8]) -> Option<String> {
        let mut child =
            Command::new(shell).arg("-c").arg(BOOTSTRAP).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(format!("{}\n", STANDARD.encode(script)).as_bytes()).unwrap();
        stdin.write_all(input).unwrap();
        drop(stdin);
        Some(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap())
    }

    #[test]
    fn a_script_gets_its_own_text_and_its_input_whatever_is_in_them() {
        let script = "read -r first\nprintf '[%s]\\n' \"$first\"\necho 'it'\\''s \\ $HOME `x` !'\ncat";
        let input = b"a b\t$(reboot) `reboot` \\n \"'; reboot\nrest \x00 of\nthe input";
        for shell in ["sh", "bash"] {
            let output = bootstrap(shell, script, input).unwrap();
            let expected =
                "gantry-ready\n[a b\t$(reboot) `reboot` \\n \"'; reboot]\nit's \\ $HOME `x` !\nrest \0 of\nthe input";
            assert_eq!(output, expected, "{shell}");
        }
    }

    #[test]
    fn the_bootstrap_has_nothing_that_a_login_shell_could_read_differently() {
        let inner = BOOTSTRAP.strip_prefix("sh -c '").and_then(|rest| rest.strip_suffix('\'')).unwrap();
        // csh expands ! inside single quotes, fish reads \ there, and both end the text at a quote or a newline.
        assert!(!inner.contains(['!', '\\', '\'', '\n']), "{inner}");
    }

    #[test]
    fn output_is_shown_in_one_line_without_control_characters() {
        assert_eq!(one_line(b"\x1b[31mfirst\r\n\n  second \xff\n"), "[31mfirst | second \u{fffd}");
    }
}

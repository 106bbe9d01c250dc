//! Becoming root with sudo, with or without a password.
//!
//! sudo reads the password from standard input only when it has shown its prompt, so it is sent only then: a host that
//! needs none never sees it as input of something else. It is never part of a command line. `-k` leaves no cached
//! credentials behind.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::{
    error::OnboardingError,
    remote::{BOOTSTRAP, READY, Running, one_line},
    ssh::SshTarget,
};

const PROMPT: &str = "gantry-sudo-password:";

/// What to run to evaluate a script as root.
pub(super) fn command() -> String {
    // In another locale sudo would not know PAM's prompt for a prompt, and not replace it by ours.
    format!("env LC_ALL=C sudo -k -S -p {PROMPT} -- {BOOTSTRAP}")
}

/// Gives the password if sudo asks for it, and waits until the script can be sent.
pub(super) async fn await_ready(running: &mut Running, target: &SshTarget) -> Result<(), OnboardingError> {
    let mut answered = 0;
    loop {
        while let Some(line) = running.take_line() {
            if line == READY {
                running.stderr.clear();
                return Ok(());
            }
        }
        let asked = prompts(&running.stderr);
        if asked > 1 {
            running.abandon().await;
            return Err(OnboardingError::WrongSudoPassword {
                host: target.address.clone(),
                username: target.username.clone(),
            });
        }
        if asked > answered {
            answered = asked;
            let mut line = Zeroizing::new(target.password.expose().to_owned());
            line.push('\n');
            running.send(Bytes::copy_from_slice(line.as_bytes())).await?;
            continue;
        }
        if running.ended() {
            return Err(turned_away(running, target));
        }
        running.receive().await?;
    }
}

fn prompts(stderr: &[u8]) -> usize {
    stderr.windows(PROMPT.len()).filter(|window| *window == PROMPT.as_bytes()).count()
}

fn turned_away(running: &Running, target: &SshTarget) -> OnboardingError {
    let (host, username) = (target.address.clone(), target.username.clone());
    let said = one_line(&running.stderr).replace(PROMPT, " ");
    // sudo's last line is its reason; a lecture may stand before it.
    let reason = said.rsplit(" | ").next().unwrap_or_default().trim().to_owned();
    if reason.contains("sudo") || reason.contains("not allowed") || reason.contains("password") {
        OnboardingError::NoPrivilege { host, username, reason }
    } else {
        OnboardingError::NoShell { host, username, output: said }
    }
}

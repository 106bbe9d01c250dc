//! Runs the host's programs: with a deadline, in a language that is known, and with an error that says what they said.

use std::{
    io::{self, ErrorKind},
    process::Stdio,
    time::Duration,
};

use gantry_common::agent::AgentError;
use tokio::{process::Command, time::timeout};

/// How much of what a failed program said is passed on: its end.
const MAX_STDERR_BYTES: usize = 2000;

/// A program that gets nothing, whose output is caught, and that ends when nobody waits for it any more.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs a program to its end, which must be with one of the accepted exit statuses, and answers its standard output.
///
/// # Errors
/// [`AgentError::Program`] when it cannot be run or fails, [`AgentError::Timeout`] when it takes too long; it is then
/// killed.
pub(crate) async fn run(mut command: Command, deadline: Duration, accepted: &[i32]) -> Result<String, AgentError> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let child = command.spawn().map_err(|error| not_started(&program, &error))?;
    // It has for itself what it was given, such as a lock; a copy here would outlast it.
    drop(command);
    let output = timeout(deadline, child.wait_with_output())
        .await
        .map_err(|_| timed_out(&program, deadline))?
        .map_err(|error| lost(&program, &error))?;
    if output.status.code().is_some_and(|code| accepted.contains(&code)) {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(&program, &output.status.to_string(), &output.stderr))
}

/// The error of a program that took too long.
pub(crate) fn timed_out(program: &str, deadline: Duration) -> AgentError {
    AgentError::Timeout { operation: program.to_owned(), seconds: deadline.as_secs() }
}

/// The error of a program that could not be started.
pub(crate) fn not_started(program: &str, error: &io::Error) -> AgentError {
    match error.kind() {
        ErrorKind::NotFound => failed(program, "a missing program", package_of(program).as_bytes()),
        _ => failed(program, "an error before it ran", error.to_string().as_bytes()),
    }
}

/// The error of a program of which it is not known how it ended.
pub(crate) fn lost(program: &str, error: &io::Error) -> AgentError {
    failed(program, "a lost process", error.to_string().as_bytes())
}

/// The error of a program that ended with that status, having said that.
pub(crate) fn failed(program: &str, status: &str, stderr: &[u8]) -> AgentError {
    let stderr = String::from_utf8_lossy(stderr);
    let said = stderr.trim();
    let start = said.ceil_char_boundary(said.len().saturating_sub(MAX_STDERR_BYTES));
    AgentError::Program {
        program: program.to_owned(),
        status: status.to_owned(),
        stderr: said.get(start..).unwrap_or_default().to_owned(),
    }
}

fn package_of(program: &str) -> &'static str {
    match program {
        "qemu-img" => "install qemu-utils (Debian) or qemu-img (Red Hat)",
        _ => "install the package that has it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const LATE: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = command("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn what_a_program_says_is_answered_or_told_with_its_exit_status() {
        assert_eq!(run(shell("echo said; exit 3"), LATE, &[0, 3]).await.unwrap(), "said\n");
        let error = run(shell("echo why >&2; exit 3"), LATE, &[0]).await.unwrap_err();
        let AgentError::Program { program, status, stderr } = error else { panic!("{error}") };
        assert_eq!((&*program, &*status, &*stderr), ("sh", "exit status: 3", "why"));
    }

    #[tokio::test]
    async fn one_that_is_missing_or_takes_too_long_is_an_error() {
        let error = run(command("gantry-no-such-program"), LATE, &[0]).await.unwrap_err();
        assert!(matches!(&error, AgentError::Program { status, .. } if status == "a missing program"), "{error}");
        let error = run(shell("sleep 60"), SOON, &[0]).await.unwrap_err();
        assert!(matches!(error, AgentError::Timeout { .. }), "{error}");
    }

    #[test]
    fn only_the_end_of_a_long_error_text_is_kept() {
        let text = format!("{}end", "ä".repeat(5000));
        let AgentError::Program { stderr, .. } = failed("sh", "exit status: 1", text.as_bytes()) else { panic!() };
        assert!(stderr.ends_with("end") && stderr.len() <= MAX_STDERR_BYTES);
    }
}

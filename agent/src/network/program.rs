//! Runs the programs that configure the kernel's network: `ip`, `nft`, `dnsmasq`.

use std::{process::Stdio, time::Duration};

use gantry_common::agent::AgentError;
use tokio::{io::AsyncWriteExt, process::Command};

const DEADLINE: Duration = Duration::from_secs(30);
/// How much of what a failed program said is passed on.
const STDERR_BYTES: usize = 2000;

/// Runs a program to its end, with `input` on its standard input, and returns its standard output.
///
/// # Errors
/// [`AgentError::Program`] when it cannot be run or fails, [`AgentError::Timeout`] when it takes too long; it is then
/// killed.
pub(super) async fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, AgentError> {
    let failed = |status: String, stderr: String| AgentError::Program { program: program.to_owned(), status, stderr };
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed("an error before it ran".to_owned(), error.to_string()))?;
    let stdin = child.stdin.take();
    let work = async {
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program that ends without reading all of its input says why on standard error.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let ((), output) = tokio::join!(write, child.wait_with_output());
        output
    };
    let output = tokio::time::timeout(DEADLINE, work)
        .await
        .map_err(|_| AgentError::Timeout { operation: program.to_owned(), seconds: DEADLINE.as_secs() })?
        .map_err(|error| failed("an error".to_owned(), error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = &output.stderr[output.stderr.len().saturating_sub(STDERR_BYTES)..];
    Err(failed(output.status.to_string(), String::from_utf8_lossy(stderr).trim().to_owned()))
}

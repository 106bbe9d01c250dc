//! `gantry-agent check`: is this machine fit to be a KVM host? The same probe and rules as when a host is added.

use std::{
    io::Write as _,
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use gantry_common::{
    agent::DEFAULT_PORT,
    host_check::{Finding, HostPolicy, PROBE, ProbedHost, Severity, check_host},
};
use serde::Serialize;

/// The probe takes under a second; a program that hangs must not hang the check.
const DEADLINE: Duration = Duration::from_secs(60);

/// The options of `gantry-agent check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Accept a processor without hardware virtualisation: guests are emulated and run slowly.
    #[arg(long)]
    allow_emulation: bool,
    /// The port the agent is to listen on.
    #[arg(long, default_value_t = DEFAULT_PORT)]
    port: u16,
    /// Print what was found and judged as JSON.
    #[arg(long)]
    json: bool,
}

/// Probes this host and prints what was found. The exit code is a failure if anything makes the host unusable.
///
/// # Errors
/// When the probe cannot be run or its output cannot be read.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let host = ProbedHost::parse(&probe()?).context("reading what the probe found on this host")?;
    let findings = check_host(
        &host,
        &HostPolicy {
            allow_emulation: args.allow_emulation,
            node: None,
            host: None,
            agent_port: args.port,
            agent_architecture: std::env::consts::ARCH.to_owned(),
            agent_bytes: std::env::current_exe()?.metadata()?.len(),
            clock_epoch_seconds: None,
        },
    );
    let text = if args.json { json(&host, &findings)? } else { table(&findings) };
    std::io::stdout().write_all(text.as_bytes())?;
    let unusable = findings.iter().any(|finding| finding.severity == Severity::Fatal);
    Ok(if unusable { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn probe() -> anyhow::Result<String> {
    let mut shell = Command::new("/bin/sh")
        .arg("-s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("starting /bin/sh")?;
    let mut stdin = shell.stdin.take().context("the shell has no standard input")?;
    let mut stdout = shell.stdout.take().context("the shell has no standard output")?;
    let reader = thread::spawn(move || std::io::read_to_string(&mut stdout));
    stdin.write_all(PROBE.as_bytes()).context("handing the probe to /bin/sh")?;
    drop(stdin);

    let begin = Instant::now();
    while !reader.is_finished() {
        if begin.elapsed() > DEADLINE {
            shell.kill().context("ending the probe")?;
            shell.wait()?;
            bail!("the probe did not end within {} s: a program on this host hangs", DEADLINE.as_secs());
        }
        thread::sleep(Duration::from_millis(5));
    }
    shell.wait()?;
    match reader.join() {
        Ok(output) => output.context("reading the probe's output"),
        Err(_) => bail!("reading the probe's output failed"),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    host: &'a ProbedHost,
    findings: &'a [Finding],
}

fn json(host: &ProbedHost, findings: &[Finding]) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&Report { host, findings })? + "\n")
}

fn table(findings: &[Finding]) -> String {
    let rows: Vec<[String; 3]> = findings
        .iter()
        .map(|finding| {
            let found = match finding.remedy.as_str() {
                "" => finding.found.clone(),
                remedy => format!("{}: {remedy}", finding.found),
            };
            [verdict(finding.severity).to_owned(), finding.check.to_string(), found]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (first, second) = (width(0), width(1));
    rows.iter().map(|[verdict, check, found]| format!("{verdict:first$}  {check:second$}  {found}\n")).collect()
}

fn verdict(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "ok",
        Severity::Warning => "warning",
        Severity::MissingPackage(_) => "missing",
        Severity::Fatal => "FATAL",
    }
}

#[cfg(test)]
mod tests {
    use gantry_common::host_check::Check;

    use super::*;

    #[test]
    fn this_machine_can_be_probed() {
        let host = ProbedHost::parse(&probe().unwrap()).unwrap();
        assert_eq!(host.kernel, std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap().trim());
        assert!(host.memory_bytes > 0 && host.cpu_count > 0);
        assert!(!host.disks.is_empty());
    }

    #[test]
    fn the_table_is_aligned_and_names_remedies() {
        let finding = |check, severity, found: &str, remedy: &str| Finding {
            check,
            severity,
            found: found.to_owned(),
            remedy: remedy.to_owned(),
        };
        let findings = [
            finding(Check::Systemd, Severity::Ok, "systemd 252", ""),
            finding(Check::Virtualisation, Severity::Fatal, "neither vmx nor svm", "enable it"),
        ];
        let expected = "ok     systemd         systemd 252\nFATAL  virtualisation  neither vmx nor svm: enable it\n";
        assert_eq!(table(&findings), expected);
    }

    #[test]
    fn json_carries_the_facts_and_the_findings() {
        let host = ProbedHost::parse(&probe().unwrap()).unwrap();
        let text = json(&host, &[]).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["host"]["architecture"], std::env::consts::ARCH);
        assert!(value["findings"].is_array());
    }
}

//! 4.3.10: scripts on hosts.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use gantry_common::{
    agent::{RunScript, ScriptOutcome},
    error::ErrorKind,
    id::HostUuid,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::making::require;
use crate::{
    api::{Operation, job},
    failure::Failure,
    job::{JobOperation, Run, Step},
    operation,
    resource::Host,
    store::Tx,
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![job::<KvmRunShell>()]
}

/// How long a script may take on a host; it and all that it has started are ended then.
const DEADLINE_SECONDS: u64 = 300;
/// How much of each of its outputs is answered.
const OUTPUT_BYTES: u64 = 64 << 10;
/// The longest script.
const MOST_SCRIPT_BYTES: usize = 64 << 10;

operation! {
    /// Runs a shell script on hosts, as root. It ends after 300 seconds with all that it has started, and 64 KiB of each
    /// of its outputs are answered. A script that fails on a host is no error of the operation: its result says so.
    KvmRunShell, "4.3.10", Put "/hosts/kvm/actions", Job -> { inventory: ({
        returnCode: i64, stdout: String, stderr: String, errorCode: Json
    }) }; {
        /// The hosts.
        host_uuids: Vec<HostUuid>, nonempty true;
        /// The script.
        script: String;
    }
}

/// What the script came to on a host: its outcome, or why there is none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Ran {
    Ended(ScriptOutcome),
    Failed { kind: ErrorKind, details: String },
}

/// The results by host.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Running {
    results: BTreeMap<HostUuid, Ran>,
}

impl JobOperation for KvmRunShell {
    type State = Running;

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("find the hosts", |tx, run| {
                let bytes = run.params.script.len();
                if bytes == 0 || bytes > MOST_SCRIPT_BYTES {
                    let remedy = format!("a script of 1 to {MOST_SCRIPT_BYTES} bytes is needed");
                    return Err(Failure::argument("script", format!("of {bytes} bytes"), remedy));
                }
                run.params.host_uuids.iter().try_for_each(|host| require::<Host>(tx, "hostUuids", *host).map(drop))
            }),
            Step::remote("run the script", |mut run: Run<Self>| async move {
                let results = join_all(run.params.host_uuids.iter().map(|host| run_on(&run, *host))).await;
                if run.cancelled.is_cancelled() {
                    return Err(Failure::new(ErrorKind::Cancelled, "the scripts were ended"));
                }
                run.state.results = results.into_iter().collect();
                Ok(run.state)
            })
            .cancellable(),
        ]
    }

    fn reply(&self, _tx: &Tx<'_>, state: &Running) -> Result<Value, Failure> {
        let shown: BTreeMap<String, Value> =
            state.results.iter().map(|(host, ran)| (host.to_string(), shown(ran))).collect();
        Ok(json!({ "inventory": shown }))
    }
}

async fn run_on(run: &Run<KvmRunShell>, host: HostUuid) -> (HostUuid, Ran) {
    let command =
        RunScript { script: run.params.script.clone(), deadline_seconds: DEADLINE_SECONDS, output_bytes: OUTPUT_BYTES };
    let ran = match run.call(host, &host.to_string(), command).await {
        Ok(outcome) => Ran::Ended(outcome),
        Err(failure) => Ran::Failed { kind: failure.kind, details: failure.details },
    };
    (host, ran)
}

fn shown(ran: &Ran) -> Value {
    let error = |kind: ErrorKind, details: String| json!(kind.with(details));
    match ran {
        Ran::Failed { kind, details } => json!({
            "returnCode": -1, "stdout": "", "stderr": "", "errorCode": error(*kind, details.clone()),
        }),
        Ran::Ended(outcome) => {
            let mut shown = json!({
                "returnCode": outcome.exit_status.unwrap_or(-1), "stdout": outcome.stdout, "stderr": outcome.stderr,
            });
            if outcome.timed_out {
                let details = format!("the script did not end within {DEADLINE_SECONDS} s, and was ended");
                shown["errorCode"] = error(ErrorKind::Timeout, details);
            } else if outcome.exit_status.is_none() {
                let details = "the script was ended from outside, for one by a restart of the host".to_owned();
                shown["errorCode"] = error(ErrorKind::HostCommand, details);
            }
            shown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(exit_status: Option<i32>, timed_out: bool) -> Ran {
        Ran::Ended(ScriptOutcome { exit_status, timed_out, stdout: "out".to_owned(), stderr: String::new() })
    }

    #[test]
    fn a_script_that_fails_is_a_result_and_one_that_was_ended_has_an_error() {
        assert_eq!(shown(&outcome(Some(3), false)), json!({ "returnCode": 3, "stdout": "out", "stderr": "" }));
        assert_eq!(shown(&outcome(None, true))["errorCode"]["code"], ErrorKind::Timeout.code());
        assert_eq!(shown(&outcome(None, false))["errorCode"]["code"], ErrorKind::HostCommand.code());
        let away = Ran::Failed { kind: ErrorKind::HostDisconnected, details: "away".to_owned() };
        assert_eq!(shown(&away)["errorCode"]["details"], "away");
    }
}

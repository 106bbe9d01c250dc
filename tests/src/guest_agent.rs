//! Commands inside a guest, by its QEMU guest agent.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{ALWAYS, LabHost, patience::quietly};

impl LabHost<'_> {
    /// Runs a script in a guest whose agent is up, which it is once the guest is ready. Answers its standard output.
    ///
    /// # Panics
    /// When the agent does not answer, or the script fails.
    pub fn in_guest(&self, vm: &str, script: &str) -> String {
        let arguments = json!({ "path": "/bin/sh", "arg": ["-c", script], "capture-output": true });
        let started = quietly("the guest's agent takes a command", ALWAYS, || {
            self.ask_guest(vm, &json!({ "execute": "guest-exec", "arguments": arguments }))
        });
        let ended = quietly("the guest's command ends", ALWAYS, || {
            let asked = json!({ "execute": "guest-exec-status", "arguments": { "pid": started["pid"] } });
            self.ask_guest(vm, &asked).filter(|status| status["exited"] == json!(true))
        });
        let said = |field: &str| {
            let bytes = STANDARD.decode(ended[field].as_str().unwrap_or_default()).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        assert_eq!(ended["exitcode"], json!(0), "in guest {vm}: {script}\n{}{}", said("out-data"), said("err-data"));
        said("out-data")
    }

    fn ask_guest(&self, vm: &str, command: &Value) -> Option<Value> {
        let quoted = command.to_string().replace('\'', r"'\''");
        let answer = self.try_run(&format!("virsh qemu-agent-command {vm} '{quoted}'"));
        let answer: Value = serde_json::from_slice(&answer.stdout).ok()?;
        Some(answer["return"].clone())
    }
}

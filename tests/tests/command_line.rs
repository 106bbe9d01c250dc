//! The command-line client, against a real management node: what an operator types and a script reads.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it cannot go on")]

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use gantry_tests::{ADMIN_PASSWORD, Management, program};
use serde_json::Value;
use tempfile::TempDir;

/// A user's shell: a home directory of its own, and what its environment says.
struct Shell {
    home: TempDir,
    variables: Vec<(String, String)>,
}

impl Shell {
    fn of(node: &Management) -> Self {
        let url = format!("http://{}", node.address());
        Self { home: TempDir::new().unwrap(), variables: vec![("GANTRY_URL".to_owned(), url)] }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program("gantry"));
        command.env_clear().env("HOME", self.home.path()).envs(self.variables.iter().cloned());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command().args(words).stdin(Stdio::null()).output().unwrap()
    }

    /// What it prints, where it succeeds.
    fn prints(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The exit code and what it says, where it fails.
    fn fails(&self, words: &[&str]) -> (i32, String) {
        let output = self.run(words);
        assert!(!output.status.success(), "{words:?} succeeded");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.prints(&[words, &["--output", "json"]].concat())).unwrap()
    }

    fn sessions(&self) -> PathBuf {
        self.home.path().join(".local/state/gantry/sessions.json")
    }
}

#[test]
fn an_operator_logs_in_once_and_calls_operations_by_their_names() {
    let node = Management::start_plain(&[]);
    let shell = Shell::of(&node);
    let (code, said) = shell.fails(&["QueryZone"]);
    assert!(code == 1 && said.contains("gantry login"), "{code}: {said}");

    let mut login = shell.command().args(["login", "--password-file", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    writeln!(login.stdin.take().unwrap(), "{ADMIN_PASSWORD}").unwrap();
    assert!(login.wait().unwrap().success());
    let mode = std::fs::metadata(shell.sessions()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "others can read the session");

    let zone = shell.json(&["CreateZone", "name=north", "description=the first", "--wait"]);
    assert_eq!(zone["inventory"]["name"], "north");
    let uuid = zone["inventory"]["uuid"].as_str().unwrap();
    let table = shell.prints(&["QueryZone", "name~=nor%", "fields=name,description"]);
    assert_eq!(table, "NAME   DESCRIPTION\nnorth  the first\n");

    // Without --wait the job's id is answered, and waited for later.
    let job = shell.prints(&["UpdateZone", &format!("uuid={uuid}"), "name=south"]);
    let job = job.trim().strip_prefix("job ").unwrap();
    assert!(shell.prints(&["wait", job]).contains("south"));

    shell.prints(&["logout"]);
    assert!(shell.fails(&["QueryZone"]).1.contains("not logged in"));
}

#[test]
fn a_script_takes_its_password_from_the_environment_or_a_file_that_only_it_can_read() {
    let node = Management::start_plain(&[]);
    let from_environment = Shell::of(&node).with("GANTRY_PASSWORD", ADMIN_PASSWORD);
    assert_eq!(from_environment.json(&["QueryZone"])["inventories"], serde_json::json!([]));

    let shell = Shell { home: TempDir::new().unwrap(), variables: Vec::new() };
    let file = shell.home.path().join(".config/gantry/credentials.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, format!("url = \"http://{}\"\npassword = \"{ADMIN_PASSWORD}\"\n", node.address())).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let (_, said) = shell.fails(&["QueryZone"]);
    assert!(said.contains("chmod 600") && !said.contains(ADMIN_PASSWORD), "{said}");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(shell.prints(&["QueryZone"]), "none\n");
    // The password is for this account; another one does not get it.
    assert!(shell.fails(&["QueryZone", "--account", "tenant"]).1.contains("tenant is not logged in"));
}

#[test]
fn errors_name_what_is_wrong_and_the_exit_code_tells_usage_from_failure() {
    let node = Management::start_plain(&[]);
    let shell = Shell::of(&node).with("GANTRY_PASSWORD", ADMIN_PASSWORD);
    let (code, said) = shell.fails(&["CreatZone", "name=x"]);
    assert!(code == 2 && said.contains("did you mean CreateZone"), "{code}: {said}");
    let (code, said) = shell.fails(&["CreateZone", "nam=x"]);
    assert!(code == 2 && said.contains("did you mean name?"), "{code}: {said}");
    let (code, said) = shell.fails(&["AddKVMHost", "name=h", "password=hunter2"]);
    assert!(code == 2 && said.contains("@FILE") && !said.contains("hunter2"), "{code}: {said}");
    let (code, said) = shell.fails(&["DeleteCluster", "uuid=00000000000000000000000000000000", "--wait"]);
    assert!(code == 1 && said.contains("SYS.1009"), "{code}: {said}");
    let (code, said) = shell.fails(&["QueryZone", "--url", "http://127.0.0.1:9"]);
    assert!(code == 1 && said.contains("does not answer"), "{code}: {said}");
}

#[test]
fn a_job_is_waited_for_over_a_restart_of_the_node() {
    let mut node = Management::start_plain(&[]);
    let shell = Shell::of(&node).with("GANTRY_PASSWORD", ADMIN_PASSWORD);
    shell.prints(&["CreateZone", "name=first", "--wait"]);
    let job = shell.prints(&["CreateZone", "name=second"]);
    node.kill();
    let job = job.trim().strip_prefix("job ").unwrap();
    let waiting = shell.command().args(["wait", job]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    node.start_again(&[]);
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("second"));
}

#[test]
fn bash_completes_operations_parameters_and_values() {
    let node = Management::start_plain(&[]);
    let shell = Shell::of(&node);
    let completed = |line: &str| {
        let script = format!(
            "PATH={}; source <(gantry completion bash); COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; \
             compopt() {{ :; }}; _gantry; echo \"${{COMPREPLY[*]}}\"",
            program("gantry").parent().unwrap().display()
        );
        let output = Command::new("/bin/bash").args(["-c", &script]).env("HOME", shell.home.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(completed("gantry CreateZo"), "CreateZone");
    assert_eq!(completed("gantry CreateZone name=x desc"), "description=");
    // bash puts what follows the equals sign after it.
    assert_eq!(completed("gantry DeleteZone deleteMode=Enf"), "Enforcing");
}

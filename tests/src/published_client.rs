//! A published client of the classic protocol, unmodified, in a Python environment of its own.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{ADMIN_PASSWORD, Management};

/// Has the client create this VM, take it through its life, and remove it.
///
/// # Panics
/// When anything is not as the client expects it.
pub fn published_client_lives_through(node: &Management, vm: &Value) {
    let asked = json!({ "url": format!("http://{}", node.address()), "password": ADMIN_PASSWORD, "vm": vm });
    let mut client = Command::new(environment().join("bin/python"))
        .arg(files().join("life_of_a_vm.py"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    assert!(client.wait().unwrap().success(), "the published client did not come to the end of a VM's life");
}

/// The environment with the client in it, below the directory of the tests' programs; made when it is not there.
fn environment() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let environment = test.ancestors().nth(2).unwrap().join("published-client");
    let turn = File::create(environment.with_extension("lock")).unwrap();
    turn.lock().unwrap();
    let wanted = std::fs::read_to_string(files().join("requirements.txt")).unwrap();
    let installed = environment.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return environment;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
    run(Command::new(environment.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"])
        .arg(files().join("requirements.txt")));
    std::fs::write(installed, wanted).unwrap();
    environment
}

fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?} failed (it needs python3-venv, and the network the first time)");
}

fn files() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/published_client"))
}

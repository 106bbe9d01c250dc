//! A published client of the classic protocol, unmodified, in a Python environment of its own.

use std::{
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
    let mut client = Command::new(programs().join("python"))
        .arg(files().join("life_of_a_vm.py"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    assert!(client.wait().unwrap().success(), "the published client did not come to the end of a VM's life");
}

/// The programs of the environment with the client in it.
fn programs() -> PathBuf {
    let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("python_environment");
    let made = Command::new(maker).arg(files()).stderr(Stdio::inherit()).output().unwrap();
    assert!(made.status.success(), "no Python environment (it needs python3-venv, and the network the first time)");
    PathBuf::from(String::from_utf8(made.stdout).unwrap().trim())
}

fn files() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/published_client"))
}

//! The API's document is valid by a judge that is not Gantry's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that meets the unexpected ends")]

use std::{path::Path, process::Command};

use gantry_mgmt::api::openapi;

#[test]
fn the_document_is_valid_openapi() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("openapi.json");
    std::fs::write(&path, openapi::served().to_string()).unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let made = Command::new(tests.join("python_environment")).arg(tests.join("openapi")).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let programs = String::from_utf8(made.stdout).unwrap();
    let validator = Path::new(programs.trim()).join("openapi-spec-validator");
    let judged = Command::new(validator).arg("--schema").arg("3.1").arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&judged.stdout).into_owned() + &String::from_utf8_lossy(&judged.stderr);
    assert!(judged.status.success(), "{said}");
}

//! The management node under test: the program itself, with its data in a directory of its own.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{ALWAYS, Client, patience::quietly};

/// The password of the account `admin`.
pub const ADMIN_PASSWORD: &str = "a password of the tests";
/// How much of its log is shown when a test fails.
const LOG_LINES_SHOWN: usize = 80;

/// A running management node, or one that was killed and can be started again on the same data.
#[derive(Debug)]
pub struct Management {
    data: TempDir,
    address: String,
    settings: BTreeMap<String, String>,
    process: Option<Child>,
}

impl Management {
    /// Starts a node with an empty inventory that takes hosts without hardware virtualisation and keeps nothing
    /// of them in reserve.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let emulation = [("GANTRY_ALLOW_EMULATION", "true")];
        let node = Self::start_plain(&[&emulation[..], settings].concat());
        let client = node.client();
        client.set("kvm", "reservedMemory", "0");
        // The hosts' disks are the machine's, which may be rather full.
        client.set("mevoco", "threshold.primaryStorage.physicalCapacity", "1");
        client.set("primaryStorage", "reservedCapacity", "0");
        client.set("backupStorage", "reservedCapacity", "0");
        node
    }

    /// Starts a node with no settings but these.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_plain(settings: &[(&str, &str)]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let data = tempfile::Builder::new().prefix("gantry-mgmt-").tempdir().unwrap();
        let mut node = Self { data, address: free.to_string(), settings, process: None };
        node.start_again(&[]);
        node
    }

    /// Starts it again on the same data, with these settings besides its own for this time.
    ///
    /// # Panics
    /// When it runs already or does not come up.
    pub fn start_again(&mut self, once: &[(&str, &str)]) {
        assert!(self.process.is_none(), "the node runs");
        let log = OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        // Should the test be killed, the node must not stay.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program("gantry-mgmt"))
            .arg("serve")
            .env("GANTRY_DATA", self.data.path().join("data"))
            .env("GANTRY_LISTEN", &self.address)
            .env("GANTRY_ADMIN_PASSWORD", ADMIN_PASSWORD)
            .envs(&self.settings)
            .envs(once.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        quietly("the management node answers", ALWAYS, || {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            // One with a fail point may end while it takes up its jobs.
            assert!(ended.is_none() || !once.is_empty(), "the node ended at its start: {ended:?}");
            (ended.is_some() || Client::login(&self.address, ADMIN_PASSWORD).is_ok()).then_some(())
        });
    }

    /// A client that is logged in. Its session outlives the node's restarts.
    ///
    /// # Panics
    /// When the node does not let it in.
    pub fn client(&self) -> Client {
        Client::login(&self.address, ADMIN_PASSWORD).unwrap()
    }

    /// Where it serves its API, such as `127.0.0.1:8080`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// Asks it to stop.
    pub fn terminate(&mut self) -> ExitStatus {
        self.end(Signal::SIGTERM)
    }

    /// Whether it has ended by itself, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.process.as_mut().and_then(|process| process.try_wait().unwrap());
        if ended.is_some() {
            self.process = None;
        }
        ended
    }

    /// Whether a text stands anywhere in its data or its log.
    ///
    /// # Panics
    /// When they cannot be read.
    pub fn has_written(&self, text: &str) -> bool {
        let options = ["--recursive", "--quiet", "--text", "--fixed-strings", "--"];
        let status = Command::new("grep").args(options).arg(text).arg(self.data.path()).status().unwrap();
        assert_ne!(status.code(), Some(2), "the node's data cannot be read");
        status.success()
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        let mut process = self.process.take().expect("the node does not run");
        kill(Pid::from_raw(process.id().try_into().unwrap()), signal).unwrap();
        process.wait().unwrap()
    }

    fn log(&self) -> PathBuf {
        self.data.path().join("log")
    }
}

impl Drop for Management {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.end(Signal::SIGKILL);
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            eprintln!("---- management node\n{}", shown.join("\n"));
        }
    }
}

/// A program of this workspace, as `cargo build --workspace` made it: it lies above the test's own file.
///
/// # Panics
/// When it was not built.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let found = test.ancestors().skip(2).map(|directory| directory.join(name)).find(|path| is_program(path));
    found.unwrap_or_else(|| panic!("{name} is not built: run `cargo build --workspace` first"))
}

fn is_program(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.metadata().is_ok_and(|file| file.is_file()))
}

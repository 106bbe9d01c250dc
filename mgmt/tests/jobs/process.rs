//! The real program, which can be killed and started again on the same data.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use gantry_mgmt::store::Store;
use tempfile::TempDir;

use super::{
    client::{Client, PASSWORD, eventually},
    receiver::nobody,
};

pub struct Process {
    pub address: SocketAddr,
    data: TempDir,
    child: Option<Child>,
}

impl Process {
    /// A node with an empty inventory.
    pub async fn start() -> Self {
        Self::start_on(tempfile::tempdir().unwrap()).await
    }

    /// A node whose data is in the directory `data` of this one.
    pub async fn start_on(data: TempDir) -> Self {
        let mut process = Self { address: nobody().await, data, child: None };
        process.start_again().await;
        process
    }

    /// The inventory of a node that does not run.
    pub fn store(&self) -> Store {
        assert!(self.child.is_none(), "the node runs");
        Store::open(&self.data.path().join("data/gantry.db")).unwrap()
    }

    pub async fn start_again(&mut self) {
        assert!(self.child.is_none(), "the node runs");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.data.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_gantry-mgmt"))
            .arg("serve")
            .arg("--data")
            .arg(self.data.path().join("data"))
            .args(["--listen", &self.address.to_string(), "--config", "/dev/null"])
            .env("GANTRY_ADMIN_PASSWORD", PASSWORD)
            .env("GANTRY_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        self.client().await;
    }

    /// A client that is logged in. Its session outlives the node.
    pub async fn client(&self) -> Client {
        eventually("the node answers", async || Client::login(self.address).await.ok()).await
    }

    /// Whether a text stands anywhere in its data or its log.
    pub fn has_written(&self, text: &str) -> bool {
        let options = ["--recursive", "--quiet", "--text", "--fixed-strings", "--"];
        let status = Command::new("grep").args(options).arg(text).arg(self.data.path()).status().unwrap();
        assert_ne!(status.code(), Some(2), "the node's data cannot be read");
        status.success()
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.data.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("---- the node's log\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

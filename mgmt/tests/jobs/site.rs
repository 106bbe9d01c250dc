//! A node with one machine that keeps a backup storage, its agent in this process with the real handling of images.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use gantry_agent::{
    image::{Images, http_client},
    server::{Server, identity::Identity},
    storage::PathLocks,
};
use gantry_common::{
    agent::StorageCapacity,
    id::{BackupStorageUuid, HostUuid},
};
use gantry_mgmt::{
    clock::Timestamp,
    config::Overrides,
    failure::Failure,
    node::{Node, Start},
    resource::{AdminState, BackupStorage, ConnectionStatus, Machine},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    client::{Client, eventually},
    double::Double,
    process::Process,
};

pub struct Site {
    pub process: Process,
    pub client: Client,
    pub storage: BackupStorageUuid,
    /// A second backup storage on the same machine.
    pub other: BackupStorageUuid,
    agent: Arc<Double>,
    root: TempDir,
    other_root: TempDir,
}

impl Site {
    pub async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let [data, root, other_root] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
        let overrides = Overrides { data: Some(data.path().join("data")), ..Overrides::default() };
        let start = Start {
            config: overrides.finish(),
            admin_password: Some(super::client::PASSWORD.to_owned()),
            failpoint: None,
        };
        let node = Node::open(start).await.unwrap();
        let machine = HostUuid::random();
        let (agent, address) = start_agent(&node, machine).await;
        record_machine(&node, machine, address).await;
        let storage = record(&node, machine, address, root.path().display().to_string()).await;
        let other = record(&node, machine, address, other_root.path().display().to_string()).await;
        drop(node);

        let process = Process::start_on(data).await;
        let client = process.client().await;
        let site = Self { process, client, storage, other, agent, root, other_root };
        site.connected().await;
        site
    }

    /// Waits until the machine's agent is connected.
    pub async fn connected(&self) {
        eventually("the backup storage is connected", async || {
            (self.client.query("/backup-storage").await[0]["status"] == "Connected").then_some(())
        })
        .await;
    }

    /// Has the machine's file system so many bytes left.
    pub fn leave(&self, available_bytes: u64) {
        *self.agent.capacity.lock() = Some(StorageCapacity { total_bytes: 1 << 40, available_bytes });
    }

    /// What AddImage takes.
    pub fn image(&self, url: &str) -> Value {
        json!({ "name": "image", "url": url, "format": "raw", "backupStorageUuids": [self.storage] })
    }

    /// The files of the backup storage, but for what marks it as one.
    pub fn files(&self) -> Vec<PathBuf> {
        files_of(self.root.path())
    }

    /// Those of the second one.
    pub fn other_files(&self) -> Vec<PathBuf> {
        files_of(self.other_root.path())
    }
}

fn files_of(root: &std::path::Path) -> Vec<PathBuf> {
    fn below(directory: &std::path::Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => below(&path, found),
                false => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    below(root, &mut found);
    found.retain(|path| path.file_name().is_none_or(|name| name != ".gantry-image-store"));
    found.sort();
    found
}

async fn start_agent(node: &Node, machine: HostUuid) -> (Arc<Double>, SocketAddr) {
    let issued = node.authority.issue_host(machine).unwrap();
    let identity = Identity::in_memory(machine, &issued.certificate_pem, &issued.key_pem, &issued.ca_pem).unwrap();
    let images = Images::new(http_client().unwrap(), node.authority.client_config().unwrap(), PathLocks::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = images.serve();
    let double = Arc::new(Double::with_images(Some(images)));
    *double.capacity.lock() = Some(StorageCapacity { total_bytes: 1 << 40, available_bytes: 1 << 40 });
    let agent = double.clone();
    tokio::spawn(Server::new(double, Arc::new(identity), routes).serve(listener, CancellationToken::new()));
    (agent, address)
}

async fn record_machine(node: &Node, machine: HostUuid, address: SocketAddr) {
    let record = move |tx: &gantry_mgmt::store::Tx<'_>| {
        tx.insert(&Machine {
            uuid: machine,
            address: address.ip().to_string(),
            port: address.port(),
            host_key: None,
            status: ConnectionStatus::Disconnected,
            status_reason: None,
            facts: None,
            foreign_domains: json!([]),
            create_date: Timestamp::now(),
        })
        .map_err(Failure::from)
    };
    node.store.write(record).await.unwrap();
}

async fn record(node: &Node, machine: HostUuid, address: SocketAddr, root: String) -> BackupStorageUuid {
    let (uuid, now) = (BackupStorageUuid::random(), Timestamp::now());
    let status = ConnectionStatus::Disconnected;
    let record = move |tx: &gantry_mgmt::store::Tx<'_>| {
        tx.insert(&BackupStorage {
            uuid,
            name: "images".to_owned(),
            url: root,
            description: None,
            total_capacity: 1 << 40,
            available_capacity: 1 << 40,
            kind: "ImageStoreBackupStorage".to_owned(),
            state: AdminState::Enabled,
            status,
            hostname: address.ip().to_string(),
            username: "root".to_owned(),
            ssh_port: 22,
            create_date: now,
            last_op_date: now,
            machine_uuid: machine,
        })?;
        Ok::<_, Failure>(uuid)
    };
    node.store.write(record).await.unwrap()
}

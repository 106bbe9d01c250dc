//! A small site, set up through the API: hosts, storages, a network with its services, an image and an offering.

use std::process::Command;

use serde_json::{Value, json};

use crate::{Client, ImageServer, Lab, LabHost, PASSWORD, text};

/// Where the hosts keep volumes.
pub const PRIMARY_STORAGE: &str = "/var/lib/gantry/storage";
/// Where the first host keeps images.
pub const IMAGE_STORE: &str = "/var/lib/gantry/images";
/// What a small guest gets: it boots in 128 MiB.
pub const GUEST_MEMORY_BYTES: u64 = 128 << 20;

/// The uuids of what was set up.
#[derive(Debug, Clone)]
pub struct Site {
    /// The zone.
    pub zone: String,
    /// The cluster.
    pub cluster: String,
    /// The hosts, in the order of the lab's.
    pub hosts: Vec<String>,
    /// The backup storage, on the first host.
    pub image_store: String,
    /// The local storage.
    pub primary_storage: String,
    /// The network without VLAN.
    pub l2_network: String,
    /// The subnet: the lab's own.
    pub l3_network: String,
    /// The test guest's image.
    pub image: String,
    /// One processor and [`GUEST_MEMORY_BYTES`].
    pub offering: String,
}

impl Site {
    /// A zone and a cluster.
    pub fn empty_cluster(client: &Client) -> (String, String) {
        let zone = made(client, "/zones", &json!({ "name": "zone" }));
        let cluster = json!({ "zoneUuid": zone, "name": "cluster", "hypervisorType": "KVM" });
        let cluster = made(client, "/clusters", &cluster);
        (zone, cluster)
    }

    /// What AddKVMHost takes for a host of the lab.
    pub fn host_params(cluster: &str, host: &LabHost<'_>) -> Value {
        json!({
            "name": format!("host at {}", host.address()), "managementIp": host.address(), "clusterUuid": cluster,
            "username": "root", "password": PASSWORD,
        })
    }

    /// Sets everything up on all hosts of the lab.
    ///
    /// # Panics
    /// When any of it fails.
    pub fn set_up(client: &Client, lab: &Lab) -> Self {
        let (zone, cluster) = Self::empty_cluster(client);
        let hosts: Vec<String> = std::thread::scope(|scope| {
            let adding: Vec<_> = lab
                .hosts()
                .map(|host| {
                    let cluster = &cluster;
                    scope.spawn(move || made(client, "/hosts/kvm", &Self::host_params(cluster, &host)))
                })
                .collect();
            adding.into_iter().map(|host| host.join().unwrap()).collect()
        });
        let store = json!({
            "name": "images", "url": IMAGE_STORE, "hostname": lab.host(1).address(),
            "username": "root", "password": PASSWORD,
        });
        let image_store = made(client, "/backup-storage/image-store", &store);
        client.create(&format!("/zones/{zone}/backup-storage/{image_store}"), &json!({})).unwrap();
        let storage = json!({ "name": "local", "url": PRIMARY_STORAGE, "zoneUuid": zone });
        let primary_storage = made(client, "/primary-storage/local-storage", &storage);
        client.create(&format!("/clusters/{cluster}/primary-storage/{primary_storage}"), &json!({})).unwrap();
        // The interface that the hosts are managed by: its bridge takes the host's own address with it.
        let l2 = json!({ "name": "flat", "zoneUuid": zone, "physicalInterface": "host0" });
        let l2_network = made(client, "/l2-networks/no-vlan", &l2);
        client.create(&format!("/l2-networks/{l2_network}/clusters/{cluster}"), &json!({})).unwrap();
        let l3_network = Self::l3_network(client, &l2_network, "guests", |last| lab.address(last));
        let offering = json!({ "name": "small", "cpuNum": 1, "memorySize": GUEST_MEMORY_BYTES });
        let offering = made(client, "/instance-offerings", &offering);
        let server = ImageServer::start(&lab.address(1), &Lab::guest_image());
        let image = made(client, "/images", &Self::image_params(&image_store, server.url()));
        Self { zone, cluster, hosts, image_store, primary_storage, l2_network, l3_network, image, offering }
    }

    /// What AddImage takes for the test guest.
    pub fn image_params(image_store: &str, url: &str) -> Value {
        json!({
            "name": "guest", "url": url, "format": "qcow2", "mediaType": "RootVolumeTemplate",
            "backupStorageUuids": [image_store],
        })
    }

    /// Adds the image of a disk with nothing on it: its VM runs, and takes next to no processor time.
    ///
    /// # Panics
    /// When that fails.
    pub fn blank_image(&self, client: &Client, lab: &Lab) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blank.qcow2");
        let create = ["create", "-q", "-f", "qcow2"];
        let status = Command::new("qemu-img").args(create).arg(&path).arg("1M").status().unwrap();
        assert!(status.success());
        let server = ImageServer::start(&lab.address(1), &path);
        made(client, "/images", &Self::image_params(&self.image_store, server.url()))
    }

    /// A second network, on the wire that the hosts have for guests alone: the L2 network, and on it an L3 network with
    /// the addresses 10.77.0.100 to 10.77.0.199.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn second_network(&self, client: &Client) -> (String, String) {
        let l2 = json!({ "name": "second", "zoneUuid": self.zone, "physicalInterface": "eth1" });
        let l2 = made(client, "/l2-networks/no-vlan", &l2);
        client.create(&format!("/l2-networks/{l2}/clusters/{}", self.cluster), &json!({})).unwrap();
        let l3 = Self::l3_network(client, &l2, "second guests", |last| format!("10.77.0.{last}"));
        (l2, l3)
    }

    fn l3_network(client: &Client, l2_network: &str, name: &str, address: impl Fn(u8) -> String) -> String {
        let l3 = made(client, "/l3-networks", &json!({ "name": name, "l2NetworkUuid": l2_network }));
        let range = json!({
            "name": "range", "startIp": address(100), "endIp": address(199),
            "netmask": "255.255.255.0", "gateway": address(1),
        });
        client.create(&format!("/l3-networks/{l3}/ip-ranges"), &range).unwrap();
        let flat = client.query("/network-services/providers", &["name=Flat Network Service Provider"]);
        let services = json!({ "networkServices": { text(&flat[0], "uuid"): ["DHCP", "Userdata"] } });
        client.create(&format!("/l3-networks/{l3}/network-services"), &services).unwrap();
        l3
    }

    /// What AddImage takes for the test guest's disc.
    pub fn iso_params(&self, url: &str) -> Value {
        json!({
            "name": "disc", "url": url, "format": "iso", "mediaType": "ISO", "backupStorageUuids": [self.image_store],
        })
    }

    /// What CreateVmInstance takes for a small VM; more can be added.
    pub fn vm_params(&self, name: &str) -> Value {
        json!({
            "name": name, "imageUuid": self.image, "instanceOfferingUuid": self.offering,
            "l3NetworkUuids": [self.l3_network],
        })
    }

    /// Makes and starts a VM on the host with this number in the lab.
    ///
    /// # Panics
    /// When that fails.
    pub fn vm_on(&self, client: &Client, host: usize, name: &str, tags: &[String]) -> String {
        let mut params = self.vm_params(name);
        params["hostUuid"] = json!(self.hosts[host - 1]);
        params["systemTags"] = json!(tags);
        made(client, "/vm-instances", &params)
    }
}

fn made(client: &Client, path: &str, params: &Value) -> String {
    let inventory = client.create(path, params).unwrap_or_else(|error| panic!("POST {path} {params}: {error:?}"));
    text(&inventory, "uuid")
}

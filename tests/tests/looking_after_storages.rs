//! What an operator does to the storages themselves: another login or address, and bringing back what had failed; and what a
//! host still has to clean up when what it belonged to is gone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use std::process::Command;

use gantry_tests::{
    ALWAYS, ApiError, Client, Kind, Lab, Management, PASSWORD, PRIMARY_STORAGE, Site, eventually, text,
};
use serde_json::{Value, json};

/// Where the storage is that goes and comes again.
const FAST_STORAGE: &str = "/srv/fast";

#[test]
fn storages_get_new_logins_and_addresses_and_come_back_from_failures() {
    let lab = Lab::boot(Kind::Kvm, 2);
    let node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);

    an_image_store_is_told_only_what_is_true(&client, &lab, &site);
    an_image_store_moves_to_another_address_with_its_machine(&client, &lab, &site);
    an_image_store_that_failed_is_reconnected(&client, &lab, &site);
    a_primary_storage_that_failed_is_reconnected(&client, &lab, &site);
    let image = site.blank_image(&client, &lab);
    a_zone_without_its_image_store_gets_no_images(&client, &site, &image);
    a_host_that_was_away_does_what_it_owes(&client, &lab, &site, &image);
    a_storage_that_comes_again_keeps_its_cache(&client, &lab, &site, &image);
}

/// The image store, without what its file system has left: others change that.
fn store(client: &Client, site: &Site) -> Value {
    let mut store = client.one("/backup-storage/image-store", &site.image_store);
    store.as_object_mut().unwrap().remove("availableCapacity");
    store
}

fn update(client: &Client, site: &Site, changes: &Value) -> Result<Value, ApiError> {
    let mut params = changes.clone();
    params["uuid"] = json!(site.image_store);
    client.call("UpdateImageStoreBackupStorage", &params)
}

fn an_image_store_is_told_only_what_is_true(client: &Client, lab: &Lab, site: &Site) {
    client
        .done("UpdateBackupStorage", &json!({ "uuid": site.image_store, "name": "shelf", "description": "in rack 7" }));
    let before = store(client, site);
    assert_eq!((text(&before, "name"), text(&before, "description")), ("shelf".to_owned(), "in rack 7".to_owned()));

    let own = lab.host(1).address().to_string();
    let wrong = [
        (json!({ "name": "x", "username": "operator", "password": "wrong" }), "HOST.1002"),
        (json!({ "name": "x", "password": PASSWORD, "sshPort": 2222 }), "HOST.1001"),
        (json!({ "name": "x", "hostname": lab.host(2).address() }), "SYS.1007"),
        (json!({ "name": "x", "hostname": lab.address(77) }), "HOST.1001"),
    ];
    for (changes, code) in wrong {
        let refused = update(client, site, &changes).unwrap_err();
        assert_eq!(refused.code, code, "{changes}: {refused:?}");
        assert_eq!(store(client, site), before, "a refused update changed something: {changes}");
    }
    // Where it was it still is.
    assert_eq!(text(&client.one("/hosts", &site.hosts[0]), "managementIp"), own);
    let login = json!({ "username": "operator", "password": PASSWORD, "sshPort": 22, "description": "in rack 8" });
    let updated = update(client, site, &login).unwrap()["inventory"].clone();
    assert_eq!((text(&updated, "name"), text(&updated, "description")), ("shelf".to_owned(), "in rack 8".to_owned()));
    let known = store(client, site);
    assert_eq!((text(&known, "username"), known["sshPort"].clone()), ("operator".to_owned(), json!(22)));
}

/// The machine is a host, too, and the node has one address for it.
fn an_image_store_moves_to_another_address_with_its_machine(client: &Client, lab: &Lab, site: &Site) {
    let (host, address) = (lab.host(1), lab.address(51));
    let device = host.run("ip -4 -o addr show to 10.99.0.0/16 | awk '{print $2; exit}'");
    host.run(&format!("ip addr add {address}/24 dev {}", device.trim()));
    update(client, site, &json!({ "hostname": address })).unwrap();
    let (known, machine) = (store(client, site), client.one("/hosts", &site.hosts[0]));
    assert_eq!((text(&known, "hostname"), text(&known, "status")), (address.clone(), "Connected".to_owned()));
    assert_eq!((text(&machine, "managementIp"), text(&machine, "status")), (address.clone(), "Connected".to_owned()));
    assert!(host.run("ss -Htn state established 'sport = :7272'").contains(&address));

    // When it is the host that moves, what the store offers for download is found at its address, too.
    let back = host.address().to_string();
    client.done("UpdateHost", &json!({ "uuid": site.hosts[0], "managementIp": back }));
    assert_eq!(text(&store(client, site), "hostname"), back);
    let export = json!({ "backupStorageUuid": site.image_store, "imageUuid": site.image });
    let url = text(&client.done("ExportImageFromBackupStorage", &export), "imageUrl");
    assert!(url.contains(&back), "{url}");
    host.run(&format!("ip addr del {address}/24 dev {}", device.trim()));
    let status = Command::new("curl").args(["-sSf", "--max-time", "60", "-o", "/dev/null", &url]).status().unwrap();
    assert!(status.success(), "{url}");
    client.done("DeleteExportedImageFromBackupStorage", &export);
}

fn an_image_store_that_failed_is_reconnected(client: &Client, lab: &Lab, site: &Site) {
    let reconnect = || client.call("ReconnectImageStoreBackupStorage", &json!({ "uuid": site.image_store }));
    let status = || text(&store(client, site), "status");
    lab.host(1).run("systemctl stop gantry-agent");
    eventually("the image store is known to be away", ALWAYS, || (status() == "Disconnected").then_some(()));
    let refused = reconnect().unwrap_err();
    assert!(refused.code.starts_with("HOST."), "{refused:?}");
    assert_eq!(status(), "Disconnected");
    lab.host(1).run("systemctl start gantry-agent");
    let back = reconnect().unwrap()["inventory"].clone();
    assert_eq!((text(&back, "status"), status()), ("Connected".to_owned(), "Connected".to_owned()));
}

/// On both hosts something else stands where the storage's directory was.
fn a_zone_without_its_image_store_gets_no_images(client: &Client, site: &Site, image: &str) {
    let attachment = json!({ "backupStorageUuid": site.image_store, "zoneUuid": site.zone });
    client.done("DetachBackupStorageFromZone", &attachment);
    let mut params = site.vm_params("without an image");
    params["imageUuid"] = json!(image);
    let refused = client.call("CreateVmInstance", &params).unwrap_err();
    assert!(refused.details.contains("use AttachBackupStorageToZone"), "{refused:?}");
    assert!(client.query("/vm-instances", &["name=without an image"]).is_empty());
    client.done("AttachBackupStorageToZone", &attachment);
    expunge(client, &vm_on_it(client, site, image, &site.primary_storage, 1));
}

fn a_primary_storage_that_failed_is_reconnected(client: &Client, lab: &Lab, site: &Site) {
    let reconnect = || client.call("ReconnectPrimaryStorage", &json!({ "uuid": site.primary_storage }));
    let status = || text(&client.one("/primary-storage", &site.primary_storage), "status");
    let capacities = || {
        let known = client.one("/primary-storage", &site.primary_storage);
        (known["totalCapacity"].clone(), known["availableCapacity"].clone())
    };
    eventually("both hosts are connected", ALWAYS, || {
        client.query("/hosts", &[]).iter().all(|host| text(host, "status") == "Connected").then_some(())
    });
    reconnect().unwrap();
    let before = capacities();
    for host in lab.hosts() {
        host.run(&format!("mv {PRIMARY_STORAGE} {PRIMARY_STORAGE}.away && touch {PRIMARY_STORAGE}"));
    }
    let refused = reconnect().unwrap_err();
    assert!(refused.details.contains(PRIMARY_STORAGE), "{refused:?}");
    assert_eq!(status(), "Disconnected");
    for host in lab.hosts() {
        host.run(&format!("rm {PRIMARY_STORAGE} && mv {PRIMARY_STORAGE}.away {PRIMARY_STORAGE}"));
    }
    assert_eq!(text(&reconnect().unwrap()["inventory"], "status"), "Connected");
    let (total, available) = capacities();
    // The disks are this machine's, where others write, too.
    let near = |was: &Value, is: &Value| was.as_u64().unwrap().abs_diff(is.as_u64().unwrap()) < 4 << 30;
    assert!(near(&before.0, &total) && near(&before.1, &available), "{before:?} {total} {available}");
}

/// While the second host is cut off, a storage with a VM on it is deleted by force, and two volumes are expunged. All of it
/// goes when the host is back, but for one file that nobody wants gone any more.
fn a_host_that_was_away_does_what_it_owes(client: &Client, lab: &Lab, site: &Site, image: &str) {
    let host = lab.host(2);
    let fast = fast_storage(client, lab, site);
    let vm = vm_on_it(client, site, image, &fast, 2);
    client.done("StartVmInstance", &json!({ "uuid": vm }));
    let offering = client.done("CreateDiskOffering", &json!({ "name": "small", "diskSize": 1 << 20 }));
    let paths = ["gone", "kept"].map(|name| {
        let params = json!({
            "name": name, "diskOfferingUuid": text(&offering["inventory"], "uuid"),
            "primaryStorageUuid": site.primary_storage,
            "systemTags": [format!("localStorage::hostUuid::{}", site.hosts[1])],
        });
        let volume = client.done("CreateDataVolume", &params)["inventory"].clone();
        assert!(host.has(&text(&volume, "installPath")));
        volume
    });
    let [gone, kept] = paths;
    host.cut();
    eventually("the host is known to be away", ALWAYS, || {
        (text(&client.one("/hosts", &site.hosts[1]), "status") == "Disconnected").then_some(())
    });
    for volume in [&gone, &kept] {
        let uuid = json!({ "uuid": volume["uuid"], "deleteMode": "Enforcing" });
        client.done("DeleteDataVolume", &uuid);
        client.done("ExpungeDataVolume", &json!({ "uuid": volume["uuid"] }));
        assert!(client.query("/volumes", &[&format!("uuid={}", text(volume, "uuid"))]).is_empty());
    }
    client.done("DeletePrimaryStorage", &json!({ "uuid": fast, "deleteMode": "Enforcing" }));
    assert!(client.query("/vm-instances", &[&format!("uuid={vm}")]).is_empty());
    assert_eq!(host.domain_state(&vm), Some("running".to_owned()));

    let owed = |volume: &Value| {
        let mut found = client.query("/gc-jobs", &[&format!("name~=%{}%", text(volume, "installPath"))]);
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    };
    let known = owed(&gone);
    assert_eq!((text(&known, "status"), text(&known, "runnerClass")), ("Idle".to_owned(), "volume".to_owned()));
    let refused = client.call("TriggerGCJob", &json!({ "uuid": known["uuid"] })).unwrap_err();
    assert_eq!(refused.code, "HOST.1000", "{refused:?}");
    assert_eq!(text(&owed(&gone), "status"), "Idle");
    client.done("DeleteGCJob", &json!({ "uuid": owed(&kept)["uuid"] }));

    host.join();
    eventually("the clean-up is done", ALWAYS, || (text(&owed(&gone), "status") == "Done").then_some(()));
    assert!(!host.has(&text(&gone, "installPath")) && host.has(&text(&kept, "installPath")));
    eventually("nothing is owed any more", ALWAYS, || {
        client.query("/gc-jobs", &["status!=Done"]).is_empty().then_some(())
    });
    assert_eq!((host.domain_state(&vm), host.files(FAST_STORAGE)), (None, Vec::new()));
    // What is done is done.
    client.done("TriggerGCJob", &json!({ "uuid": known["uuid"] }));
}

/// A storage is deleted while its cached image cannot go, comes again, and its image is used again: what was owed is no more.
fn a_storage_that_comes_again_keeps_its_cache(client: &Client, lab: &Lab, site: &Site, image: &str) {
    let host = lab.host(1);
    let cached = format!("{FAST_STORAGE}/imagecache/template/{image}/{image}.qcow2");
    let storage = fast_storage(client, lab, site);
    let vm = vm_on_it(client, site, image, &storage, 1);
    expunge(client, &vm);
    assert!(host.has(&cached));
    let stray = format!("{FAST_STORAGE}/stray.qcow2");
    host.run(&format!("qemu-img create -q -f qcow2 -F qcow2 -b {cached} {stray}"));
    let link = json!({ "primaryStorageUuid": storage, "clusterUuid": site.cluster });
    client.done("DetachPrimaryStorageFromCluster", &link);
    client.done("DeletePrimaryStorage", &json!({ "uuid": storage }));
    let owed = client.query("/gc-jobs", &["runnerClass=cachedImage", "status=Idle"]).remove(0);
    let trigger = || client.call("TriggerGCJob", &json!({ "uuid": owed["uuid"] }));
    let refused = trigger().unwrap_err();
    assert!(refused.details.contains(&stray), "{refused:?}");
    assert!(host.has(&cached));

    host.run(&format!("rm {stray}"));
    let storage = fast_storage(client, lab, site);
    let vm = vm_on_it(client, site, image, &storage, 1);
    expunge(client, &vm);
    trigger().unwrap();
    assert!(host.has(&cached), "the cache that is used again was taken away");
    vm_on_it(client, site, image, &storage, 1);
}

fn fast_storage(client: &Client, lab: &Lab, site: &Site) -> String {
    for host in lab.hosts() {
        host.run(&format!("mkdir -p {FAST_STORAGE}"));
    }
    let params = json!({ "name": "fast", "url": FAST_STORAGE, "zoneUuid": site.zone });
    let fast = text(&client.done("AddLocalPrimaryStorage", &params)["inventory"], "uuid");
    client.done("AttachPrimaryStorageToCluster", &json!({ "primaryStorageUuid": fast, "clusterUuid": site.cluster }));
    fast
}

fn vm_on_it(client: &Client, site: &Site, image: &str, storage: &str, host: usize) -> String {
    let mut params = site.vm_params("on it");
    params["imageUuid"] = json!(image);
    params["hostUuid"] = json!(site.hosts[host - 1]);
    params["strategy"] = json!("CreateStopped");
    params["primaryStorageUuidForRootVolume"] = json!(storage);
    text(&client.done("CreateVmInstance", &params)["inventory"], "uuid")
}

fn expunge(client: &Client, vm: &str) {
    client.done("DestroyVmInstance", &json!({ "uuid": vm }));
    client.done("ExpungeVmInstance", &json!({ "uuid": vm }));
}

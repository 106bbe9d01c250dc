//! An operator keeps what a guest has become: as an image, in another store, as a download.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails here")]

use std::process::Command;

use gantry_tests::{
    ALWAYS, Client, IMAGE_STORE, Kind, Lab, LabHost, Management, PASSWORD, PRIMARY_STORAGE, Site, eventually, text,
    userdata_tag,
};
use serde_json::{Value, json};

#[test]
fn a_stopped_guest_becomes_an_image_that_moves_and_is_downloaded() {
    let lab = Lab::boot(Kind::Kvm, 2);
    let node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let second_store = second_store(&client, &lab, &site);

    // Guests of both hosts can be started from either store; the first guest makes its disk its own.
    let write = userdata_tag("#!/bin/sh\necho changed-by-the-guest > /data/mark\nsync\necho written\n");
    let vm = site.vm_on(&client, 1, "golden", &[write]);
    lab.host(1).console_shows(&vm, "that it has written", |console| console.script_said("written").then_some(()));
    let template = template_of(&client, &lab, &vm, &site.image_store);

    let read = userdata_tag("#!/bin/sh\ncat /data/mark\n");
    let mut params = site.vm_params("from the template");
    params["imageUuid"] = json!(template);
    params["hostUuid"] = json!(site.hosts[1]);
    params["systemTags"] = json!([read]);
    let copy = text(&client.create("/vm-instances", &params).unwrap(), "uuid");
    lab.host(2).console_shows(&copy, "what the first guest wrote", |console| {
        console.script_said("changed-by-the-guest").then_some(())
    });

    move_to(&client, &site, &second_store, &site.image);
    move_to(&client, &site, &second_store, &template);
    // What the store has of the image that the guest was made from did not travel again.
    let (base, changed) = (fetched(lab.host(2), &site.image), fetched(lab.host(2), &template));
    assert_eq!(base.reused_bytes, 0, "{base:?}");
    assert!(changed.received_bytes > 0 && changed.received_bytes * 4 < changed.reused_bytes, "{changed:?}");
    assert!(lab.host(1).files(&format!("{IMAGE_STORE}/images")).is_empty());

    download(&client, &lab, &second_store, &template);
    reclaim(&client, lab.host(2), &second_store);
}

fn second_store(client: &Client, lab: &Lab, site: &Site) -> String {
    let store = json!({
        "name": "more images", "url": IMAGE_STORE, "hostname": lab.host(2).address(),
        "username": "root", "password": PASSWORD,
    });
    let candidates = format!("/backup-storage/{}/migration-candidates", site.image_store);
    assert_eq!(client.get(&candidates).unwrap()["inventories"], json!([]));
    let store = text(&client.create("/backup-storage/image-store", &store).unwrap(), "uuid");
    let left_out = client.get(&candidates).unwrap();
    assert_eq!(left_out["inventories"], json!([]));
    assert!(text(&left_out["details"][0], "reason").contains("AttachBackupStorageToZone"), "{left_out}");
    client.create(&format!("/zones/{}/backup-storage/{store}", site.zone), &json!({})).unwrap();
    assert_eq!(client.get(&candidates).unwrap()["inventories"][0]["uuid"], json!(store));
    client.act(&format!("/backup-storage/{store}/actions"), "reconnectBackupStorage", &json!({})).unwrap();
    store
}

/// An image of a VM's root volume; the VM is off then.
fn template_of(client: &Client, lab: &Lab, vm: &str, store: &str) -> String {
    let root = text(&client.one("/vm-instances", vm), "rootVolumeUuid");
    let path = format!("/images/root-volume-templates/from/volumes/{root}");
    let params = json!({ "name": "golden", "backupStorageUuids": [store] });
    let refused = client.create(&path, &params).unwrap_err();
    assert!(refused.code == "SYS.1010" && refused.details.contains("Running"), "{refused:?}");
    client.act(&format!("/vm-instances/{vm}/actions"), "stopVmInstance", &json!({ "type": "cold" })).unwrap();

    let candidates = client.get(&format!("/images/volumes/{root}/candidate-backup-storage")).unwrap();
    assert!(candidates["inventories"].as_array().unwrap().iter().any(|found| found["uuid"] == json!(store)));
    let before = lab.host(1).files(PRIMARY_STORAGE);
    let template = client.create(&path, &params).unwrap();
    assert_eq!(
        (text(&template, "status"), text(&template, "mediaType")),
        ("Ready".into(), "RootVolumeTemplate".into())
    );
    assert_eq!(lab.host(1).files(PRIMARY_STORAGE), before, "something was left of making the image");
    let template = text(&template, "uuid");
    // The two agree on how large it is.
    let measured = client.act(&format!("/images/{template}/actions"), "syncImageSize", &json!({})).unwrap();
    assert_eq!(measured["inventory"]["size"], client.one("/images", &template)["size"]);
    template
}

fn move_to(client: &Client, site: &Site, store: &str, image: &str) {
    let params = json!({ "srcBackupStorageUuid": site.image_store, "dstBackupStorageUuid": store });
    let path = format!("/backup-storage/images/{image}/actions");
    let moved = client.act(&path, "backupStorageMigrateImage", &params).unwrap();
    let copies = moved["inventory"]["backupStorageRefs"].as_array().unwrap().clone();
    assert_eq!((copies.len(), &copies[0]["backupStorageUuid"]), (1, &json!(store)), "{copies:?}");
}

#[derive(Debug)]
struct Traffic {
    received_bytes: u64,
    reused_bytes: u64,
}

/// What the host's agent tells of how the image came.
fn fetched(host: LabHost<'_>, image: &str) -> Traffic {
    let log = host.run("journalctl -u gantry-agent --no-pager -o cat");
    let plain = |line: &str| line.replace(|c: char| c.is_control(), "");
    let line = log.lines().map(plain).find(|line| line.contains("an image was fetched") && line.contains(image));
    let line = line.unwrap_or_else(|| panic!("the agent does not tell of image {image}: {log}"));
    let number = |name: &str| -> u64 {
        let rest = line.split_once(name).unwrap().1;
        // Between the name and the number the log may be coloured.
        let rest = rest.split_once('=').unwrap().1.trim_start_matches("[0m");
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    Traffic { received_bytes: number("received_bytes"), reused_bytes: number("reused_bytes") }
}

fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").args(["-s", "-S", "--max-time", "60"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn download(client: &Client, lab: &Lab, store: &str, image: &str) {
    let host = lab.host(2);
    let path = format!("/backup-storage/{store}/actions");
    let exported = client.act(&path, "exportImageFromBackupStorage", &json!({ "imageUuid": image })).unwrap();
    let url = text(&exported, "imageUrl");
    let inventory = client.one("/images", image);
    assert_eq!((text(&inventory, "exportUrl"), &inventory["exportMd5Sum"]), (url.clone(), &inventory["md5Sum"]));
    let file = text(&inventory["backupStorageRefs"][0], "installPath");
    let expected = host.run(&format!("sha256sum '{file}' | cut -d' ' -f1"));
    let directory = tempfile::tempdir().unwrap();
    let downloaded = directory.path().join("image").display().to_string();
    let digest = |file: &str| {
        let output = Command::new("sha256sum").arg(file).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
    };
    curl(&["-o", &downloaded, &url]);
    assert_eq!(digest(&downloaded), expected.trim());

    // It survives the agent; half of a download is gone on with.
    host.run("systemctl restart gantry-agent");
    std::fs::OpenOptions::new().write(true).open(&downloaded).unwrap().set_len(1 << 20).unwrap();
    eventually("the image is served again", ALWAYS, || {
        let arguments = ["-s", "-f", "-C", "-", "-o", &downloaded, &url];
        Command::new("curl").args(arguments).status().unwrap().success().then_some(())
    });
    assert_eq!(digest(&downloaded), expected.trim());
    eventually("the store is connected", ALWAYS, || {
        (text(&client.one("/backup-storage", store), "status") == "Connected").then_some(())
    });

    client.delete(&format!("/backup-storage/{store}/exported-images/{image}")).unwrap();
    assert_eq!(curl(&["-o", "/dev/null", "-w", "%{http_code}", &url]), "404");
    assert_eq!(client.one("/images", image).get("exportUrl").cloned().unwrap_or(Value::Null), Value::Null);
}

fn reclaim(client: &Client, host: LabHost<'_>, store: &str) {
    let images = format!("{IMAGE_STORE}/images");
    let before = host.files(&images);
    let (gone, operation) = (Client::new_job(), Client::new_job());
    host.run(&format!(
        "mkdir {images}/{gone}; dd if=/dev/urandom of={images}/{gone}/{gone}.qcow2.{operation}.part bs=1M count=3 2>/dev/null"
    ));
    let path = format!("/backup-storage/image-store/{store}/actions");
    let reclaimed = client.act(&path, "reclaimSpaceFromImageStore", &json!({})).unwrap();
    assert_eq!(reclaimed, json!({ "reclaimedFiles": 1, "reclaimedBytes": 3 << 20 }));
    assert_eq!(host.files(&images), before);
    assert!(!host.has(&format!("{images}/{gone}")));
}

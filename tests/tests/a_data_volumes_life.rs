//! A data volume is made, goes from guest to guest with what is on it, grows, and goes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use gantry_tests::{Client, Kind, Lab, LabHost, Management, Site, text, userdata_tag};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

/// Writes on the disk that comes, and says when it has gone.
const WRITER: &str = "#!/bin/sh
until [ -b /dev/vdb ]; do sleep 1; done
echo \"came as $(cat /sys/block/vdb/serial)\"
printf 'left by the first guest' >/dev/vdb
sync
echo written
while [ -b /dev/vdb ]; do sleep 1; done
echo gone
";

/// Reads what is on the disk that comes, and says when it grows.
const READER: &str = "#!/bin/sh
until [ -b /dev/vdb ]; do sleep 1; done
echo \"found: $(head -c 23 /dev/vdb)\"
while [ \"$(cat /sys/block/vdb/size)\" = 131072 ]; do sleep 1; done
echo \"grown to $(cat /sys/block/vdb/size) sectors\"
";

#[test]
fn a_data_volume_goes_from_guest_to_guest_grows_and_goes() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let host = lab.host(1);
    let writer = site.vm_on(&client, 1, "writer", &[userdata_tag(WRITER)]);
    let reader = site.vm_on(&client, 1, "reader", &[userdata_tag(READER)]);
    let promised_before = promised(&client, &site);

    let offering = client.create("/disk-offerings", &json!({ "name": "small", "diskSize": 64 * MIB })).unwrap();
    let params = json!({
        "name": "data", "diskOfferingUuid": text(&offering, "uuid"), "primaryStorageUuid": site.primary_storage,
        "systemTags": [format!("localStorage::hostUuid::{}", site.hosts[0])],
    });
    let made = client.create("/volumes/data", &params).unwrap();
    let (volume, path) = (text(&made, "uuid"), text(&made, "installPath"));
    assert_eq!(text(&made, "status"), "Ready");
    assert_eq!(virtual_bytes(host, &path), 64 * MIB);
    assert_eq!(promised(&client, &site), promised_before + 64 * MIB);
    let candidates = client.get(&format!("/volumes/{volume}/candidate-vm-instances")).unwrap();
    assert_eq!(candidates["inventories"].as_array().unwrap().len(), 2, "{candidates}");

    let attach = |vm: &str| client.create(&format!("/volumes/{volume}/vm-instances/{vm}"), &json!({}));
    let detach = || client.delete(&format!("/volumes/{volume}/vm-instances")).unwrap();
    let said = |vm: &str, line: &str| {
        host.console_shows(vm, line, |console| console.script_said(line).then_some(()));
    };
    booted(host, &writer, 1);
    assert_eq!(attach(&writer).unwrap()["deviceId"], json!(1));
    // A virtio disk's serial number has 20 characters.
    said(&writer, &format!("came as {}", &volume[..20]));
    said(&writer, "written");
    let refused = attach(&reader).unwrap_err();
    assert!(refused.details.contains(&writer), "{refused:?}");
    detach();
    said(&writer, "gone");
    assert!(!disks(host, &writer).contains(&path) && host.has(&path));

    booted(host, &reader, 1);
    attach(&reader).unwrap();
    said(&reader, "found: left by the first guest");
    let resize = json!({ "size": 128 * MIB });
    let path_of_size = format!("/volumes/data/resize/{volume}/actions");
    let resized = client.act(&path_of_size, "resizeDataVolume", &resize).unwrap();
    assert_eq!(resized["inventory"]["size"], json!(128 * MIB));
    said(&reader, "grown to 262144 sectors");
    assert_eq!((virtual_bytes(host, &path), promised(&client, &site)), (128 * MIB, promised_before + 128 * MIB));
    let act = |action: &str| client.act(&format!("/volumes/{volume}/actions"), action, &json!({}));
    let measured = act("syncVolumeSize").unwrap();
    assert_eq!(measured["inventory"]["actualSize"].as_u64(), image_info(host, &path)["actual-size"].as_u64());

    // A VM starts with its volumes, and grows them while it is off.
    let vm_act = |action: &str| client.act(&format!("/vm-instances/{reader}/actions"), action, &json!({})).unwrap();
    client.act(&format!("/vm-instances/{reader}/actions"), "stopVmInstance", &json!({ "type": "cold" })).unwrap();
    let root = text(&client.one("/vm-instances", &reader), "rootVolumeUuid");
    let root_size = client.one("/volumes", &root)["size"].as_u64().unwrap() + 64 * MIB;
    let grow_root = json!({ "size": root_size });
    client.act(&format!("/volumes/resize/{root}/actions"), "resizeRootVolume", &grow_root).unwrap();
    assert_eq!(virtual_bytes(host, &text(&client.one("/volumes", &root), "installPath")), root_size);
    vm_act("startVmInstance");
    assert!(disks(host, &reader).contains(&path));

    booted(host, &reader, 2);
    client.delete(&format!("/volumes/{volume}")).unwrap();
    assert_eq!(text(&client.one("/volumes", &volume), "status"), "Deleted");
    assert!(!disks(host, &reader).contains(&path) && host.has(&path));
    assert_eq!(text(&act("recoverDataVolume").unwrap()["inventory"], "status"), "Ready");
    client.delete(&format!("/volumes/{volume}")).unwrap();
    act("expungeDataVolume").unwrap();
    assert!(client.query("/volumes", &[&format!("uuid={volume}")]).is_empty());
    assert!(!host.has(&path));
    assert_eq!(promised(&client, &site), promised_before + 64 * MIB);
}

/// Waits until the guest has come up this often.
fn booted(host: LabHost<'_>, vm: &str, times: usize) {
    host.console_shows(vm, "that it is ready", |console| (console.boots() >= times).then_some(()));
}

/// The disks of a running domain, as libvirt has them.
fn disks(host: LabHost<'_>, vm: &str) -> String {
    host.run(&format!("virsh domblklist {vm}"))
}

fn image_info(host: LabHost<'_>, path: &str) -> Value {
    serde_json::from_str(&host.run(&format!("qemu-img info -U --output=json {path}"))).unwrap()
}

fn virtual_bytes(host: LabHost<'_>, path: &str) -> u64 {
    image_info(host, path)["virtual-size"].as_u64().unwrap()
}

/// What is promised of the storage.
fn promised(client: &Client, site: &Site) -> u64 {
    let storage = client.one("/primary-storage", &site.primary_storage);
    storage["totalCapacity"].as_u64().unwrap() - storage["availableCapacity"].as_u64().unwrap()
}

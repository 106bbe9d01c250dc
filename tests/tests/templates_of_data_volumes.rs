//! What is on a data volume goes along: into an image and from it into new volumes, and from host to host.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use gantry_tests::{Client, IMAGE_STORE, Kind, Lab, LabHost, Management, PRIMARY_STORAGE, Site, text};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

#[test]
fn a_data_volume_is_copied_by_way_of_an_image_and_moves_between_hosts() {
    let lab = Lab::boot(Kind::Kvm, 2);
    let node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let (first, second) = (lab.host(1), lab.host(2));

    let original = data_volume(&client, &site);
    let path = path_of(&client, &original);
    first.run(&format!(
        "qemu-io -f qcow2 -c 'write -P 0x5a 1M 64k' -c 'write -P 0xa5 30M 2M' -c 'write -P 0x11 63M 1M' {path}"
    ));
    let content = content(first, &path);
    is_described_and_measured(&client, first, &original, &path);

    let template = template_of(&client, &site, first, &original);
    let copy = copy_of(&client, &site, &template, second);
    assert_eq!(content_of(&client, second, &copy), content);
    // What is written to the copy is neither in the original nor in the next copy.
    second.run(&format!("qemu-io -f qcow2 -c 'write -P 0x77 5M 64k' {}", path_of(&client, &copy)));
    let written = content_of(&client, second, &copy);
    assert_ne!(written, content);
    assert_eq!(content_of(&client, first, &original), content);

    // One moves with the image that it stands on, the other alone.
    let moved = |volume: &str, host: usize| {
        let (from, to) = (lab.host(3 - host), lab.host(host));
        let old = path_of(&client, volume);
        let to_host = json!({ "volumeUuid": volume, "destHostUuid": site.hosts[host - 1] });
        let moved = client.done("LocalStorageMigrateVolume", &to_host)["inventory"].clone();
        assert_eq!(
            (text(&moved, "resourceUuid"), text(&moved, "hostUuid")),
            (volume.into(), site.hosts[host - 1].clone())
        );
        let new = path_of(&client, volume);
        assert!(!from.has(&old) && !from.has(&new) && to.has(&new), "{old} {new}");
    };
    moved(&copy, 1);
    assert_eq!(content_of(&client, first, &copy), written);
    assert!(backing(first, &path_of(&client, &copy)).is_some_and(|image| first.has(&image)));
    moved(&original, 2);
    assert_eq!(content_of(&client, second, &original), content);
    assert_eq!(backing(second, &path_of(&client, &original)), None);

    is_plugged_only_where_it_lies(&client, &site, &lab, &original, &copy);
    for (volume, expected) in [(&original, &content), (&copy, &written)] {
        let host = if volume == &original { second } else { first };
        assert_eq!(content_of(&client, host, volume), *expected);
    }
}

/// Of 64 MiB, on the first host.
fn data_volume(client: &Client, site: &Site) -> String {
    let offering = client.done("CreateDiskOffering", &json!({ "name": "small", "diskSize": 64 * MIB }));
    let params = json!({
        "name": "data", "diskOfferingUuid": text(&offering["inventory"], "uuid"),
        "primaryStorageUuid": site.primary_storage,
        "systemTags": [format!("localStorage::hostUuid::{}", site.hosts[0])],
    });
    text(&client.done("CreateDataVolume", &params)["inventory"], "uuid")
}

fn path_of(client: &Client, volume: &str) -> String {
    text(&client.one("/volumes", volume), "installPath")
}

/// The digest of all that a guest would read of a disk.
fn content(host: LabHost<'_>, path: &str) -> String {
    host.run(&format!("qemu-img convert -O raw {path} /tmp/raw && sha256sum </tmp/raw; rm -f /tmp/raw"))
}

fn content_of(client: &Client, host: LabHost<'_>, volume: &str) -> String {
    content(host, &path_of(client, volume))
}

fn image_info(host: LabHost<'_>, path: &str) -> Value {
    serde_json::from_str(&host.run(&format!("qemu-img info --output=json {path}"))).unwrap()
}

fn backing(host: LabHost<'_>, path: &str) -> Option<String> {
    image_info(host, path)["backing-filename"].as_str().map(str::to_owned)
}

fn is_described_and_measured(client: &Client, host: LabHost<'_>, volume: &str, path: &str) {
    let formats = client.done("GetVolumeFormat", &json!({}))["formats"].clone();
    let format = image_info(host, path)["format"].clone();
    assert!(formats.as_array().unwrap().iter().any(|known| known["format"] == format), "{formats} {format}");
    client.done("UpdateVolume", &json!({ "uuid": volume, "name": "books", "description": "of all years" }));
    let refused = client.call("UpdateVolume", &json!({ "uuid": volume, "name": "" })).unwrap_err();
    assert_eq!(refused.code, "SYS.1007", "{refused:?}");
    let known = client.one("/volumes", volume);
    assert_eq!((text(&known, "name"), text(&known, "description")), ("books".to_owned(), "of all years".to_owned()));
    let measured = client.done("SyncVolumeSize", &json!({ "uuid": volume }))["inventory"].clone();
    assert_eq!(measured["actualSize"], image_info(host, path)["actual-size"]);
    assert_eq!(measured["size"], json!(64 * MIB));
}

/// The copy that the host makes for the image store does not stay.
fn template_of(client: &Client, site: &Site, host: LabHost<'_>, volume: &str) -> String {
    let before = host.files(PRIMARY_STORAGE);
    let params = json!({ "volumeUuid": volume, "name": "library", "backupStorageUuids": [site.image_store] });
    let template = client.done("CreateDataVolumeTemplateFromVolume", &params)["inventory"].clone();
    assert_eq!(
        (text(&template, "status"), text(&template, "mediaType")),
        ("Ready".into(), "DataVolumeTemplate".into())
    );
    assert_eq!(host.files(PRIMARY_STORAGE), before, "something was left of making the image");
    let file = text(&template["backupStorageRefs"][0], "installPath");
    assert!(file.starts_with(IMAGE_STORE), "{file}");
    assert_eq!(content(host, &file), content(host, &path_of(client, volume)));
    text(&template, "uuid")
}

fn copy_of(client: &Client, site: &Site, template: &str, host: LabHost<'_>) -> String {
    let mut params = json!({ "imageUuid": template, "name": "copy", "primaryStorageUuid": site.primary_storage });
    let refused = client.call("CreateDataVolumeFromVolumeTemplate", &params).unwrap_err();
    assert!(refused.details.contains("hostUuid"), "{refused:?}");
    params["hostUuid"] = json!(site.hosts[1]);
    let mut of_a_system = params.clone();
    of_a_system["imageUuid"] = json!(site.image);
    let refused = client.call("CreateDataVolumeFromVolumeTemplate", &of_a_system).unwrap_err();
    assert!(refused.details.contains("DataVolumeTemplate"), "{refused:?}");
    let copy = client.done("CreateDataVolumeFromVolumeTemplate", &params)["inventory"].clone();
    assert_eq!((text(&copy, "status"), &copy["size"]), ("Ready".to_owned(), &json!(64 * MIB)));
    assert!(backing(host, &text(&copy, "installPath")).is_some_and(|image| host.has(&image)));
    text(&copy, "uuid")
}

/// The original is on the second host, the copy on the first, where the VM runs.
fn is_plugged_only_where_it_lies(client: &Client, site: &Site, lab: &Lab, original: &str, copy: &str) {
    let host = lab.host(1);
    let mut params = site.vm_params("reader");
    params["imageUuid"] = json!(site.blank_image(client, lab));
    params["hostUuid"] = json!(site.hosts[0]);
    let vm = text(&client.done("CreateVmInstance", &params)["inventory"], "uuid");
    let attach =
        |volume: &str| client.call("AttachDataVolumeToVm", &json!({ "volumeUuid": volume, "vmInstanceUuid": vm }));
    let refused = attach(original).unwrap_err();
    assert!(refused.details.contains(original) || refused.details.contains("host"), "{refused:?}");
    attach(copy).unwrap();
    let disks = || host.run(&format!("virsh domblklist {vm}"));
    assert!(disks().contains(&path_of(client, copy)), "{}", disks());
    // Local storage has no volume that two VMs could share.
    assert!(client.query("/volumes/vm-instances/refs", &[]).is_empty());
    assert_eq!(client.done("QueryShareableVolumeVmInstanceRef", &json!({}))["inventories"], json!([]));
    let to_second = json!({ "volumeUuid": copy, "destHostUuid": site.hosts[1] });
    let refused = client.call("LocalStorageMigrateVolume", &to_second).unwrap_err();
    assert!(refused.details.contains("Running") || refused.details.contains("detach"), "{refused:?}");
    let again = json!({ "volumeUuid": copy, "name": "live", "backupStorageUuids": [site.image_store] });
    let refused = client.call("CreateDataVolumeTemplateFromVolume", &again).unwrap_err();
    assert_eq!(refused.code, "SYS.1010", "{refused:?}");
    // A guest that never came up does not let go of a disk: it does when it is off.
    client.done("StopVmInstance", &json!({ "uuid": vm, "type": "cold" }));
    client.done("DetachDataVolumeFromVm", &json!({ "uuid": copy }));
    assert!(host.has(&path_of(client, copy)));
}

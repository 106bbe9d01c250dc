//! An operator thinks better of what takes long: a download, an image of a volume, a volume's move. Nothing of it stays, and
//! what it was about is as it was.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};

use gantry_tests::{
    ALWAYS, Client, Footprint, IMAGE_STORE, Kind, Lab, LabHost, Management, PRIMARY_STORAGE, Site, eventually, text,
};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;
/// What the volume holds takes a quarter of a minute at the rate of the slow network.
const SLOWLY: &str = "tc qdisc add dev host0 root tbf rate 8mbit burst 64k latency 400ms";

#[test]
fn what_takes_long_is_cancelled_in_its_middle_and_leaves_nothing() {
    let lab = Lab::boot(Kind::Kvm, 2);
    let node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let volume = full_volume(&client, &site, &lab);
    let moved = json!({ "volumeUuid": volume.uuid, "destHostUuid": site.hosts[0] });

    a_download_is_cancelled(&client, &lab, &site);
    for host in lab.hosts() {
        host.run(SLOWLY);
    }
    let template = json!({ "volumeUuid": volume.uuid, "name": "library", "backupStorageUuids": [site.image_store] });
    cancelled_midway(&client, &lab, &site, ("CreateDataVolumeTemplateFromVolume", &template), IMAGE_STORE);
    as_it_was(&client, lab.host(2), &volume);
    cancelled_midway(&client, &lab, &site, ("LocalStorageMigrateVolume", &moved), PRIMARY_STORAGE);
    as_it_was(&client, lab.host(2), &volume);
    for host in lab.hosts() {
        host.run("tc qdisc del dev host0 root");
    }

    // What was cancelled is asked for again, and comes to its end.
    let long_job = submit(&client, "LocalStorageMigrateVolume", &moved);
    let ended = in_state(&client, &long_job, "Succeeded");
    let result: Value = serde_json::from_str(&text(&ended, "jobResult")).unwrap();
    assert_eq!(result["inventory"]["hostUuid"], json!(site.hosts[0]));
    assert!(lab.host(2).files(&format!("{PRIMARY_STORAGE}/dataVolumes")).is_empty());
    as_it_was(&client, lab.host(1), &volume);
    let late = client.call("CancelJob", &json!({ "uuid": long_job["apiId"] })).unwrap_err();
    assert_eq!(late.code, "SYS.1010", "{late:?}");
    every_long_job_is_deleted(&client);
    is_plugged(&client, &lab, &site, &volume.uuid);
}

struct FullVolume {
    uuid: String,
    digest: String,
}

/// A data volume on the second host with 16 MiB that cannot be made smaller.
fn full_volume(client: &Client, site: &Site, lab: &Lab) -> FullVolume {
    let offering = client.done("CreateDiskOffering", &json!({ "name": "small", "diskSize": 16 * MIB }));
    let params = json!({
        "name": "data", "diskOfferingUuid": text(&offering["inventory"], "uuid"),
        "primaryStorageUuid": site.primary_storage,
        "systemTags": [format!("localStorage::hostUuid::{}", site.hosts[1])],
    });
    let volume = client.done("CreateDataVolume", &params)["inventory"].clone();
    let path = text(&volume, "installPath");
    lab.host(2).run(&format!(
        "head -c {} /dev/urandom >/root/content && qemu-img convert -n -f raw -O qcow2 /root/content {path}",
        16 * MIB
    ));
    FullVolume { uuid: text(&volume, "uuid"), digest: lab.host(2).run("sha256sum </root/content") }
}

/// The volume is at rest on this host, with what was written to it at first.
fn as_it_was(client: &Client, host: LabHost<'_>, volume: &FullVolume) {
    let known = client.one("/volumes", &volume.uuid);
    assert_eq!(text(&known, "status"), "Ready");
    let path = text(&known, "installPath");
    host.run(&format!("qemu-img check -q {path} && qemu-img convert -O raw {path} /root/found"));
    assert_eq!(host.run("sha256sum </root/found"), volume.digest);
}

fn submit(client: &Client, operation: &str, params: &Value) -> Value {
    let long_job = json!({
        "name": "long", "jobName": format!("API{operation}Msg"), "jobData": params.to_string(),
        "targetResourceUuid": params["volumeUuid"],
    });
    client.done("SubmitLongJob", &long_job)["inventory"].clone()
}

fn in_state(client: &Client, long_job: &Value, state: &str) -> Value {
    let uuid = text(long_job, "uuid");
    eventually(&format!("the long job is {state}"), ALWAYS, || {
        Some(client.one("/longjobs", &uuid)).filter(|found| text(found, "state") == state)
    })
}

/// What is being written below a directory of the first host.
fn half_files(lab: &Lab, directory: &str) -> Vec<String> {
    let mut files = lab.host(1).files(directory);
    files.retain(|file| file.ends_with(".part"));
    files
}

fn free(client: &Client, site: &Site) -> Value {
    client.one("/primary-storage", &site.primary_storage)["availableCapacity"].clone()
}

/// Has a long job cancelled while a file of it comes to the first host, below `directory`.
fn cancelled_midway(client: &Client, lab: &Lab, site: &Site, (operation, params): (&str, &Value), directory: &str) {
    let (before, free_before) = (Footprint::take(client, lab), free(client, site));
    let long_job = submit(client, operation, params);
    eventually("half a file is there", ALWAYS, || (!half_files(lab, directory).is_empty()).then_some(()));
    assert_eq!(text(&client.one("/longjobs", &text(&long_job, "uuid")), "state"), "Running");
    let refused = client.call("DeleteLongJob", &json!({ "uuid": long_job["uuid"] })).unwrap_err();
    assert_eq!(refused.code, "SYS.1010", "{refused:?}");
    client.done("CancelJob", &json!({ "uuid": long_job["apiId"] }));
    let ended = in_state(client, &long_job, "Canceled");
    assert!(text(&ended, "jobResult").contains("SYS.1013"), "{ended}");
    let left = before.difference(&Footprint::take(client, lab));
    assert!(left.is_empty(), "{operation} left something:\n{}", left.join("\n"));
    assert_eq!(free(client, site), free_before, "{operation} keeps what was promised to it");
}

/// From a web server that stops in the middle.
fn a_download_is_cancelled(client: &Client, lab: &Lab, site: &Site) {
    let listener = TcpListener::bind((lab.address(1), 0)).unwrap();
    let url = format!("http://{}/large.qcow2", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let begin = "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n";
            let _ = stream.write_all(begin.as_bytes()).and_then(|()| stream.write_all(&[0; 1 << 20]));
            // Until the agent hangs up.
            let _ = stream.read(&mut [0]);
        }
    });
    let image = Site::image_params(&site.image_store, &url);
    cancelled_midway(client, lab, site, ("AddImage", &image), IMAGE_STORE);
}

fn every_long_job_is_deleted(client: &Client) {
    let known = client.query("/longjobs", &[]);
    let mut states: Vec<String> = known.iter().map(|long_job| text(long_job, "state")).collect();
    states.sort();
    assert_eq!(states, ["Canceled", "Canceled", "Canceled", "Succeeded"]);
    for long_job in known {
        client.done("DeleteLongJob", &json!({ "uuid": long_job["uuid"] }));
    }
    assert_eq!(client.done("QueryLongJob", &json!({}))["inventories"], json!([]));
}

/// What moved in the end is plugged into a VM where it is now.
fn is_plugged(client: &Client, lab: &Lab, site: &Site, volume: &str) {
    let mut params = site.vm_params("reader");
    params["imageUuid"] = json!(site.blank_image(client, lab));
    params["hostUuid"] = json!(site.hosts[0]);
    let vm = text(&client.done("CreateVmInstance", &params)["inventory"], "uuid");
    client.done("AttachDataVolumeToVm", &json!({ "volumeUuid": volume, "vmInstanceUuid": vm }));
    let path = text(&client.one("/volumes", volume), "installPath");
    assert!(lab.host(1).run(&format!("virsh domblklist {vm}")).contains(&path));
}

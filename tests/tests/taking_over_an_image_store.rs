//! A node is lost with its inventory. Another one takes over the images that it had.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use gantry_tests::{ALWAYS, IMAGE_STORE, Kind, Lab, Management, PASSWORD, Site, eventually, text};
use serde_json::{Value, json};

/// Where the lost node's images are by the time another one takes them over.
const OLD_STORE: &str = "/var/lib/gantry/old-images";

#[test]
fn a_new_node_knows_the_images_of_a_lost_one_by_their_names_and_makes_vms_of_them() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let host = lab.host(1);
    let (image, cut_off) = lose_a_node(&lab);
    // What the README tells to do about an agent that is left over.
    host.run("systemctl disable --now gantry-agent && rm -r /etc/gantry");
    host.run(&format!("mv {IMAGE_STORE} {OLD_STORE} && truncate -s 1000 {OLD_STORE}/images/{cut_off}/*.qcow2"));

    let node = Management::start(&[]);
    let client = &node.client();
    let site = Site::set_up(client, &lab);
    let store = json!({
        "name": "old images", "url": OLD_STORE, "hostname": host.address(), "username": "root", "password": PASSWORD,
        "importImages": true,
    });
    let store = client.done("AddImageStoreBackupStorage", &store)["inventory"].clone();
    let found = client.one("/images", &text(&image, "uuid"));
    let known =
        ["name", "description", "guestOsType", "platform", "mediaType", "format", "size", "actualSize", "md5Sum"];
    for fact in known.into_iter().chain(["url", "status", "state"]) {
        assert_eq!(found[fact], image[fact], "{fact}");
    }
    assert_eq!(text(&found["backupStorageRefs"][0], "backupStorageUuid"), text(&store, "uuid"));
    let tags = client.query("/system-tags", &[&format!("resourceUuid={}", text(&image, "uuid"))]);
    assert_eq!(tags.iter().map(|tag| text(tag, "tag")).collect::<Vec<_>>(), ["qemuga"]);

    // One that is damaged is left out, and the operator hears of it.
    assert!(client.query("/images", &[&format!("uuid={cut_off}")]).is_empty());
    let told = client.query("/notifications", &[&format!("resourceUuid={}", text(&store, "uuid"))]);
    assert!(told[0]["arguments"].to_string().contains(&cut_off), "{told:?}");

    let zone = json!({ "zoneUuid": site.zone, "backupStorageUuid": store["uuid"] });
    client.done("AttachBackupStorageToZone", &zone);
    let mut params = site.vm_params("from what was lost");
    params["imageUuid"] = image["uuid"].clone();
    let vm = text(&client.done("CreateVmInstance", &params)["inventory"], "uuid");
    host.console_shows(&vm, "that it is ready", |console| (console.boots() > 0).then_some(()));
}

/// A node with two images is gone from one moment to the next. Answers what it said of the first, and the second's id.
fn lose_a_node(lab: &Lab) -> (Value, String) {
    let mut node = Management::start(&[]);
    let client = &node.client();
    let site = Site::set_up(client, lab);
    let second = site.blank_image(client, lab);
    let described = json!({
        "uuid": site.image, "name": "the golden one", "description": "for servers", "guestOsType": "Linux 6",
    });
    client.done("UpdateImage", &described);
    client.done("SetImageQga", &json!({ "uuid": site.image, "enable": true }));
    client.set("primaryStorage", "ping.interval", "1");
    let labels = format!("cat {IMAGE_STORE}/images/{}/*.json", site.image);
    eventually("what is known of the image lies beside it", ALWAYS, || {
        let label = lab.host(1).run(&labels);
        (label.contains("the golden one") && label.contains("qemuga")).then_some(())
    });
    let image = client.one("/images", &site.image);
    node.kill();
    (image, second)
}

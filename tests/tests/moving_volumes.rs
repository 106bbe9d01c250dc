//! Stopped VMs move: to another host, to another storage, back to their image; and what they no longer need goes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use std::sync::atomic::{AtomicBool, Ordering};

use gantry_tests::{Client, Kind, Lab, LabHost, Management, PRIMARY_STORAGE, Site, text, userdata_tag};
use serde_json::{Value, json};

/// Where the second storage is: a file system of its own on each host, so that its figures are known to the byte.
const FAST_STORAGE: &str = "/srv/fast";

/// Reports how often this disk was booted.
const COUNT_BOOTS: &str = "#!/bin/sh
boots=$(( $(cat /data/boots 2>/dev/null || echo 0) + 1 ))
echo $boots >/data/boots
sync
echo \"boot $boots of this disk\"
";

#[test]
fn a_stopped_vm_moves_to_another_host_and_storage_and_back_to_its_image() {
    let lab = Lab::boot(Kind::Kvm, 2);
    let node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let (first, second) = (lab.host(1), lab.host(2));
    let vm = site.vm_on(&client, 1, "nomad", &[userdata_tag(COUNT_BOOTS)]);
    let act = |action: &str, params: Value| client.act(&format!("/vm-instances/{vm}/actions"), action, &params);
    boots(first, &vm, 1);
    let volume = text(&client.one("/vm-instances", &vm), "rootVolumeUuid");
    let to_second = || {
        let path = format!("/primary-storage/local-storage/volumes/{volume}/actions");
        client.act(&path, "localStorageMigrateVolume", &json!({ "destHostUuid": site.hosts[1] }))
    };

    // While it runs it stays, and the list and the operation say why with one voice.
    let refused = to_second().unwrap_err();
    assert_eq!(refused.code, "SYS.1010", "{refused:?}");
    let (hosts, excluded) = candidates(&client, &format!("/volumes/{volume}/migration-target-hosts"));
    assert!(hosts.is_empty());
    assert_eq!(excluded.len(), 2);
    assert!(excluded.iter().all(|(_, reason)| *reason == refused.details), "{excluded:?} {refused:?}");

    act("stopVmInstance", json!({ "type": "cold" })).unwrap();
    let (hosts, excluded) = candidates(&client, &format!("/volumes/{volume}/migration-target-hosts"));
    assert_eq!(hosts, [site.hosts[1].clone()]);
    assert_eq!(excluded[0].0, site.hosts[0]);
    let old = path_of(&client, &volume);
    let moved = to_second().unwrap()["inventory"].clone();
    assert_eq!((text(&moved, "resourceUuid"), text(&moved, "hostUuid")), (volume.clone(), site.hosts[1].clone()));
    assert_eq!(refs(&client, &format!("host.uuid={}", site.hosts[1])), std::slice::from_ref(&volume));
    assert_eq!(refs(&client, &format!("hostUuid={}", site.hosts[0])), Vec::<String>::new());
    let new = path_of(&client, &volume);
    assert!(!first.has(&old) && !first.has(&new) && second.has(&new) && old != new);
    act("startVmInstance", json!({})).unwrap();
    assert_eq!((first.domain_state(&vm), second.domain_state(&vm)), (None, Some("running".to_owned())));
    boots(second, &vm, 2);
    act("stopVmInstance", json!({ "type": "cold" })).unwrap();

    let fast = fast_storage(&client, &site, &lab);
    let (storages, excluded) = candidates(&client, &format!("/primary-storage/volumes/{volume}/migration-candidates"));
    assert_eq!((storages, excluded[0].0.clone()), (vec![fast.clone()], site.primary_storage.clone()));
    let path = format!("/primary-storage/volumes/{volume}/actions");
    let moved = client.act(&path, "primaryStorageMigrateVolume", &json!({ "dstPrimaryStorageUuid": fast })).unwrap();
    assert_eq!(text(&moved["inventory"], "primaryStorageUuid"), fast);
    let path = path_of(&client, &volume);
    assert!(path.starts_with(FAST_STORAGE) && second.has(&path) && !second.has(&new));
    act("startVmInstance", json!({})).unwrap();
    boots(second, &vm, 3);
    act("stopVmInstance", json!({ "type": "cold" })).unwrap();
    figures_are_those_of_the_file_systems(&client, &site, &lab, &fast, &volume);

    act("reimageVmInstance", json!({})).unwrap();
    assert!(!second.has(&path) && second.has(&path_of(&client, &volume)));
    act("startVmInstance", json!({})).unwrap();
    second.console_shows(&vm, "a fresh disk", |console| {
        console.script_lines().last().is_some_and(|line| line == "boot 1 of this disk").then_some(())
    });
    assert_eq!(second.console(&vm).boots(), 3);

    caches_keep_what_is_used(&client, &site, &lab, &fast);
    vms_are_made_while_caches_are_cleaned_up(&client, &site);
}

fn boots(host: LabHost<'_>, vm: &str, count: usize) {
    host.console_shows(vm, &format!("boot {count}"), |console| {
        console.script_said(&format!("boot {count} of this disk")).then_some(())
    });
}

fn path_of(client: &Client, volume: &str) -> String {
    text(&client.one("/volumes", volume), "installPath")
}

fn refs(client: &Client, condition: &str) -> Vec<String> {
    let found = client.query("/primary-storage/local-storage/resource-refs", &[condition]);
    found.iter().map(|found| text(found, "resourceUuid")).collect()
}

/// The ids that a list of candidates offers, and what it leaves out with the reasons.
fn candidates(client: &Client, path: &str) -> (Vec<String>, Vec<(String, String)>) {
    let reply = client.get(path).unwrap();
    let offered = reply["inventories"].as_array().unwrap().iter().map(|found| text(found, "uuid")).collect();
    let left_out = reply["details"].as_array().unwrap().iter();
    (offered, left_out.map(|found| (text(found, "uuid"), text(found, "reason"))).collect())
}

fn fast_storage(client: &Client, site: &Site, lab: &Lab) -> String {
    for host in lab.hosts() {
        host.run(&format!("mkdir -p {FAST_STORAGE} && mount -t tmpfs -o size=1g,mode=0755 fast {FAST_STORAGE}"));
    }
    let params = json!({ "name": "fast", "url": FAST_STORAGE, "zoneUuid": site.zone });
    let fast = text(&client.create("/primary-storage/local-storage", &params).unwrap(), "uuid");
    client.create(&format!("/clusters/{}/primary-storage/{fast}", site.cluster), &json!({})).unwrap();
    // A storage within another one's directory would count its bytes and clean up its files.
    let params = json!({ "name": "nested", "url": format!("{FAST_STORAGE}/nested"), "zoneUuid": site.zone });
    let nested = text(&client.create("/primary-storage/local-storage", &params).unwrap(), "uuid");
    let on_cluster = format!("/clusters/{}/primary-storage/{nested}", site.cluster);
    let refused = client.create(&on_cluster, &json!({})).unwrap_err();
    assert!(refused.details.contains(FAST_STORAGE), "{refused:?}");
    client.delete(&format!("/primary-storage/{nested}")).unwrap();
    fast
}

fn figures_are_those_of_the_file_systems(client: &Client, site: &Site, lab: &Lab, fast: &str, volume: &str) {
    let number = |host: LabHost<'_>, command: &str| host.run(command).trim().parse::<u64>().unwrap();
    // What somebody else puts there is the system's.
    lab.host(2).run(&format!("dd if=/dev/zero of={FAST_STORAGE}/somebody-elses bs=1M count=10 status=none"));
    let path = format!("/primary-storage/{fast}/actions");
    let storage = client.act(&path, "syncPrimaryStorageCapacity", &json!({})).unwrap()["inventory"].clone();
    let mut own_bytes = 0;
    let mut sums = [0, 0];
    for (host, uuid) in lab.hosts().zip(&site.hosts) {
        let capacities = format!("/primary-storage/local-storage/{fast}/capacities?hostUuid={uuid}");
        let found = client.get(&capacities).unwrap()["inventories"][0].clone();
        assert_eq!(text(&found, "hostUuid"), *uuid);
        let statvfs = ["%b", "%a"].map(|field| {
            number(host, &format!("echo $(( $(stat -f -c {field} {FAST_STORAGE}) * $(stat -f -c %S {FAST_STORAGE}) ))"))
        });
        assert_eq!(found["totalPhysicalCapacity"], statvfs[0]);
        assert_eq!(found["availablePhysicalCapacity"], statvfs[1]);
        own_bytes += number(host, &format!("du -s -x -B1 {FAST_STORAGE} | cut -f1"));
        sums = [sums[0] + statvfs[0], sums[1] + statvfs[1]];
    }
    assert_eq!(storage["totalPhysicalCapacity"], sums[0]);
    assert_eq!(storage["availablePhysicalCapacity"], sums[1]);
    assert_eq!(storage["systemUsedCapacity"], sums[0] - sums[1] - own_bytes);
    // Promised are the volume in full and the image it stands on.
    let of_fast = format!("{FAST_STORAGE}/imagecache");
    let image_bytes = number(lab.host(2), &format!("find {of_fast} -name '*.qcow2' -printf '%s\\n'"));
    let volume_bytes = client.one("/volumes", volume)["size"].as_u64().unwrap();
    let promised = storage["totalCapacity"].as_u64().unwrap() - storage["availableCapacity"].as_u64().unwrap();
    assert_eq!(promised, image_bytes + volume_bytes);
    let actual = number(lab.host(2), &format!("du -B1 {} | cut -f1", path_of(client, volume)));
    assert!(client.one("/volumes", volume)["actualSize"].as_u64().unwrap() <= actual);
}

/// The VM is on the second host's fast storage; nothing else is left.
fn caches_keep_what_is_used(client: &Client, site: &Site, lab: &Lab, fast: &str) {
    let mut params = site.vm_params("settler");
    params["hostUuid"] = json!(site.hosts[0]);
    params["strategy"] = json!("JustCreate");
    params["primaryStorageUuidForRootVolume"] = json!(site.primary_storage);
    client.create("/vm-instances", &params).unwrap();
    let image = format!("imagecache/template/{0}/{0}.qcow2", site.image);
    let is_cached = |host: usize, root: &str| lab.host(host).has(&format!("{root}/{image}"));
    assert!(is_cached(1, PRIMARY_STORAGE) && is_cached(2, PRIMARY_STORAGE) && is_cached(2, FAST_STORAGE));
    let clean_up = |storage: &str| {
        let path = format!("/primary-storage/{storage}/actions");
        let cleaned = client.act(&path, "cleanUpImageCacheOnPrimaryStorage", &json!({})).unwrap();
        let hosts = cleaned["removed"].as_array().unwrap().iter().map(|gone| text(gone, "hostUuid")).collect();
        (hosts, cleaned["details"].as_array().unwrap().len())
    };
    let free = |storage: &str| client.one("/primary-storage", storage)["availableCapacity"].as_u64().unwrap();
    let before = free(&site.primary_storage);
    assert_eq!(clean_up(&site.primary_storage), (vec![site.hosts[1].clone()], 1));
    assert!(is_cached(1, PRIMARY_STORAGE) && !is_cached(2, PRIMARY_STORAGE));
    assert!(free(&site.primary_storage) > before);
    assert_eq!(clean_up(fast), (vec![], 1));
    assert!(is_cached(2, FAST_STORAGE));
    assert_eq!(clean_up(&site.primary_storage), (vec![], 1));
}

/// No image goes from under a VM that is being made from it, however often it is looked for what nothing uses.
fn vms_are_made_while_caches_are_cleaned_up(client: &Client, site: &Site) {
    let (all_made, evictions) = (AtomicBool::new(false), &mut 0);
    let path = format!("/primary-storage/{}/actions", site.primary_storage);
    let mut params = site.vm_params("passing");
    params["hostUuid"] = json!(site.hosts[1]);
    params["strategy"] = json!("CreateStopped");
    params["primaryStorageUuidForRootVolume"] = json!(site.primary_storage);
    std::thread::scope(|scope| {
        let cleaning = scope.spawn(|| {
            let mut removed = 0;
            while !all_made.load(Ordering::SeqCst) {
                let cleaned = client.act(&path, "cleanUpImageCacheOnPrimaryStorage", &json!({})).unwrap();
                removed += cleaned["removed"].as_array().unwrap().len();
            }
            removed
        });
        let made = (0..6).try_for_each(|_| {
            let vm = text(&client.create("/vm-instances", &params)?, "uuid");
            client.delete(&format!("/vm-instances/{vm}"))?;
            client.act(&format!("/vm-instances/{vm}/actions"), "expungeVmInstance", &json!({})).map(drop)
        });
        all_made.store(true, Ordering::SeqCst);
        *evictions = cleaning.join().unwrap();
        made.unwrap();
    });
    assert!(*evictions > 0, "the caches were never cleaned up between two VMs");
}

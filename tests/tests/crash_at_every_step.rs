//! The node is killed after every stored step of an operation, and started again: the operation is then finished, or
//! nothing of it is left.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use std::{cell::Cell, time::Duration};

use gantry_tests::{
    ALWAYS, Call, Client, Footprint, GUEST_MEMORY_BYTES, IMAGE_STORE, ImageServer, Kind, Lab, LabHost, Management,
    PRIMARY_STORAGE, Site, all_connected, at_every_step, crash_midway, eventually, nothing_is_left_since, text,
};
use serde_json::json;

#[test]
fn adding_a_host_survives_a_crash_at_every_step() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let mut node = Management::start(&[]);
    let client = node.client();
    let (_zone, cluster) = Site::empty_cluster(&client);
    let host = lab.host(1);
    let before = Footprint::take(&client, &lab);
    let call = Call::create("/hosts/kvm", &Site::host_params(&cluster, &host));
    at_every_step(
        &mut node,
        "AddKVMHost",
        6,
        || call.clone(),
        |added, _| {
            assert_eq!(client.query("/hosts", &[]).len(), 1);
            // A node that was back only for the last step may not have dialled the host by then.
            all_connected(&client);
            assert!(host.succeeds("systemctl is-active --quiet gantry-agent"));
            client.delete(&format!("/hosts/{}", text(&added["inventory"], "uuid"))).unwrap();
            assert!(!host.has("/etc/gantry"), "the deleted host still belongs to the node");
            eventually("the deleted host's agent has ended", ALWAYS, || {
                (!host.succeeds("systemctl is-active --quiet gantry-agent")).then_some(())
            });
            assert!(!host.succeeds("systemctl is-enabled --quiet gantry-agent"));
            forget_gantry(host);
            nothing_is_left_since(&before, &client, &lab);
        },
    );

    // The agent is there, and the node that is back cannot reach it: it is taken away again.
    let port_closed =
        "nft add table inet closed; nft 'add chain inet closed input { type filter hook input priority 0; }'
                       nft add rule inet closed input tcp dport 7272 drop";
    let refused = crash_midway(&mut node, 3, "AddKVMHost", &call, || drop(host.run(port_closed))).unwrap_err();
    assert_eq!(refused.code, "HOST.1006", "{refused:?}");
    assert!(!host.has("/etc/gantry/agent.toml") && !host.has("/usr/local/bin/gantry-agent"));
    assert!(!host.succeeds("systemctl is-active --quiet gantry-agent"));
    nothing_is_left_since(&before, &client, &lab);
    host.run("nft delete table inet closed");
    client.call_as(&Client::new_job(), &call).unwrap();
}

/// Makes the host one that no node has seen.
fn forget_gantry(host: LabHost<'_>) {
    host.run(
        "systemctl disable --quiet --now gantry-agent
         rm -rf /etc/gantry /var/lib/gantry /run/gantry /usr/local/bin/gantry-agent /etc/systemd/system/gantry-agent.service
         systemctl daemon-reload",
    );
}

#[test]
fn adding_an_image_survives_a_crash_at_every_step() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let mut node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let host = lab.host(1);
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("guest.qcow2");
    std::fs::copy(Lab::guest_image(), &file).unwrap();
    let server = ImageServer::start(&lab.address(1), &file);
    let before = Footprint::take(&client, &lab);
    let call = Call::create("/images", &Site::image_params(&site.image_store, server.url()));
    at_every_step(
        &mut node,
        "AddImage",
        3,
        || call.clone(),
        |added, _| {
            let uuid = text(&added["inventory"], "uuid");
            assert_eq!(text(&added["inventory"], "status"), "Ready");
            let stored = host.files(&format!("{IMAGE_STORE}/images/{uuid}"));
            assert_eq!(stored.iter().filter(|file| file.ends_with(".qcow2")).count(), 1, "{stored:?}");
            client.delete(&format!("/images/{uuid}")).unwrap();
            client.act(&format!("/images/{uuid}/actions"), "expungeImage", &json!({})).unwrap();
            nothing_is_left_since(&before, &client, &lab);
        },
    );

    // What was to be downloaded is gone by the time the node is back.
    let remove = || std::fs::remove_file(&file).unwrap();
    let refused = crash_midway(&mut node, 1, "AddImage", &call, remove).unwrap_err();
    assert_eq!(refused.code, "IMAGE.1000", "{refused:?}");
    nothing_is_left_since(&before, &client, &lab);
}

#[test]
fn creating_a_vm_survives_a_crash_at_every_step() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let mut node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let host = lab.host(1);
    let before = Footprint::take(&client, &lab);
    let memory_before = free_memory(&client);
    let call = Call::create("/vm-instances", &site.vm_params("survivor"));
    let with_no_image_cached = || {
        forget_cached_images(host);
        call.clone()
    };
    at_every_step(&mut node, "CreateVmInstance", 6, with_no_image_cached, |created, through| {
        let vm = &created["inventory"];
        let uuid = text(vm, "uuid");
        assert_eq!((text(vm, "state"), host.domain_state(&uuid)), ("Running".to_owned(), Some("running".to_owned())));
        assert_eq!((client.query("/vm-instances", &[]).len(), host.domains().len()), (1, 1));
        assert_eq!(free_memory(&client), memory_before - GUEST_MEMORY_BYTES);
        if through {
            host.console_shows(&uuid, "that it is ready", |console| (console.boots() > 0).then_some(()));
        }
        expunge(&client, &uuid);
        nothing_is_left_since(&before, &client, &lab);
    });
}

/// Between two stored steps, a host may have done what the node does not know of.
#[test]
fn creating_a_vm_survives_a_crash_at_any_moment() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let mut node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let host = lab.host(1);
    let before = Footprint::take(&client, &lab);
    let call = Call::create("/vm-instances", &site.vm_params("survivor"));
    for moment in 0..10 {
        forget_cached_images(host);
        let job = Client::new_job();
        client.submit(&job, &call);
        // Ten moments of the time that it takes.
        std::thread::sleep(Duration::from_millis(100 * moment));
        node.kill();
        node.start_again(&[]);
        let vm = client.call_as(&job, &call).unwrap()["inventory"].clone();
        let uuid = text(&vm, "uuid");
        assert_eq!((text(&vm, "state"), host.domain_state(&uuid)), ("Running".to_owned(), Some("running".to_owned())));
        assert_eq!((client.query("/vm-instances", &[]).len(), host.domains().len()), (1, 1));
        expunge(&client, &uuid);
        nothing_is_left_since(&before, &client, &lab);
    }
}

#[test]
fn creating_a_vm_that_cannot_go_on_after_a_crash_leaves_nothing() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let mut node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let host = lab.host(1);
    let before = Footprint::take(&client, &lab);
    let call = Call::create("/vm-instances", &site.vm_params("orphan"));
    let take_image_away =
        format!("mv {IMAGE_STORE} {IMAGE_STORE}.away; rm -rf {PRIMARY_STORAGE}/imagecache/template/*");
    let bring_image_back = format!("rm -rf {IMAGE_STORE}; mv {IMAGE_STORE}.away {IMAGE_STORE}");
    // Until the VM has started, it needs its image.
    for steps in 0..=5 {
        forget_cached_images(host);
        let while_down = || drop(host.run(&take_image_away));
        let refused = crash_midway(&mut node, steps, "CreateVmInstance", &call, while_down).unwrap_err();
        assert!(!refused.details.is_empty(), "{refused:?}");
        host.run(&bring_image_back);
        nothing_is_left_since(&before, &client, &lab);
    }

    // A host that is away owes the clean-up, and does it when it is back.
    let refused = crash_midway(&mut node, 4, "CreateVmInstance", &call, || host.power_off()).unwrap_err();
    assert_eq!(refused.code, "HOST.1000", "{refused:?}");
    assert!(client.query("/vm-instances", &[]).is_empty());
    host.power_on();
    all_connected(&client);
    assert!(host.files(&format!("{PRIMARY_STORAGE}/rootVolumes")).is_empty());
    client.call_as(&Client::new_job(), &call).unwrap();
}

#[test]
fn expunging_a_vm_survives_a_crash_at_every_step() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let mut node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let before = Footprint::take(&client, &lab);
    let mut params = site.vm_params("passing");
    params["strategy"] = json!("CreateStopped");
    let expunge_a_new_vm = || {
        let vm = text(&client.create("/vm-instances", &params).unwrap(), "uuid");
        client.delete(&format!("/vm-instances/{vm}")).unwrap();
        Call::act(&format!("/vm-instances/{vm}/actions"), "expungeVmInstance", &json!({}))
    };
    at_every_step(&mut node, "ExpungeVmInstance", 3, expunge_a_new_vm, |_, _| {
        nothing_is_left_since(&before, &client, &lab);
    });
}

#[test]
fn moving_a_volume_survives_a_crash_at_every_step() {
    let lab = Lab::boot(Kind::Kvm, 2);
    let mut node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let mut params = site.vm_params("nomad");
    params["hostUuid"] = json!(site.hosts[0]);
    params["strategy"] = json!("CreateStopped");
    let vm = client.create("/vm-instances", &params).unwrap();
    let volume = text(&vm, "rootVolumeUuid");
    let path = || text(&client.one("/volumes", &volume), "installPath");
    lab.host(1).run(&format!("qemu-io -f qcow2 -c 'write -P 0x5a 1M 64k' {}", path()));
    let free = || client.one("/primary-storage", &site.primary_storage)["availableCapacity"].clone();
    let free_before = free();
    let on = Cell::new(0);
    let to_the_other_host = || {
        // The image has to come along.
        let cache = format!("/primary-storage/{}/actions", site.primary_storage);
        client.act(&cache, "cleanUpImageCacheOnPrimaryStorage", &json!({})).unwrap();
        let path = format!("/primary-storage/local-storage/volumes/{volume}/actions");
        on.set(1 - on.get());
        Call::act(&path, "localStorageMigrateVolume", &json!({ "destHostUuid": site.hosts[on.get()] }))
    };
    at_every_step(&mut node, "LocalStorageMigrateVolume", 6, to_the_other_host, |moved, _| {
        assert_eq!(text(&moved["inventory"], "hostUuid"), site.hosts[on.get()]);
        let files = |host: LabHost<'_>| host.files(&format!("{PRIMARY_STORAGE}/rootVolumes"));
        // A node that was back only for the last step may have left the original for when it dials its host.
        eventually("there is one copy", ALWAYS, || {
            (files(lab.host(1 + on.get())) == [path()] && files(lab.host(2 - on.get())).is_empty()).then_some(())
        });
        lab.host(1 + on.get()).run(&format!("qemu-io -r -f qcow2 -c 'read -P 0x5a 1M 64k' {}", path()));
        assert_eq!(client.vm_state(&text(&vm, "uuid")), "Stopped");
    });
    let cache = format!("/primary-storage/{}/actions", site.primary_storage);
    client.act(&cache, "cleanUpImageCacheOnPrimaryStorage", &json!({})).unwrap();
    assert_eq!(free(), free_before);
}

#[test]
fn an_interface_that_comes_and_goes_survives_a_crash_at_every_step() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let mut node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let (_, second) = site.second_network(&client);
    let host = lab.host(1);
    let vm = site.vm_on(&client, 1, "server", &[]);
    host.console_shows(&vm, "that it is ready", |console| (console.boots() > 0).then_some(()));
    let attach = Call::create(&format!("/vm-instances/{vm}/l3-networks/{second}"), &json!({}));
    let attached = || {
        let nic = client.query("/vm-instances/nics", &[&format!("l3NetworkUuid={second}")]).pop();
        nic.map(|nic| (format!("/vm-instances/nics/{}", text(&nic, "uuid")), text(&nic, "mac")))
    };
    let plugged = || host.run(&format!("virsh domiflist {vm}")).matches("vnic").count();
    let before = Footprint::take(&client, &lab);
    at_every_step(
        &mut node,
        "AttachL3NetworkToVm",
        2,
        || attach.clone(),
        |_, _| {
            let (path, mac) = attached().unwrap();
            assert!(host.run(&format!("virsh domiflist {vm}")).contains(&mac));
            client.delete(&path).unwrap();
            nothing_is_left_since(&before, &client, &lab);
        },
    );
    let detach = || {
        client.call_as(&Client::new_job(), &attach).unwrap();
        Call::delete(&attached().unwrap().0)
    };
    at_every_step(&mut node, "DetachL3NetworkFromVm", 3, detach, |_, _| {
        assert_eq!(plugged(), 1);
        nothing_is_left_since(&before, &client, &lab);
    });

    // A host that was out of reach brings the VM back to what the inventory says.
    let refused = crash_midway(&mut node, 1, "AttachL3NetworkToVm", &attach, || host.cut()).unwrap_err();
    assert_eq!((refused.code.as_str(), attached()), ("HOST.1000", None), "{refused:?}");
    host.join();
    all_connected(&client);
    eventually("nothing is owed any more", ALWAYS, || {
        client.query("/gc-jobs", &["runnerClass=devices"]).iter().all(|job| text(job, "status") == "Done").then_some(())
    });
    assert_eq!(plugged(), 1);
    nothing_is_left_since(&before, &client, &lab);
}

fn forget_cached_images(host: LabHost<'_>) {
    host.run(&format!("rm -rf {PRIMARY_STORAGE}/imagecache/template/*"));
}

fn expunge(client: &Client, vm: &str) {
    client.delete(&format!("/vm-instances/{vm}")).unwrap();
    client.act(&format!("/vm-instances/{vm}/actions"), "expungeVmInstance", &json!({})).unwrap();
}

fn free_memory(client: &Client) -> u64 {
    client.query("/hosts", &[])[0]["availableMemoryCapacity"].as_u64().unwrap()
}

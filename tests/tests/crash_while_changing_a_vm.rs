//! The node is killed after every stored step of what changes a VM's volumes and discs: it is then done, or undone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use std::cell::Cell;

use gantry_tests::{
    ALWAYS, Call, Client, Footprint, IMAGE_STORE, ImageServer, Kind, Lab, LabHost, Management, PRIMARY_STORAGE, Site,
    all_connected, at_every_step, crash_midway, eventually, nothing_is_left_since, text,
};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

/// The VM that all of it happens to: on the first host, with nothing on its disk.
struct Scene<'a> {
    client: Client,
    lab: &'a Lab,
    site: Site,
    vm: String,
}

#[test]
fn changing_a_vms_volumes_and_discs_survives_a_crash_at_every_step() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let mut node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let mut params = site.vm_params("server");
    params["imageUuid"] = json!(site.blank_image(&client, &lab));
    let vm = text(&client.create("/vm-instances", &params).unwrap(), "uuid");
    let scene = Scene { client, lab: &lab, site, vm };

    let volume = scene.attaching_volumes(&mut node);
    scene.growing(&mut node, &volume);
    scene.putting_a_disc_in(&mut node);
    let stop = json!({ "uuid": scene.vm, "type": "cold" });
    scene.client.done("StopVmInstance", &stop);
    scene.making_an_image(&mut node);
    scene.going_back_to_the_image(&mut node);
    scene.client.done("StartVmInstance", &json!({ "uuid": scene.vm }));
    assert_eq!(scene.host().domain_state(&scene.vm), Some("running".to_owned()));
}

impl Scene<'_> {
    fn host(&self) -> LabHost<'_> {
        self.lab.host(1)
    }

    fn volume(&self, uuid: &str) -> Value {
        self.client.one("/volumes", uuid)
    }

    fn files(&self) -> Vec<String> {
        self.host().files(&format!("{PRIMARY_STORAGE}/dataVolumes"))
    }

    /// The paths of the disks that QEMU has.
    fn disks(&self) -> Vec<String> {
        let listed = self.host().run(&format!("virsh domblklist {}", self.vm));
        listed.split_whitespace().filter(|word| word.starts_with(PRIMARY_STORAGE)).map(str::to_owned).collect()
    }

    fn promised(&self) -> u64 {
        let storage = self.client.one("/primary-storage", &self.site.primary_storage);
        storage["totalCapacity"].as_u64().unwrap() - storage["availableCapacity"].as_u64().unwrap()
    }

    /// Volumes without a file get one when they are plugged into the VM that runs. Answers one of them.
    fn attaching_volumes(&self, node: &mut Management) -> String {
        let offering = self.client.done("CreateDiskOffering", &json!({ "name": "small", "diskSize": MIB }));
        let params = json!({ "name": "data", "diskOfferingUuid": text(&offering["inventory"], "uuid") });
        let new = || text(&self.client.done("CreateDataVolume", &params)["inventory"], "uuid");
        let attach = |volume: &str| Call::create(&format!("/volumes/{volume}/vm-instances/{}", self.vm), &json!({}));
        let (before, attached) = (self.promised(), Cell::new(0));
        at_every_step(
            node,
            "AttachDataVolumeToVm",
            4,
            || attach(&new()),
            |reply, _| {
                attached.set(attached.get() + 1);
                let (volume, disks) = (reply["inventory"].clone(), self.disks());
                assert_eq!(
                    (text(&volume, "status"), text(&volume, "vmInstanceUuid")),
                    ("Ready".into(), self.vm.clone())
                );
                assert!(disks.contains(&text(&volume, "installPath")), "{volume} {disks:?}");
                assert_eq!((disks.len(), self.files().len()), (1 + attached.get(), attached.get()));
                assert_eq!(self.promised(), before + attached.get() as u64 * MIB);
            },
        );

        // With the host out of reach it cannot be gone on with: the volume is as it was.
        let (late, host) = (new(), self.host());
        let refused = crash_midway(node, 3, "AttachDataVolumeToVm", &attach(&late), || host.cut()).unwrap_err();
        assert_eq!(refused.code, "HOST.1000", "{refused:?}");
        let volume = self.volume(&late);
        assert!(volume["vmInstanceUuid"].is_null() && volume["installPath"].is_null(), "{volume}");
        host.join();
        all_connected(&self.client);
        eventually("nothing is owed any more", ALWAYS, || {
            self.client.query("/gc-jobs", &["status!=Done"]).is_empty().then_some(())
        });
        assert_eq!((self.disks().len(), self.files().len()), (1 + attached.get(), attached.get()));
        assert_eq!(self.promised(), before + attached.get() as u64 * MIB);
        let plugged = self.client.query("/volumes", &[&format!("vmInstanceUuid={}", self.vm), "type=Data"]);
        assert_eq!(plugged.len(), attached.get());
        text(&plugged[0], "uuid")
    }

    fn growing(&self, node: &mut Management, volume: &str) {
        let path = text(&self.volume(volume), "installPath");
        let (before, size) = (self.promised(), Cell::new(MIB));
        let grow = || {
            size.set(size.get() + MIB);
            let path = format!("/volumes/data/resize/{volume}/actions");
            Call::act(&path, "resizeDataVolume", &json!({ "size": size.get() }))
        };
        at_every_step(node, "ResizeDataVolume", 3, grow, |reply, _| {
            assert_eq!(reply["inventory"]["size"], json!(size.get()));
            let seen = self.host().run(&format!("virsh domblkinfo {} {path} | awk '/Capacity/ {{print $2}}'", self.vm));
            assert_eq!(seen.trim(), size.get().to_string(), "what QEMU has of the disk");
            assert_eq!(self.promised(), before + size.get() - MIB);
        });
    }

    fn putting_a_disc_in(&self, node: &mut Management) {
        let server = ImageServer::start(&self.lab.address(1), &Lab::guest_disc());
        let image = self.client.create("/images", &self.site.iso_params(server.url())).unwrap();
        let iso = text(&image, "uuid");
        let cached = format!("{PRIMARY_STORAGE}/imagecache/template/{iso}");
        let with_no_disc_cached = || {
            let path = format!("/primary-storage/{}/actions", self.site.primary_storage);
            self.client.act(&path, "cleanUpImageCacheOnPrimaryStorage", &json!({})).unwrap();
            assert!(!self.host().has(&cached));
            Call::create(&format!("/vm-instances/{}/iso/{iso}", self.vm), &json!({}))
        };
        let before = Footprint::take(&self.client, self.lab);
        at_every_step(node, "AttachIsoToVmInstance", 4, with_no_disc_cached, |_, _| {
            assert_eq!(self.disks().iter().filter(|path| path.starts_with(&cached)).count(), 1, "{:?}", self.disks());
            self.client.done("DetachIsoFromVmInstance", &json!({ "vmInstanceUuid": self.vm, "isoUuid": iso }));
            assert!(!self.disks().iter().any(|path| path.starts_with(&cached)));
            nothing_is_left_since(&before, &self.client, self.lab);
        });
    }

    fn root(&self) -> Value {
        self.volume(&text(&self.client.one("/vm-instances", &self.vm), "rootVolumeUuid"))
    }

    fn making_an_image(&self, node: &mut Management) {
        let path = format!("/images/root-volume-templates/from/volumes/{}", text(&self.root(), "uuid"));
        let params = json!({ "name": "template", "backupStorageUuids": [self.site.image_store] });
        let before = Footprint::take(&self.client, self.lab);
        let make = || Call::create(&path, &params);
        at_every_step(node, "CreateRootVolumeTemplateFromRootVolume", 5, make, |made, _| {
            let uuid = text(&made["inventory"], "uuid");
            assert_eq!(text(&made["inventory"], "status"), "Ready");
            let stored = self.host().files(&format!("{IMAGE_STORE}/images/{uuid}"));
            assert_eq!(stored.iter().filter(|file| file.ends_with(".qcow2")).count(), 1, "{stored:?}");
            self.client.done("DeleteImage", &json!({ "uuid": uuid }));
            self.client.done("ExpungeImage", &json!({ "imageUuid": uuid }));
            // A node that was back only for the last step may have left the copy for when it dials the host.
            eventually("nothing is owed any more", ALWAYS, || {
                self.client.query("/gc-jobs", &["status!=Done"]).is_empty().then_some(())
            });
            nothing_is_left_since(&before, &self.client, self.lab);
        });
    }

    fn going_back_to_the_image(&self, node: &mut Management) {
        let before = self.promised();
        let root = format!("{PRIMARY_STORAGE}/rootVolumes");
        let old = Cell::new(String::new());
        let reimage = || {
            old.set(text(&self.root(), "installPath"));
            let path = old.take();
            self.host().run(&format!("qemu-io -f qcow2 -c 'write -P 0x5a 0 64k' {path}"));
            old.set(path);
            Call::act(&format!("/vm-instances/{}/actions", self.vm), "reimageVmInstance", &json!({}))
        };
        at_every_step(node, "ReimageVmInstance", 5, reimage, |_, _| {
            let path = text(&self.root(), "installPath");
            assert_ne!(path, old.take());
            eventually("there is one root volume", ALWAYS, || {
                (self.host().files(&root) == std::slice::from_ref(&path)).then_some(())
            });
            self.host().run(&format!("qemu-io -r -f qcow2 -c 'read -P 0 0 64k' {path}"));
            assert_eq!((self.promised(), self.client.vm_state(&self.vm)), (before, "Stopped".to_owned()));
        });
    }
}

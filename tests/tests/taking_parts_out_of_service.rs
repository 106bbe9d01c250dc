//! Parts leave service for a while: what runs there goes on, what is new is refused or goes elsewhere, and all is as before
//! when they are back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use std::time::{SystemTime, UNIX_EPOCH};

use gantry_tests::{ALWAYS, Client, Kind, Lab, LabHost, Management, Site, eventually, text};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

#[test]
fn parts_leave_service_and_change_their_names_under_a_vm_that_runs() {
    let lab = Lab::boot(Kind::Kvm, 2);
    let mut node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let site = Site { image: site.blank_image(&client, &lab), ..site };
    let disk_offering = json!({ "name": "disk", "diskSize": 64 * MIB });
    let disk_offering = made(&client, "CreateDiskOffering", &disk_offering);
    let (_, second_l3) = site.second_network(&client);
    let mut params = site.vm_params("bystander");
    params["hostUuid"] = json!(site.hosts[0]);
    params["dataDiskOfferingUuids"] = json!([disk_offering]);
    let bystander = made(&client, "CreateVmInstance", &params);
    let pid = lab.host(1).qemu_pid(&bystander);
    let shop = Shop { client: &client, lab: &lab, site: &site, disk_offering, second_l3, bystander };

    let spare = shop.parts_take_nothing_new();
    shop.vms_start_where_their_groups_allow();
    assert_eq!(lab.host(1).qemu_pid(&shop.bystander), pid, "the VM did not come through");

    let renamed = shop.everything_is_renamed(&spare);
    let itself = what_the_node_says_of_itself(&client);
    node.kill();
    node.start_again(&[]);
    assert_eq!(what_the_node_says_of_itself(&client), itself);
    shop.has_its_new_names(&renamed);
    assert_eq!(lab.host(1).qemu_pid(&shop.bystander), pid, "the VM did not come through");

    shop.a_host_that_is_maintained_is_empty();
    shop.a_vm_outlives_its_offerings(&spare);
}

/// What the scenario is about.
struct Shop<'a> {
    client: &'a Client,
    lab: &'a Lab,
    site: &'a Site,
    disk_offering: String,
    second_l3: String,
    /// It runs on the first host all the time.
    bystander: String,
}

/// A part that can be disabled, and what cannot be done without it.
struct Part<'a> {
    change: &'static str,
    uuid: &'a str,
    /// What a refusal calls it.
    named: &'static str,
    uses: Vec<(&'static str, Value)>,
}

impl Shop<'_> {
    /// Answers a data volume that the VM has at last.
    fn parts_take_nothing_new(&self) -> String {
        let Self { client, lab, site, disk_offering, second_l3, bystander } = self;
        let spare = made(client, "CreateDataVolume", &self.volume("spare"));
        let new_vm = || ("CreateVmInstance", site.vm_params("new"));
        let new_volume = || ("CreateDataVolume", self.volume("new"));
        let attach_l3 = json!({ "vmInstanceUuid": bystander, "l3NetworkUuid": second_l3 });
        let attach_volume = json!({ "vmInstanceUuid": bystander, "volumeUuid": spare });
        // Nobody answers there: it is refused before anything is fetched.
        let image = Site::image_params(&site.image_store, &format!("http://{}:9/none", lab.address(1)));
        let part = |change, uuid, named, uses| Part { change, uuid, named, uses };
        for part in [
            part("ChangeZoneState", &site.zone, "zone 'zone'", vec![new_vm()]),
            part("ChangeClusterState", &site.cluster, "cluster 'cluster'", vec![new_vm()]),
            part("ChangeImageState", &site.image, "image 'guest'", vec![new_vm()]),
            part("ChangeInstanceOfferingState", &site.offering, "instance offering 'small'", vec![new_vm()]),
            part("ChangeDiskOfferingState", disk_offering, "disk offering 'disk'", vec![new_volume()]),
            part(
                "ChangePrimaryStorageState",
                &site.primary_storage,
                "primary storage 'local'",
                vec![new_vm(), new_volume()],
            ),
            part("ChangeL3NetworkState", &site.l3_network, "L3 network 'guests'", vec![new_vm()]),
            part(
                "ChangeL3NetworkState",
                second_l3,
                "L3 network 'second guests'",
                vec![("AttachL3NetworkToVm", attach_l3)],
            ),
            part("ChangeVolumeState", &spare, "volume 'spare'", vec![("AttachDataVolumeToVm", attach_volume)]),
        ] {
            self.change(part.change, part.uuid, "disable");
            self.is_refused(&part);
            self.change(part.change, part.uuid, "enable");
            self.is_done(&part.uses);
        }
        let store =
            part("ChangeBackupStorageState", &site.image_store, "backup storage 'images'", vec![("AddImage", image)]);
        self.change(store.change, store.uuid, "disable");
        self.is_refused(&store);
        // What is in it is there for VMs.
        self.is_done(&[new_vm()]);
        self.change(store.change, store.uuid, "enable");
        let image = site.blank_image(client, lab);
        let copy = client.one("/images", &image)["backupStorageRefs"][0].clone();
        assert!(lab.host(1).has(&text(&copy, "installPath")));
        let path = text(&client.one("/volumes", &spare), "installPath");
        let (disks, interfaces) = self.devices();
        assert!(disks.contains(&path), "{disks}");
        assert_eq!(interfaces.lines().filter(|line| line.contains(':')).count(), 2, "{interfaces}");
        spare
    }

    fn is_refused(&self, part: &Part<'_>) {
        let Part { change, named, uses, .. } = part;
        let before = self.devices();
        for (operation, params) in uses {
            let refused = self.client.call(operation, params).unwrap_err();
            let says = |what: &str| refused.details.contains(what);
            assert!(says(named) && says("Disabled"), "{change}: {operation}: {refused:?}");
        }
        assert_eq!(self.devices(), before);
        for path in ["/vm-instances", "/volumes"] {
            assert_eq!(self.client.query(path, &["name=new"]).len(), 0, "{change}: what is refused leaves something");
        }
        let host = self.lab.host(1);
        assert_eq!(host.domain_state(&self.bystander).as_deref(), Some("running"), "{change}");
    }

    fn is_done(&self, uses: &[(&'static str, Value)]) {
        for (operation, params) in uses {
            let done = self.client.done(operation, params)["inventory"].clone();
            match *operation {
                "CreateVmInstance" => {
                    assert_eq!(self.runs_on(&text(&done, "uuid")).len(), 1);
                    self.remove(&text(&done, "uuid"));
                }
                "CreateDataVolume" => {
                    assert!(self.lab.host(1).has(&text(&done, "installPath")));
                    self.client.done("DeleteDataVolume", &json!({ "uuid": done["uuid"] }));
                    self.client.done("ExpungeDataVolume", &json!({ "uuid": done["uuid"] }));
                }
                _ => {}
            }
        }
    }

    /// Each of two hosts has one VM of the group; where a third would start is what the group is about.
    fn vms_start_where_their_groups_allow(&self) {
        let Self { client, site, bystander, .. } = self;
        let group = json!({ "name": "replicas", "policy": "antiHard", "type": "host" });
        let group = made(client, "CreateAffinityGroup", &group);
        let join = |vm: &str| client.call("AddVmToAffinityGroup", &json!({ "affinityGroupUuid": group, "uuid": vm }));
        let leave = json!({ "affinityGroupUuid": group, "uuid": bystander });
        let create = |name: &str| {
            let mut params = site.vm_params(name);
            params["systemTags"] = json!([format!("affinityGroupUuid::{group}")]);
            client.call("CreateVmInstance", &params).map(|reply| text(&reply["inventory"], "uuid"))
        };
        join(bystander).unwrap();
        let second = create("second").unwrap();
        assert_eq!(self.runs_on(&second), [2]);
        client.done("UpdateAffinityGroup", &json!({ "uuid": group, "name": "shards", "description": "apart" }));
        let refused = create("third").unwrap_err();
        assert!(refused.details.contains("its affinity group 'shards' (antiHard)"), "{refused:?}");

        client.done("RemoveVmFromAffinityGroup", &leave);
        let third = create("third").unwrap();
        assert_eq!(self.runs_on(&third), [1]);
        let refused = join(bystander).unwrap_err();
        assert!(refused.details.contains(&third), "{refused:?}");

        // Two are on one host as soon as nobody minds, and then that cannot be minded any more.
        self.change("ChangeAffinityGroupState", &group, "disable");
        join(bystander).unwrap();
        let enable = json!({ "uuid": group, "stateEvent": "enable" });
        let refused = client.call("ChangeAffinityGroupState", &enable).unwrap_err();
        assert!(refused.details.contains(&third) && refused.details.contains(bystander), "{refused:?}");
        client.done("StopVmInstance", &json!({ "uuid": third, "type": "cold" }));
        client.done("ChangeAffinityGroupState", &enable);
        let refused = client.call("StartVmInstance", &json!({ "uuid": third })).unwrap_err();
        assert!(refused.details.contains(bystander), "{refused:?}");
        assert!(self.runs_on(&third).is_empty());

        client.done("DeleteAffinityGroup", &json!({ "uuid": group }));
        client.done("StartVmInstance", &json!({ "uuid": third }));
        assert_eq!((self.runs_on(&third), self.runs_on(bystander)), (vec![1], vec![1]));
        self.remove(&second);
        self.remove(&third);
    }

    /// Answers by which path each is found.
    fn everything_is_renamed(&self, spare: &str) -> Vec<(&'static str, String)> {
        let site = self.site;
        let parts = [
            ("UpdateZone", "/zones", site.zone.as_str()),
            ("UpdateCluster", "/clusters", &site.cluster),
            ("UpdateL2Network", "/l2-networks", &site.l2_network),
            ("UpdateL3Network", "/l3-networks", &site.l3_network),
            ("UpdateImage", "/images", &site.image),
            ("UpdatePrimaryStorage", "/primary-storage", &site.primary_storage),
            ("UpdateBackupStorage", "/backup-storage", &site.image_store),
            ("UpdateDiskOffering", "/disk-offerings", &self.disk_offering),
            ("UpdateInstanceOffering", "/instance-offerings", &site.offering),
            ("UpdateVolume", "/volumes", spare),
            ("UpdateVmInstance", "/vm-instances", &self.bystander),
        ];
        for (update, _, uuid) in parts {
            let params = json!({ "uuid": uuid, "name": format!("by {update}"), "description": format!("of {uuid}") });
            let renamed = self.client.done(update, &params)["inventory"].clone();
            assert_eq!((&renamed["name"], &renamed["uuid"]), (&params["name"], &params["uuid"]));
        }
        parts.map(|(_, path, uuid)| (path, uuid.to_owned())).to_vec()
    }

    fn has_its_new_names(&self, renamed: &[(&'static str, String)]) {
        for (path, uuid) in renamed {
            let found = self.client.query(path, &["name~=by Update%", &format!("description=of {uuid}")]);
            assert!(found.len() == 1 && found[0]["uuid"] == *uuid, "{path}: {found:?}");
        }
    }

    fn a_host_that_is_maintained_is_empty(&self) {
        let Self { client, lab, site, bystander, .. } = self;
        let first = &site.hosts[0];
        let change = |event: &str| client.call("ChangeHostState", &json!({ "uuid": first, "stateEvent": event }));
        let start = || client.call("StartVmInstance", &json!({ "uuid": bystander }));
        change("disable").unwrap();
        let elsewhere = ["one", "two"].map(|name| made(client, "CreateVmInstance", &site.vm_params(name)));
        for vm in &elsewhere {
            assert_eq!(self.runs_on(vm), [2]);
        }
        let mut params = site.vm_params("there");
        params["hostUuid"] = json!(first);
        let refused = client.call("CreateVmInstance", &params).unwrap_err();
        let address = lab.host(1).address().to_string();
        assert!(refused.details.contains(&address) && refused.details.contains("it is Disabled"), "{refused:?}");
        assert_eq!(self.runs_on(bystander), [1]);

        let refused = change("maintain").unwrap_err();
        assert!(refused.details.contains(bystander), "{refused:?}");
        let maintain = json!({ "uuid": site.primary_storage, "stateEvent": "maintain" });
        let refused = client.call("ChangePrimaryStorageState", &maintain).unwrap_err();
        assert!(refused.details.contains("3 running VMs"), "{refused:?}");

        client.done("StopVmInstance", &json!({ "uuid": bystander, "type": "cold" }));
        assert_eq!(change("maintain").unwrap()["inventory"]["state"], "Maintenance");
        assert_eq!(lab.host(1).run("virsh list --name").trim(), "");
        assert!(start().unwrap_err().details.contains("it is Maintenance"));
        change("enable").unwrap();
        for vm in &elsewhere {
            self.remove(vm);
        }
        client.done("ChangePrimaryStorageState", &maintain);
        let refused = start().unwrap_err();
        assert!(refused.details.contains("which is in Maintenance"), "{refused:?}");
        self.change("ChangePrimaryStorageState", &site.primary_storage, "enable");
        start().unwrap();
        assert_eq!(self.runs_on(bystander), [1]);
    }

    /// Nor does it need what it has to be enabled.
    fn a_vm_outlives_its_offerings(&self, spare: &str) {
        let Self { client, lab, site, disk_offering, second_l3, bystander } = self;
        let pid = lab.host(1).qemu_pid(bystander);
        let size = || lab.host(1).run(&format!("virsh dominfo {bystander} | grep -e '^CPU(s)' -e '^Max memory'"));
        let before = (size(), self.devices().0);
        client.done("DeleteInstanceOffering", &json!({ "uuid": site.offering }));
        client.done("DeleteDiskOffering", &json!({ "uuid": disk_offering }));
        self.change("ChangeVolumeState", spare, "disable");
        self.change("ChangeL3NetworkState", second_l3, "disable");
        assert_eq!(client.call("CreateVmInstance", &site.vm_params("new")).unwrap_err().code, "SYS.1009");
        assert_eq!(client.call("CreateDataVolume", &self.volume("new")).unwrap_err().code, "SYS.1009");
        assert_eq!(lab.host(1).qemu_pid(bystander), pid);
        client.done("StopVmInstance", &json!({ "uuid": bystander, "type": "cold" }));
        client.done("StartVmInstance", &json!({ "uuid": bystander }));
        assert_eq!((size(), self.devices().0), before);
    }

    fn change(&self, operation: &str, uuid: &str, event: &str) {
        let changed = self.client.done(operation, &json!({ "uuid": uuid, "stateEvent": event }));
        assert_eq!(changed["inventory"]["state"], if event == "enable" { "Enabled" } else { "Disabled" });
    }

    /// What CreateDataVolume takes for a volume on the first host.
    fn volume(&self, name: &str) -> Value {
        json!({
            "name": name, "diskOfferingUuid": self.disk_offering, "primaryStorageUuid": self.site.primary_storage,
            "systemTags": [format!("localStorage::hostUuid::{}", self.site.hosts[0])],
        })
    }

    /// The disks and the interfaces of the VM that runs all the time.
    fn devices(&self) -> (String, String) {
        let list = |what: &str| self.lab.host(1).run(&format!("virsh {what} {}", self.bystander));
        (list("domblklist"), list("domiflist"))
    }

    /// The hosts, by their number in the lab, on which libvirt runs a VM.
    fn runs_on(&self, vm: &str) -> Vec<usize> {
        let runs = |host: LabHost<'_>| host.domain_state(vm).as_deref() == Some("running");
        (1..=2).filter(|number| runs(self.lab.host(*number))).collect()
    }

    fn remove(&self, vm: &str) {
        self.client.done("DestroyVmInstance", &json!({ "uuid": vm }));
        self.client.done("ExpungeVmInstance", &json!({ "uuid": vm }));
    }
}

/// Its id, its version and its settings.
fn what_the_node_says_of_itself(client: &Client) -> [Value; 3] {
    let ask = |operation: &str| client.done(operation, &json!({}));
    let ready = eventually("the node takes calls", ALWAYS, || client.call("IsReadyToGo", &json!({})).ok());
    let id = ready["managementNodeId"].clone();
    assert_eq!(ask("QueryManagementNode")["inventories"][0]["uuid"], id);
    let other = json!({ "managementNodeId": "00000000000000000000000000000000" });
    assert!(client.call("IsReadyToGo", &other).unwrap_err().details.contains(id.as_str().unwrap()));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(ask("GetCurrentTime")["currentTime"]["Seconds"].as_u64().unwrap().abs_diff(now) < 60);
    let settings = ask("QueryGlobalConfig")["inventories"].clone();
    let is_set = |setting: &Value| setting["name"] == "reservedMemory" && setting["value"] == "0";
    assert!(settings.as_array().unwrap().iter().any(is_set), "{settings}");
    [id, ask("GetVersion")["version"].clone(), settings]
}

fn made(client: &Client, operation: &str, params: &Value) -> String {
    text(&client.done(operation, params)["inventory"], "uuid")
}

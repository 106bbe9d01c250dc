//! Figures are those of the host, and lists of candidates offer what works: what they leave out is refused for the reason
//! they give.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use std::{
    collections::BTreeSet,
    io::{Read, Seek, SeekFrom, Write},
    net::TcpStream,
};

use gantry_tests::{
    ALWAYS, ApiError, Call, Client, GUEST_MEMORY_BYTES, IMAGE_STORE, ImageServer, Kind, Lab, LabHost, Management,
    PRIMARY_STORAGE, Site, eventually, serve_by_halves, text,
};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// What comes of an image before its server halts.
const HALF_BYTES: u64 = 8 * MIB;
/// A file system on which the second storage is not alone.
const SHARED: &str = "/srv/shared";
const SECOND_STORAGE: &str = "/srv/shared/storage";

#[test]
fn figures_are_the_hosts_and_candidates_work() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let host = lab.host(1);
    // File systems of their own, whose figures are known to the byte.
    for (directory, size) in [(PRIMARY_STORAGE, "1g"), (IMAGE_STORE, "512m"), (SHARED, "2g")] {
        host.run(&format!("mkdir -p {directory} && mount -t tmpfs -o size={size},mode=0755 own {directory}"));
    }
    let node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let site = Site { image: site.blank_image(&client, &lab), ..site };
    let shop = Shop { client: &client, lab: &lab, site: &site };

    shop.kinds_are_those_in_use();
    let vm = shop.processors_and_memory_are_the_hosts();
    shop.a_strange_vm_is_told_of_once();
    let taken = shop.storages_have_what_their_file_systems_have();
    shop.a_download_is_seen_to_come();
    shop.what_can_be_attached_is(&vm, &taken);
    shop.a_vm_can_what_its_capabilities_say(&vm);
    shop.an_image_tells_its_vms_of_the_guest_agent();
}

struct Shop<'a> {
    client: &'a Client,
    lab: &'a Lab,
    site: &'a Site,
}

impl Shop<'_> {
    fn host(&self) -> LabHost<'_> {
        self.lab.host(1)
    }

    fn kinds_are_those_in_use(&self) {
        let Self { client, site, .. } = self;
        for (list, key, path, uuid, field) in [
            ("GetHypervisorTypes", "hypervisorTypes", "/clusters", &site.cluster, "hypervisorType"),
            ("GetPrimaryStorageTypes", "types", "/primary-storage", &site.primary_storage, "type"),
            ("GetBackupStorageTypes", "types", "/backup-storage", &site.image_store, "type"),
            ("GetL2NetworkTypes", "types", "/l2-networks", &site.l2_network, "type"),
            ("GetL3NetworkTypes", "types", "/l3-networks", &site.l3_network, "type"),
        ] {
            assert_eq!(client.done(list, &json!({}))[key], json!([client.one(path, uuid)[field]]), "{list}");
        }
        let types = client.done("GetNetworkServiceTypes", &json!({}))["types"].clone();
        for provider in client.query("/network-services/providers", &[]) {
            assert_eq!(types[text(&provider, "name")], provider["networkServiceTypes"], "{types}");
        }
        // Each of the strategies can be asked for.
        let (size, disk) = (json!({ "cpuNum": 1, "memorySize": 64 * MIB }), json!({ "diskSize": 64 * MIB }));
        for (list, create, field, mut params) in [
            ("GetHostAllocatorStrategies", "CreateInstanceOffering", "allocatorStrategy", size),
            ("GetPrimaryStorageAllocatorStrategies", "CreateDiskOffering", "allocationStrategy", disk),
        ] {
            for strategy in client.done(list, &json!({}))["strategies"].as_array().unwrap() {
                (params["name"], params[field]) = (strategy.clone(), strategy.clone());
                assert_eq!(client.done(create, &params)["inventory"]["allocatorStrategy"], *strategy);
            }
        }
    }

    /// Answers a VM that runs.
    fn processors_and_memory_are_the_hosts(&self) -> String {
        let Self { client, site, .. } = self;
        let host = &site.hosts[0];
        let info = self.host().run("virsh nodeinfo");
        let (cpus, bytes) = (figure(&info, "CPU(s):"), figure(&info, "Memory size:") << 10);
        let empty = self.capacity();
        assert_eq!((figure_of(&empty, "managedCpuNum"), figure_of(&empty, "totalMemory")), (cpus, bytes));
        assert_eq!((&empty["availableCpu"], &empty["availableMemory"]), (&empty["totalCpu"], &empty["totalMemory"]));

        let vm = self.made("CreateVmInstance", &site.vm_params("settler"));
        let info = self.host().run(&format!("virsh dominfo {vm}"));
        let (cpus, vm_bytes) = (figure(&info, "CPU(s):"), figure(&info, "Max memory:") << 10);
        assert_eq!(vm_bytes, GUEST_MEMORY_BYTES);
        let left = |what: &str, taken: u64| figure_of(&empty, what) - taken;
        let with_vm = self.capacity();
        assert_eq!(figure_of(&with_vm, "availableCpu"), left("availableCpu", cpus));
        assert_eq!(figure_of(&with_vm, "availableMemory"), left("availableMemory", vm_bytes));

        client.done("CreateUserTag", &json!({ "resourceType": "VmInstanceVO", "resourceUuid": vm, "tag": "counted" }));
        assert_eq!(text(&client.query("/vm-instances", &["__userTag__=counted"])[0], "uuid"), vm);

        // What is kept in reserve for the host is not there for VMs.
        let tag = json!({ "resourceType": "HostVO", "resourceUuid": host, "tag": "reservedMemory::1G" });
        let tag = self.made("CreateSystemTag", &tag);
        assert_eq!(figure_of(&self.capacity(), "totalMemory"), left("totalMemory", GIB));
        let most = bytes - vm_bytes - GUEST_MEMORY_BYTES + 1;
        client.done("UpdateSystemTag", &json!({ "uuid": tag, "tag": format!("reservedMemory::{most}") }));
        let free = GUEST_MEMORY_BYTES - 1;
        assert_eq!(figure_of(&self.capacity(), "availableMemory"), free);
        let refused = client.call("CreateVmInstance", &site.vm_params("too large")).unwrap_err();
        assert!(refused.details.contains(&format!("{free} bytes of memory are left")), "{refused:?}");
        client.done("DeleteTag", &json!({ "uuid": tag }));
        assert_eq!(self.capacity(), with_vm);
        vm
    }

    fn a_strange_vm_is_told_of_once(&self) {
        let Self { client, site, .. } = self;
        let before = figure_of(&self.capacity(), "totalMemory");
        let come = || {
            let xml = "<domain type='qemu'><name>stranger</name><uuid>5f3a6b52-6f6c-4c9b-8d7e-2f1f5c3a9b10</uuid>\
                       <memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>";
            self.host().run(&format!("echo \"{xml}\" >/run/stranger.xml && virsh create /run/stranger.xml"));
        };
        let go = || self.host().run("virsh destroy stranger");
        let told = |status: &str| {
            let of_host = format!("resourceUuid={}", site.hosts[0]);
            let mut found = client.query("/notifications", &[&of_host, &format!("status={status}")]);
            found.retain(|told| text(told, "arguments").contains("stranger"));
            found.iter().map(|told| text(told, "uuid")).collect::<Vec<_>>()
        };
        let memory_is = |bytes: u64| {
            let look = || (figure_of(&self.capacity(), "totalMemory") == bytes).then_some(());
            eventually("the host has as much memory as it leaves", ALWAYS, look);
        };
        come();
        let first = eventually("the stranger is told of", ALWAYS, || told("Unread").pop());
        memory_is(before - 64 * MIB);
        client.done("UpdateNotificationsStatus", &json!({ "uuids": [first], "status": "Read" }));
        assert_eq!((told("Unread"), told("Read")), (vec![], vec![first.clone()]));
        go();
        memory_is(before);
        come();
        let again = eventually("it is told of again", ALWAYS, || told("Unread").pop());
        client.done("DeleteNotifications", &json!({ "uuids": [first, again] }));
        assert_eq!((told("Unread"), told("Read")), (vec![], vec![]));
        go();
    }

    /// Answers a data volume of another VM.
    fn storages_have_what_their_file_systems_have(&self) -> String {
        let Self { client, site, .. } = self;
        let second = json!({ "name": "second", "url": SECOND_STORAGE, "zoneUuid": site.zone });
        let second = self.made("AddLocalPrimaryStorage", &second);
        let attached = json!({ "clusterUuid": site.cluster, "primaryStorageUuid": second });
        client.done("AttachPrimaryStorageToCluster", &attached);
        let big = self.made("CreateDiskOffering", &json!({ "name": "big", "diskSize": GIB + GIB / 2 }));

        let before = self.storage_figures(&second);
        self.host().run(&format!("fallocate -l 1G {SHARED}/somebody-elses"));
        client.done("ReconnectPrimaryStorage", &json!({ "uuid": second }));
        let after = self.storage_figures(&second);
        for figure in ["totalCapacity", "availableCapacity", "availablePhysicalCapacity"] {
            assert_eq!(figure_of(&after, figure), figure_of(&before, figure) - GIB, "{figure}");
        }

        // None has room for the big volume, until that file is gone.
        let wanted = json!({
            "imageUuid": site.image, "l3NetworkUuids": [site.l3_network], "dataDiskOfferingUuids": [big],
        });
        let candidates = || {
            let found = client.done("GetCandidatePrimaryStoragesForCreatingVm", &wanted);
            let offered = found["dataVolumePrimaryStorages"][&big].as_array().unwrap().clone();
            (offered.iter().map(|one| text(one, "uuid")).collect::<Vec<_>>(), found["details"].clone())
        };
        let mut params = site.vm_params("neighbour");
        params["dataDiskOfferingUuids"] = json!([big]);
        let (offered, left_out) = candidates();
        assert_eq!(offered, [""; 0]);
        let refused = client.call("CreateVmInstance", &params).unwrap_err();
        let reason = text(&refused.cause["opaque"]["hosts"][0], "reason");
        let left = figure_of(&self.storage_figures(&site.primary_storage), "availableCapacity");
        assert!(reason.contains(&format!("primary storage 'local' has {left} bytes left there")), "{reason}");
        for storage in reason.split(", and ") {
            assert!(left_out.to_string().contains(storage), "{storage}: {left_out}");
        }
        self.host().run(&format!("rm {SHARED}/somebody-elses"));
        client.done("ReconnectPrimaryStorage", &json!({ "uuid": second }));
        assert_eq!(self.storage_figures(&second), before);
        assert_eq!(candidates().0, std::slice::from_ref(&second));
        let vm = client.done("CreateVmInstance", &params)["inventory"].clone();

        let everything = client.done("QueryLocalStorageResourceRef", &json!({}))["inventories"].clone();
        let mut data_volume = String::new();
        for volume in vm["allVolumes"].as_array().unwrap() {
            let path = text(volume, "installPath");
            let kept = everything.as_array().unwrap().iter().find(|kept| kept["resourceUuid"] == volume["uuid"]);
            let kept = kept.unwrap_or_else(|| panic!("{everything}"));
            assert_eq!((&kept["hostUuid"], &kept["size"]), (&json!(site.hosts[0]), &volume["size"]));
            assert_eq!(kept["primaryStorageUuid"], volume["primaryStorageUuid"]);
            let seen = self.host().run(&format!("qemu-img info -U --output json {path}"));
            let seen: Value = serde_json::from_str(&seen).unwrap();
            assert_eq!((&seen["virtual-size"], &seen["format"]), (&volume["size"], &volume["format"]));
            let formats = client.done("GetVolumeFormat", &json!({}))["formats"].clone();
            assert!(formats.as_array().unwrap().iter().any(|known| known["format"] == seen["format"]), "{formats}");
            if path.starts_with(SECOND_STORAGE) {
                data_volume = text(volume, "uuid");
            }
        }
        assert!(!data_volume.is_empty(), "{vm}");
        assert_eq!(client.done("QueryShareableVolumeVmInstanceRef", &json!({}))["inventories"], json!([]));
        data_volume
    }

    /// The figures of a storage on the host, which are those of its file system.
    fn storage_figures(&self, storage: &str) -> Value {
        let client = self.client;
        let asked = json!({ "primaryStorageUuid": storage, "hostUuid": self.site.hosts[0] });
        let mut found = client.done("GetLocalStorageHostDiskCapacity", &asked)["inventories"][0].clone();
        found.as_object_mut().unwrap().remove("hostUuid");
        assert_eq!(client.done("GetPrimaryStorageCapacity", &json!({ "primaryStorageUuids": [storage] })), found);
        let file_system = self.file_system(&text(&client.one("/primary-storage", storage), "url"));
        assert_eq!(found["totalPhysicalCapacity"], file_system.0);
        found
    }

    fn a_download_is_seen_to_come(&self) {
        let Self { client, site, lab, .. } = self;
        let (url, go_on) = serve_by_halves(&lab.address(1), HALF_BYTES);
        let mut params = Site::image_params(&site.image_store, &url);
        params["format"] = json!("raw");
        let job = Client::new_job();
        client.submit(&job, &Call::create("/images", &params));
        let progress = || client.done("GetTaskProgress", &json!({ "apiId": job }))["inventories"].clone();
        let seen = eventually("half of it has come", ALWAYS, || {
            let step = progress()[0].clone();
            (step["type"] == "Progress" && step["content"] == "50").then_some(step)
        });
        assert_eq!(seen["opaque"]["doneBytes"], HALF_BYTES);
        go_on.send(()).unwrap();
        let image = client.wait_for_job(&job).unwrap()["inventory"].clone();
        assert_eq!((&image["size"], progress()), (&json!(2 * HALF_BYTES), json!([])));
        let path = text(&image["backupStorageRefs"][0], "installPath");
        assert_eq!(self.host().run(&format!("stat -c %s {path}")).trim(), (2 * HALF_BYTES).to_string());
        client.done("ReconnectBackupStorage", &json!({ "uuid": site.image_store }));
        let (total, available) = self.file_system(IMAGE_STORE);
        let capacity = client.done("GetBackupStorageCapacity", &json!({ "backupStorageUuids": [site.image_store] }));
        assert_eq!(capacity, json!({ "totalCapacity": total, "availableCapacity": available }));
    }

    /// Each list has one that works and some that do not.
    fn what_can_be_attached_is(&self, vm: &str, taken: &str) {
        let Self { client, site, .. } = self;
        let of_vm = json!({ "vmInstanceUuid": vm });
        let attach = |operation: &'static str, parameter: &'static str| {
            move |uuid: &str| client.call(operation, &json!({ "vmInstanceUuid": vm, parameter: uuid }))
        };
        let disable = |operation: &str, uuid: &str| {
            client.done(operation, &json!({ "uuid": uuid, "stateEvent": "disable" }));
        };

        let small = self.made("CreateDiskOffering", &json!({ "name": "small", "diskSize": 64 * MIB }));
        let volume = |name: &str| self.made("CreateDataVolume", &json!({ "name": name, "diskOfferingUuid": small }));
        let (free, disabled) = (volume("free"), volume("disabled"));
        disable("ChangeVolumeState", &disabled);
        let list = client.done("GetVmAttachableDataVolume", &of_vm);
        is_as_said(&list, &[&free], &[&disabled, taken], attach("AttachDataVolumeToVm", "volumeUuid"));
        let path = text(&client.one("/volumes", &free), "installPath");
        assert!(self.host().run(&format!("virsh domblklist {vm}")).contains(&path));

        let (l2, second) = site.second_network(client);
        let l3 = |name: &str, l2: &str| self.made("CreateL3Network", &json!({ "name": name, "l2NetworkUuid": l2 }));
        let l2_elsewhere = json!({ "name": "elsewhere", "zoneUuid": site.zone, "physicalInterface": "eth9" });
        let l2_elsewhere = self.made("CreateL2NoVlanNetwork", &l2_elsewhere);
        let (elsewhere, without_range, disabled) = (l3("elsewhere", &l2_elsewhere), l3("empty", &l2), l3("off", &l2));
        disable("ChangeL3NetworkState", &disabled);
        let list = client.done("GetVmAttachableL3Network", &of_vm);
        let left_out = [elsewhere.as_str(), &without_range, &disabled, &site.l3_network];
        is_as_said(&list, &[&second], &left_out, attach("AttachL3NetworkToVm", "l3NetworkUuid"));
        let interfaces = self.host().run(&format!("virsh domiflist {vm}"));
        for nic in client.query("/vm-instances/nics", &[&format!("vmInstanceUuid={vm}")]) {
            assert!(interfaces.contains(&text(&nic, "mac")), "{interfaces}");
        }

        let (disc, disabled) = (self.disc(), self.disc());
        disable("ChangeImageState", &disabled);
        let list = client.done("GetCandidateIsoForAttachingVm", &of_vm);
        is_as_said(&list, &[&disc], &[&disabled], attach("AttachIsoToVmInstance", "isoUuid"));
        assert!(self.host().run(&format!("virsh domblklist {vm}")).contains(&disc));
    }

    fn a_vm_can_what_its_capabilities_say(&self, vm: &str) {
        let Self { client, .. } = self;
        let can = client.done("GetVmCapabilities", &json!({ "uuid": vm }))["capabilities"].clone();
        assert_eq!(can, json!({ "LiveMigration": false, "VolumeMigration": true, "Reimage": true }));
        let root = text(&client.one("/vm-instances", vm), "rootVolumeUuid");
        let can = client.done("GetVolumeCapabilities", &json!({ "uuid": root }))["capabilities"].clone();
        let both = json!({ "MigrationInCurrentPrimaryStorage": true, "MigrationToOtherPrimaryStorage": true });
        assert_eq!(can, both);

        // For viewers of their own VMs have a port only where the operator wants that.
        let console = || client.call("GetVmConsoleAddress", &json!({ "uuid": vm }));
        assert!(console().unwrap_err().details.contains("vnc.listen"));
        client.set("console", "vnc.listen", "managementIp");
        client.done("StopVmInstance", &json!({ "uuid": vm, "type": "cold" }));
        let old = text(&client.one("/volumes", &root), "installPath");
        client.done("ReimageVmInstance", &json!({ "vmInstanceUuid": vm }));
        let new = text(&client.one("/volumes", &root), "installPath");
        assert!(!self.host().has(&old) && self.host().has(&new));
        client.done("StartVmInstance", &json!({ "uuid": vm }));
        let address = console().unwrap();
        let port = u16::try_from(figure_of(&address, "port")).unwrap();
        let mut viewer = TcpStream::connect((text(&address, "hostIp"), port)).unwrap();
        let mut greeting = [0; 12];
        viewer.read_exact(&mut greeting).unwrap();
        assert!(greeting.starts_with(b"RFB 003."), "{greeting:?}");
    }

    /// Its channel is there for every guest; whether an agent is behind it, the VM's tag says.
    fn an_image_tells_its_vms_of_the_guest_agent(&self) {
        let Self { client, site, .. } = self;
        let has = || client.done("GetImageQga", &json!({ "uuid": site.image }))["enable"].clone();
        for enable in [true, false] {
            client.done("SetImageQga", &json!({ "uuid": site.image, "enable": enable }));
            assert_eq!(has(), json!(enable));
            let vm = self.made("CreateVmInstance", &site.vm_params("told"));
            let tags = client.query("/system-tags", &[&format!("resourceUuid={vm}"), "tag=qemuga"]);
            assert_eq!(tags.len(), usize::from(enable));
            let xml = self.host().run(&format!("virsh dumpxml {vm}"));
            assert!(xml.contains("org.qemu.guest_agent.0"), "{xml}");
            client.done("DestroyVmInstance", &json!({ "uuid": vm }));
        }
    }

    fn capacity(&self) -> Value {
        self.client.done("GetCpuMemoryCapacity", &json!({ "hostUuids": [self.site.hosts[0]] }))
    }

    /// The bytes that a file system of the host has, and those that are free.
    fn file_system(&self, directory: &str) -> (u64, u64) {
        let blocks = |field: &str| {
            let bytes = format!("echo $(( $(stat -f -c {field} {directory}) * $(stat -f -c %S {directory}) ))");
            self.host().run(&bytes).trim().parse().unwrap()
        };
        (blocks("%b"), blocks("%a"))
    }

    /// The ISO image of a disc with nothing on it.
    fn disc(&self) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.as_file_mut().set_len(MIB).unwrap();
        file.seek(SeekFrom::Start(32769)).unwrap();
        file.write_all(b"CD001").unwrap();
        let server = ImageServer::start(&self.lab.address(1), file.path());
        self.made("AddImage", &self.site.iso_params(server.url()))
    }

    fn made(&self, operation: &str, params: &Value) -> String {
        text(&self.client.done(operation, params)["inventory"], "uuid")
    }
}

/// A list offers what can be attached and leaves out what cannot be, with the reason that attaching gives.
fn is_as_said(list: &Value, offered: &[&str], left_out: &[&str], attach: impl Fn(&str) -> Result<Value, ApiError>) {
    let listed =
        |key: &str| -> BTreeSet<String> { list[key].as_array().unwrap().iter().map(|one| text(one, "uuid")).collect() };
    let expected = |uuids: &[&str]| -> BTreeSet<String> { uuids.iter().map(|uuid| (*uuid).to_owned()).collect() };
    assert_eq!((listed("inventories"), listed("details")), (expected(offered), expected(left_out)), "{list}");
    for one in list["details"].as_array().unwrap() {
        assert_eq!(attach(&text(one, "uuid")).unwrap_err().details, text(one, "reason"));
    }
    for uuid in offered {
        attach(uuid).unwrap();
    }
}

/// The number after a word of `virsh`.
fn figure(said: &str, word: &str) -> u64 {
    let line = said.lines().find_map(|line| line.strip_prefix(word));
    line.unwrap_or_else(|| panic!("{word} {said}")).split_whitespace().next().unwrap().parse().unwrap()
}

fn figure_of(found: &Value, name: &str) -> u64 {
    found[name].as_u64().unwrap_or_else(|| panic!("{name}: {found}"))
}

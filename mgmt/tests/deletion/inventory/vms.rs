//! VMs with their NICs and volumes.

use std::collections::BTreeSet;

use gantry_common::id::*;
use gantry_mgmt::{clock::Timestamp, failure::Failure, resource::*, store::Tx};

use super::{
    super::double::Thing,
    Built, GIB, Place, VmShape,
    networks::Nets,
    pick,
    storage::{NewVolume, put_volume},
    text,
};

/// Where a VM is, and what it is made of.
pub struct Setting<'a> {
    pub at: Place,
    pub storage: PrimaryStorageUuid,
    pub image: ImageUuid,
    pub offering: InstanceOfferingUuid,
    pub nets: &'a Nets,
    pub now: Timestamp,
}

pub fn put(tx: &Tx<'_>, built: &mut Built, draft: &VmShape, setting: &Setting<'_>) -> Result<(), Failure> {
    let Place { machine, host, cluster, zone, away } = setting.at;
    let uuid: VmUuid = built.id();
    let state = match draft.state {
        0 => VmInstanceState::Stopped,
        1 => VmInstanceState::Destroyed,
        _ if away => VmInstanceState::Unknown,
        _ => VmInstanceState::Running,
    };
    let runs = draft.state > 1;
    let root: VolumeUuid = built.id();
    let mut vm = VmInstance {
        uuid,
        name: text("vm"),
        description: None,
        zone_uuid: Some(zone),
        cluster_uuid: Some(cluster),
        image_uuid: setting.image,
        host_uuid: runs.then_some(host),
        last_host_uuid: (!runs).then_some(host),
        instance_offering_uuid: setting.offering,
        root_volume_uuid: Some(root),
        platform: GuestPlatform::Linux,
        default_l3_network_uuid: None,
        kind: text("UserVm"),
        hypervisor_type: text("KVM"),
        memory_size: 1 << 20,
        cpu_num: 1,
        cpu_speed: 0,
        allocator_strategy: text("LeastVmPreferredHostAllocatorStrategy"),
        create_date: setting.now,
        last_op_date: setting.now,
        state,
    };
    tx.insert(&vm)?;
    if runs {
        assert!(tx.allocate_host(host, uuid, 1, 1 << 20)?);
        built.things[machine].insert(Thing::Domain(uuid));
    }
    let (reachable, mut taken) = (setting.nets.reachable_from(cluster), BTreeSet::new());
    for (device_id, wanted) in (0_u32..).zip(&draft.nics) {
        let Some(l3) = pick(&reachable, *wanted).filter(|l3| taken.insert(*l3)) else { continue };
        let Some(used) = tx.take_address(l3, None, "a VM")? else { continue };
        vm.default_l3_network_uuid.get_or_insert(l3);
        let nic: NicUuid = built.id();
        tx.insert(&VmNic {
            uuid: nic,
            vm_instance_uuid: uuid,
            l3_network_uuid: l3,
            ip: used.ip,
            mac: format!("fa:00:00:00:{:02x}:{:02x}", built.ids >> 8 & 0xff, built.ids & 0xff).parse().unwrap(),
            netmask: used.netmask,
            gateway: used.gateway,
            meta_data: None,
            device_id,
            internal_name: format!("vnic{}", &nic.to_string()[21..]),
            used_ip_uuid: used.uuid,
            create_date: setting.now,
            last_op_date: setting.now,
        })?;
        if runs {
            built.things[machine].insert(Thing::Interface(uuid, nic));
        }
    }
    tx.save(&vm)?;
    let Setting { at, storage, now, .. } = *setting;
    put_volume(tx, built, NewVolume { uuid: root, storage, at, vm: Some((uuid, 0)), now })?;
    for device_id in 1..=draft.data as u32 {
        let data = built.id();
        put_volume(tx, built, NewVolume { uuid: data, storage, at, vm: Some((uuid, device_id)), now })?;
    }
    let cached = format!("/cache/{}/{}", setting.storage, setting.image);
    tx.note_cached(setting.image, setting.storage, host, &cached, GIB)?;
    built.things[machine].insert(Thing::File(cached));
    Ok(())
}

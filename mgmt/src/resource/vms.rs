//! VM instances, their interfaces and volumes.

use std::net::Ipv4Addr;

use gantry_common::{
    id::{
        ClusterUuid, DiskOfferingUuid, HostUuid, ImageUuid, InstanceOfferingUuid, L3NetworkUuid, NicUuid,
        PrimaryStorageUuid, ShareableVolumeRefUuid, UsedIpUuid, VmUuid, VolumeUuid, ZoneUuid,
    },
    net::MacAddress,
};

use super::{AdminState, Declaration, GuestPlatform, MediaStatus, Shown, VmInstanceState, VolumeType};
use crate::{clock::Timestamp, resource};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] =
    &[VmInstance::declaration, VmNic::declaration, Volume::declaration, ShareableVolumeVmInstanceRef::declaration];

resource! {
    /// A virtual machine.
    VmInstance, table "vm_instance", class "org.zstack.header.vm.VmInstanceInventory", owned {
        /// Its id.
        uuid: VmUuid,
        /// Its name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// Its zone.
        zone_uuid: Option<ZoneUuid>,
        /// Its cluster.
        cluster_uuid: Option<ClusterUuid>,
        /// The image it was made from.
        image_uuid: ImageUuid,
        /// The host it runs on.
        host_uuid: Option<HostUuid>,
        /// The host it last ran on.
        last_host_uuid: Option<HostUuid>,
        /// The offering it was made from.
        instance_offering_uuid: InstanceOfferingUuid,
        /// Its root volume.
        root_volume_uuid: Option<VolumeUuid>,
        /// The family of its guest system.
        platform: GuestPlatform,
        /// The L3 network of its default route.
        default_l3_network_uuid: Option<L3NetworkUuid>,
        /// `UserVm`.
        kind as "type": String,
        /// `KVM`.
        hypervisor_type: String,
        /// Memory in bytes.
        memory_size: u64,
        /// Virtual processors.
        cpu_num: u32,
        /// Always 0, kept for clients.
        cpu_speed: u64,
        /// How a host is chosen.
        allocator_strategy: String,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
        /// Its state.
        state: VmInstanceState,
    }
    relations {
        "zone" => Zone(zone_uuid = uuid);
        "cluster" => Cluster(cluster_uuid = uuid);
        "host" => Host(host_uuid = uuid);
        "image" => Image(image_uuid = uuid);
        "instanceOffering" => InstanceOffering(instance_offering_uuid = uuid);
        "rootVolume" => Volume(root_volume_uuid = uuid);
        "affinityGroup" => AffinityGroup(uuid via affinity_group_usage(resource_uuid, affinity_group_uuid) = uuid);
        "defaultL3Network" => L3Network(default_l3_network_uuid = uuid);
        "vmNics" => VmNic(uuid = vm_instance_uuid) shown Shown::Inventories { order: "device_id" };
        "allVolumes" => Volume(uuid = vm_instance_uuid) shown Shown::Inventories { order: "device_id" };
    }
}

resource! {
    /// A VM instance's network interface.
    VmNic, table "vm_nic", class "org.zstack.header.vm.VmNicInventory", owned "vm_instance_uuid" {
        /// Its id.
        uuid: NicUuid,
        /// Its VM.
        vm_instance_uuid: VmUuid,
        /// Its L3 network.
        l3_network_uuid: L3NetworkUuid,
        /// Its IP address.
        ip: Ipv4Addr,
        /// Its Ethernet address.
        mac: MacAddress,
        /// The subnet's mask.
        netmask: Ipv4Addr,
        /// The subnet's gateway.
        gateway: Ipv4Addr,
        /// Free text, kept for clients.
        meta_data: Option<String>,
        /// Its number in the VM.
        device_id: u32,
        /// The tap device's name on the host.
        internal_name: String,
        /// The address it takes.
        used_ip_uuid: UsedIpUuid,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "vmInstance" => VmInstance(vm_instance_uuid = uuid);
        "l3Network" => L3Network(l3_network_uuid = uuid);
        "usedIp" => UsedIp(used_ip_uuid = uuid);
    }
}

resource! {
    /// A volume.
    Volume, table "volume", class "org.zstack.header.volume.VolumeInventory", owned "vm_instance_uuid" {
        /// Its id.
        uuid: VolumeUuid,
        /// Its name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// Where it is kept.
        primary_storage_uuid: Option<PrimaryStorageUuid>,
        /// The VM it is attached to.
        vm_instance_uuid: Option<VmUuid>,
        /// The offering it was made from.
        disk_offering_uuid: Option<DiskOfferingUuid>,
        /// The image it was made from.
        root_image_uuid: Option<ImageUuid>,
        /// The file.
        install_path: Option<String>,
        /// What it is to its VM.
        kind as "type": VolumeType,
        /// `qcow2` or `raw`.
        format: String,
        /// Bytes the guest sees.
        size: u64,
        /// Bytes of the file.
        actual_size: Option<u64>,
        /// Its number in the VM.
        device_id: Option<u32>,
        /// Whether it may be attached.
        state: AdminState,
        /// Where it is in its life.
        status: MediaStatus,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
        /// Whether several VMs may attach it.
        is_shareable: bool,
    }
    hidden {
        /// The host whose local storage holds it.
        host_uuid: Option<HostUuid>,
    }
    relations {
        "vmInstance" => VmInstance(vm_instance_uuid = uuid);
        "primaryStorage" => PrimaryStorage(primary_storage_uuid = uuid);
        "diskOffering" => DiskOffering(disk_offering_uuid = uuid);
        "image" => Image(root_image_uuid = uuid);
    }
}

resource! {
    /// A shareable volume is attached to a VM instance.
    ShareableVolumeVmInstanceRef, table "shareable_volume_vm_instance_ref",
        class "org.zstack.mevoco.ShareableVolumeVmInstanceRefInventory", with "vmInstance" {
        /// Its id.
        uuid: ShareableVolumeRefUuid,
        /// The volume.
        volume_uuid: VolumeUuid,
        /// The VM.
        vm_instance_uuid: VmUuid,
        /// The volume's number in the VM.
        device_id: u32,
        /// When it was attached.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "volume" => Volume(volume_uuid = uuid);
        "vmInstance" => VmInstance(vm_instance_uuid = uuid);
    }
}

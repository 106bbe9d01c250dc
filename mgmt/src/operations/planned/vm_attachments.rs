//! 3.1: what VM instances are attached to.

use std::net::Ipv4Addr;

use uuid::Uuid;

use crate::planned;

planned! {
    /// Lists the ISO images that can be attached to a VM instance.
    GetCandidateIsoForAttachingVm, "3.1.16", Get "/vm-instances/{vmInstanceUuid}/iso-candidates", Sync -> [Image]; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
    }

    /// Lists the VM instances that an ISO image can be attached to.
    GetCandidateVmForAttachingIso, "3.1.17", Get "/images/iso/{isoUuid}/vm-candidates", Sync -> [VmInstance]; {
        /// The ISO image.
        iso_uuid: Uuid;
    }

    /// Puts an ISO image into the drive of a VM instance.
    AttachIsoToVmInstance, "3.1.18", Post "/vm-instances/{vmInstanceUuid}/iso/{isoUuid}", Job -> VmInstance; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
        /// The ISO image.
        iso_uuid: Uuid;
    }

    /// Takes the ISO image out of the drive of a VM instance.
    DetachIsoFromVmInstance, "3.1.19", Delete "/vm-instances/{vmInstanceUuid}/iso", Job -> VmInstance; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
        /// The ISO image.
        iso_uuid: Option<Uuid>;
    }

    /// Lists the L3 networks that a VM instance can be attached to.
    GetVmAttachableL3Network, "3.1.21",
        Get "/vm-instances/{vmInstanceUuid}/l3-networks-candidates", Sync -> [L3Network]; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
    }

    /// Gives a VM instance a network interface on an L3 network.
    AttachL3NetworkToVm, "3.1.22",
        Post "/vm-instances/{vmInstanceUuid}/l3-networks/{l3NetworkUuid}", Job -> VmInstance; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
        /// The L3 network.
        l3_network_uuid: Uuid;
        /// The IP address.
        static_ip: Option<Ipv4Addr>;
    }

    /// Removes a network interface from a VM instance.
    DetachL3NetworkFromVm, "3.1.23", Delete "/vm-instances/nics/{vmNicUuid}", Job -> VmInstance; {
        /// The VM network interface.
        vm_nic_uuid: Uuid;
    }

    /// Lists the L3 networks that go with an image, or the images that go with L3 networks.
    GetInterdependentL3NetworksImages, "3.1.28",
        Get "/images-l3networks/dependencies", Sync -> { inventories: [Json] }; {
        /// The zone.
        zone_uuid: Uuid;
        /// The L3 networks.
        l3_network_uuids: Option<Vec<Uuid>>, nonempty true;
        /// The image.
        image_uuid: Option<Uuid>;
    }
}

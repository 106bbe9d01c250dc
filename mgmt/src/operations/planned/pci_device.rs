//! 4.3.11: PCI devices.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Queries PCI devices.
    QueryPciDevice, "4.3.11.1",
        Get "/pci-device/pci-devices" | "/pci-device/pci-devices/{uuid}", Sync -> [PciDevice]; {}

    /// Updates a PCI device.
    UpdatePciDevice, "4.3.11.2", Put "/pci-device/pci-devices/{uuid}/actions", Job -> PciDevice; {
        /// The PCI device.
        uuid: Uuid;
        /// The state.
        state: Option<String>, values &["Enabled", "Disabled"];
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The metadata.
        meta_data: Option<String>, max_length 2048;
    }

    /// Deletes a PCI device.
    DeletePciDevice, "4.3.11.3", Delete "/pci-device/pci-devices/{uuid}", Job; {
        /// The PCI device.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Lists the PCI devices that can be attached to a VM instance.
    GetPciDeviceCandidatesForAttachingVm, "4.3.11.4",
        Get "/vm-instances/{vmInstanceUuid}/candidate-pci-devices",
        Sync -> { success: bool, inventories: [PciDevice] }; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
        /// The types of devices.
        types: Option<Vec<String>>;
    }

    /// Lists the PCI devices that a new VM instance can have.
    GetPciDeviceCandidatesForNewCreateVm, "4.3.11.5",
        Get "/pci-device/candidate-pci-devices-for-new-create-vm",
        Sync -> { success: bool, inventories: [PciDevice] }; {
        /// The host.
        host_uuid: Option<Uuid>;
        /// The clusters.
        cluster_uuids: Option<Vec<Uuid>>;
        /// The types of devices.
        types: Option<Vec<String>>;
    }

    /// Attaches a PCI device to a VM instance.
    AttachPciDeviceToVm, "4.3.11.6", Post "/pci-device/pci-devices/{pciDeviceUuid}/attach", Job -> PciDevice; {
        /// The PCI device.
        pci_device_uuid: Uuid;
        /// The VM instance.
        vm_instance_uuid: Uuid;
    }

    /// Detaches a PCI device from a VM instance.
    DetachPciDeviceFromVm, "4.3.11.7", Post "/pci-device/pci-devices/{pciDeviceUuid}/detach", Job -> PciDevice; {
        /// The PCI device.
        pci_device_uuid: Uuid;
        /// The VM instance.
        vm_instance_uuid: Uuid;
    }

    /// Creates a PCI device offering.
    CreatePciDeviceOffering, "4.3.11.8", Post "/pci-device/pci-device-offerings", Job -> PciDeviceOffering; {
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The vendor, as on the PCI bus.
        vendor_id: String, max_length 4;
        /// The device, as on the PCI bus.
        device_id: String, max_length 4;
        /// The vendor of the subsystem.
        subvendor_id: Option<String>, max_length 4;
        /// The device of the subsystem.
        subdevice_id: Option<String>, max_length 4;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
        /// Its type.
        kind as "type": Option<String>;
    }

    /// Deletes a PCI device offering.
    DeletePciDeviceOffering, "4.3.11.9", Delete "/pci-device/pci-device-offerings/{uuid}", Job; {
        /// The PCI device offering.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries PCI device offerings.
    QueryPciDeviceOffering, "4.3.11.10",
        Get "/pci-device/pci-device-offerings" | "/pci-device/pci-device-offerings/{uuid}",
        Sync -> [PciDeviceOffering]; {}

    /// Queries which PCI devices match which PCI device offerings.
    QueryPciDevicePciDeviceOffering, "4.3.11.11",
        Get "/pci-devices/pci-devices/pci-device-offerings", Sync -> [PciDevice]; {}

    /// Reads whether the IOMMU of a host is at work.
    GetHostIommuStatus, "4.3.11.12",
        Get "/pci-device/hosts/{uuid}/status" | "/pci-device/hosts/status/{uuid}",
        Sync -> { success: bool, status: String }; {
        /// The host.
        uuid: Uuid;
    }

    /// Enables or disables the IOMMU of a host.
    UpdateHostIommuState, "4.3.11.13", Put "/pci-device/hosts/{uuid}/actions", Job; {
        /// The host.
        uuid: Uuid;
        /// Enabled or disabled.
        state: String, values &["Enabled", "Disabled"];
    }

    /// Reads whether the IOMMU of a host is enabled.
    GetHostIommuState, "4.3.11.14",
        Get "/pci-device/hosts/{uuid}/state" | "/pci-device/hosts/state/{uuid}",
        Sync -> { success: bool, state: String }; {
        /// The host.
        uuid: Uuid;
    }
}

inventories! {
    /// A PCI device.
    PciDevice {
        uuid: Uuid, description: String, hostUuid: Uuid, vmInstanceUuid: Uuid, vendorId: String, deviceId: String,
        subvendorId: String, subdeviceId: String, pciDeviceAddress: String, createDate: Timestamp,
        lastOpDate: Timestamp, status: String, state: String, type: String, metaData: PciDeviceMetaData,
        matchedPciDeviceOfferingRef: [PciDevicePciDeviceOfferingRef],
    }

    /// The metadata of a PCI device.
    PciDeviceMetaData {
        metaData: String, metaDataEntries: [PciDeviceMetaDataEntry],
    }

    /// One entry of the metadata of a PCI device.
    PciDeviceMetaDataEntry {
        key: String, value: String, op: String,
    }

    /// A PCI device matches a PCI device offering.
    PciDevicePciDeviceOfferingRef {
        pciDeviceUuid: Uuid, pciDeviceOfferingUuid: Uuid,
    }

    /// A PCI device offering.
    PciDeviceOffering {
        uuid: Uuid, name: String, description: String, vendorId: String, deviceId: String, subvendorId: String,
        subdeviceId: String, createDate: Timestamp, lastOpDate: Timestamp, type: String,
        attachedInstanceOfferings: [InstanceOfferingPciDeviceOfferingRef],
        matchedPciDevices: [PciDevicePciDeviceOfferingRef],
    }

    /// An instance offering has PCI devices of a PCI device offering.
    InstanceOfferingPciDeviceOfferingRef {
        id: i64, instanceOfferingUuid: Uuid, pciDeviceOfferingUuid: Uuid, pciDeviceCount: i64,
        metadata: PciDeviceMetaData,
    }
}

//! 4.3.12 and 4.3.13: USB redirection and USB devices.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Reads whether a VM instance takes USB devices of its user's machine.
    GetVmUsbRedirect, "4.3.12.1", Get "/vm-instances/{uuid}/usbredirect", Sync -> { enable: bool }; {
        /// The VM instance.
        uuid: Uuid;
    }

    /// Sets whether a VM instance takes USB devices of its user's machine.
    SetVmUsbRedirect, "4.3.12.2", Put "/vm-instances/{uuid}/actions", Job; {
        /// The VM instance.
        uuid: Uuid;
        /// Whether it is enabled.
        enable: bool;
    }

    /// Attaches a USB device to a VM instance.
    AttachUsbDeviceToVm, "4.3.13.1", Post "/usb-device/usb-devices/{usbDeviceUuid}/attach", Job -> UsbDevice; {
        /// The USB device.
        usb_device_uuid: Uuid;
        /// The VM instance.
        vm_instance_uuid: Uuid;
    }

    /// Detaches a USB device from its VM instance.
    DetachUsbDeviceFromVm, "4.3.13.2", Post "/usb-device/usb-devices/{usbDeviceUuid}/detach", Job -> UsbDevice; {
        /// The USB device.
        usb_device_uuid: Uuid;
    }

    /// Lists the USB devices that can be attached to a VM instance.
    GetUsbDeviceCandidatesForAttachingVm, "4.3.13.3",
        Get "/vm-instances/{vmInstanceUuid}/candidate-usb-devices",
        Sync -> { success: bool, inventories: [UsbDevice] }; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
    }

    /// Queries USB devices.
    QueryUsbDevice, "4.3.13.4",
        Get "/usb-device/usb-devices" | "/usb-device/usb-devices/{uuid}", Sync -> [UsbDevice]; {}

    /// Updates a USB device.
    UpdateUsbDevice, "4.3.13.5", Put "/usb-device/usb-devices/{uuid}/actions", Job -> UsbDevice; {
        /// The USB device.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 2048;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The state.
        state: Option<String>, values &["Enabled", "Disabled"];
    }
}

inventories! {
    /// A USB device.
    UsbDevice {
        uuid: Uuid, name: String, description: String, hostUuid: Uuid, vmInstanceUuid: Uuid, busNum: String,
        devNum: String, idVendor: String, idProduct: String, iManufacturer: String, iProduct: String, iSerial: String,
        usbVersion: String, createDate: Timestamp, lastOpDate: Timestamp, state: String,
    }
}

//! 3.1: settings of VM instances.

use uuid::Uuid;

use crate::{planned, secret::Secret};

planned! {
    /// Limits the bandwidth of a VM network interface.
    SetNicQoS, "3.1.25", Put "/vm-instances/{uuid}/actions", Job, body_keys &["setNicQos", "params"]; {
        /// The VM instance.
        uuid: Uuid;
        /// Bandwidth from it, in bits per second.
        outbound_bandwidth: Option<i64>, range 8192..=i64::MAX;
        /// Bandwidth to it, in bits per second.
        inbound_bandwidth: Option<i64>, range 8192..=i64::MAX;
    }

    /// Reads the bandwidth limits of a VM network interface.
    GetNicQoS, "3.1.26",
        Get "/vm-instances/{uuid}/nic-qos" | "/vm-instances/{uuid}/QoS",
        Sync -> { outboundBandwidth: i64, inboundBandwidth: i64, success: bool }; {
        /// The VM instance.
        uuid: Uuid;
    }

    /// Lifts a bandwidth limit of a VM network interface.
    DeleteNicQoS, "3.1.27", Delete "/vm-instances/{uuid}/nic-qos", Job; {
        /// The VM instance.
        uuid: Uuid;
        /// Which limit: of traffic in or out.
        direction: String, values &["in", "out"];
    }

    /// Sets the SSH key that a VM instance is given when it boots.
    SetVmSshKey, "3.1.29", Put "/vm-instances/{uuid}/actions", Job -> VmInstance; {
        /// The VM instance.
        uuid: Uuid;
        /// The public SSH key.
        ssh_key as "SshKey": String;
    }

    /// Reads the SSH key of a VM instance.
    GetVmSshKey, "3.1.30", Get "/vm-instances/{uuid}/ssh-keys", Sync -> { sshKey: String }; {
        /// The VM instance.
        uuid: Uuid;
    }

    /// Deletes the SSH key of a VM instance.
    DeleteVmSshKey, "3.1.31", Delete "/vm-instances/{uuid}/ssh-keys", Job; {
        /// The VM instance.
        uuid: Uuid;
    }

    /// Changes the password of an account in the guest of a VM instance.
    ChangeVmPassword, "3.1.32", Put "/vm-instances/{uuid}/actions", Job; {
        /// The VM instance.
        uuid: Uuid;
        /// The new password.
        password: Secret, visible_ascii true, nonempty true, max_length 32;
        /// The account in the guest.
        account: String, nonempty true;
    }

    /// Sets the password of the console of a VM instance.
    SetVmConsolePassword, "3.1.33", Put "/vm-instances/{uuid}/actions", Job -> VmInstance; {
        /// The VM instance.
        uuid: Uuid;
        /// The password.
        console_password: Secret;
    }

    /// Reads the password of the console of a VM instance.
    GetVmConsolePassword, "3.1.34", Get "/vm-instances/{uuid}/console-passwords", Sync -> { password: String }; {
        /// The VM instance.
        uuid: Uuid;
    }

    /// Deletes the password of the console of a VM instance.
    DeleteVmConsolePassword, "3.1.35", Delete "/vm-instances/{uuid}/console-password", Job; {
        /// The VM instance.
        uuid: Uuid;
    }

    /// Sets the host name of a VM instance.
    SetVmHostname, "3.1.37", Put "/vm-instances/{uuid}/actions", Job; {
        /// The VM instance.
        uuid: Uuid;
        /// The host name or address.
        hostname: String;
    }

    /// Reads the host name of a VM instance.
    GetVmHostname, "3.1.38", Get "/vm-instances/{uuid}/hostnames", Sync -> { hostname: String }; {
        /// The VM instance.
        uuid: Uuid;
    }

    /// Deletes the host name of a VM instance.
    DeleteVmHostname, "3.1.39", Delete "/vm-instances/{uuid}/hostnames", Job; {
        /// The VM instance.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Reads the boot order of a VM instance.
    GetVmBootOrder, "3.1.43", Get "/vm-instances/{uuid}/boot-orders", Sync -> { orders: [String] }; {
        /// The VM instance.
        uuid: Uuid;
    }

    /// Sets the boot order of a VM instance.
    SetVmBootOrder, "3.1.44", Put "/vm-instances/{uuid}/actions", Job -> VmInstance; {
        /// The VM instance.
        uuid: Uuid;
        /// The devices, the first one first; the default order where it is left out: HardDisk, CdRom.
        boot_order: Option<Vec<String>>;
    }

    /// Sets the high availability level of a VM instance.
    SetVmInstanceHaLevel, "3.1.52", Post "/vm-instances/{uuid}/ha-levels", Job; {
        /// The VM instance.
        uuid: Uuid;
        /// The level.
        level: String, values &["NeverStop", "OnHostFailure"];
    }

    /// Reads the high availability level of a VM instance.
    GetVmInstanceHaLevel, "3.1.53", Get "/vm-instances/{uuid}/ha-levels", Sync -> { level: String, success: bool }; {
        /// The VM instance.
        uuid: Uuid;
    }

    /// Takes high availability from a VM instance.
    DeleteVmInstanceHaLevel, "3.1.54", Delete "/vm-instances/{uuid}/ha-levels" | "/instances/{uuid}/ha-levels", Job; {
        /// The VM instance.
        uuid: Uuid;
    }

    /// Reads whether the QEMU guest agent of a VM instance is used.
    GetVmQga, "3.1.55", Get "/vm-instances/{uuid}/qga", Sync -> { uuid: Uuid, enable: bool }; {
        /// The VM instance.
        uuid: Uuid;
    }

    /// Sets whether the QEMU guest agent of a VM instance is used.
    SetVmQga, "3.1.56", Put "/vm-instances/{uuid}/actions", Job, body_keys &["setVmQga", "params"]; {
        /// The VM instance.
        uuid: Uuid;
        /// Whether it is enabled.
        enable: bool;
    }

    /// Reads whether the console of a VM instance is reached over RDP.
    GetVmRDP, "3.1.57", Get "/vm-instances/{uuid}/rdp", Sync -> { enable: bool }; {
        /// The VM instance.
        uuid: Uuid;
    }

    /// Sets whether the console of a VM instance is reached over RDP.
    SetVmRDP, "3.1.58", Put "/vm-instances/{uuid}/actions", Job; {
        /// The VM instance.
        uuid: Uuid;
        /// Whether it is enabled.
        enable: bool;
    }

    /// Reads how many monitors a VM instance has.
    GetVmMonitorNumber, "3.1.59", Get "/vm-instances/{uuid}/monitorNumber", Sync -> { monitorNumber: i64 }; {
        /// The VM instance.
        uuid: Uuid;
    }

    /// Sets how many monitors a VM instance has.
    SetVmMonitorNumber, "3.1.60", Put "/vm-instances/{uuid}/actions", Job; {
        /// The VM instance.
        uuid: Uuid;
        /// How many monitors.
        monitor_number: i32;
    }

    /// Changes the Ethernet address of a VM network interface.
    UpdateVmNicMac, "3.1.63", Put "/vm-instances/nics/{vmNicUuid}/actions", Job -> VmNic; {
        /// The VM network interface.
        vm_nic_uuid: Uuid;
        /// The Ethernet address.
        mac: String;
    }
}

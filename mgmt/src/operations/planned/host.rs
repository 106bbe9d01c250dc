//! 4.3 and 11.5: hosts.

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
    /// Updates a host.
    UpdateHost, "4.3.3", Put "/hosts/{uuid}/actions", Job -> Host; {
        /// The host.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The address of its management interface.
        management_ip: Option<String>, max_length 255, nonempty true;
    }

    /// Updates a KVM host.
    UpdateKVMHost, "4.3.8", Put "/hosts/kvm/{uuid}/actions", Job -> Host; {
        /// The user.
        username: Option<String>, max_length 255, nonempty true;
        /// The password.
        password: Option<Secret>, max_length 255;
        /// The SSH port.
        ssh_port: Option<i32>, range 1..=65_535;
        /// The host.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The address of its management interface.
        management_ip: Option<String>, max_length 255, nonempty true;
    }

    /// Runs a shell script on hosts.
    KvmRunShell, "4.3.10", Put "/hosts/kvm/actions", Job -> { inventory: (KvmRunShellResult) }; {
        /// The hosts.
        host_uuids: Vec<Uuid>, nonempty true;
        /// The script.
        script: String;
    }
}

inventories! {
    /// What a script came to on one host.
    KvmRunShellResult {
        returnCode: i64, stdout: String, stderr: String, errorCode: Json,
    }
}

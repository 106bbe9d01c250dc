//! 6.1.9: port forwarding.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Creates a port forwarding rule.
    CreatePortForwardingRule, "6.1.9.1", Post "/port-forwarding", Job -> PortForwardingRule; {
        /// The virtual IP.
        vip_uuid: Uuid;
        /// The first port of the virtual IP.
        vip_port_start: i32, range 1..=65_535;
        /// The last port of the virtual IP.
        vip_port_end: Option<i32>, range 1..=65_535;
        /// The first port of the VM instance.
        private_port_start: Option<i32>, range 1..=65_535;
        /// The last port of the VM instance.
        private_port_end: Option<i32>, range 1..=65_535;
        /// The protocol.
        protocol_type: String, values &["TCP", "UDP"];
        /// The VM network interface.
        vm_nic_uuid: Option<Uuid>;
        /// The network that may use it, in CIDR notation.
        allowed_cidr: Option<String>;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a port forwarding rule.
    DeletePortForwardingRule, "6.1.9.2", Delete "/port-forwarding/{uuid}", Job; {
        /// The port forwarding rule.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries port forwarding rules.
    QueryPortForwardingRule, "6.1.9.3",
        Get "/port-forwarding" | "/port-forwarding/{uuid}", Sync -> [PortForwardingRule]; {}

    /// Updates a port forwarding rule.
    UpdatePortForwardingRule, "6.1.9.4", Put "/port-forwarding/{uuid}/actions", Job -> PortForwardingRule; {
        /// The port forwarding rule.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Enables or disables a port forwarding rule.
    ChangePortForwardingRuleState, "6.1.9.5", Put "/port-forwarding/{uuid}/actions", Job -> PortForwardingRule; {
        /// The port forwarding rule.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }

    /// Lists the VM network interfaces that a port forwarding rule can be attached to.
    GetPortForwardingAttachableVmNics, "6.1.9.6",
        Get "/port-forwarding/{ruleUuid}/vm-instances/candidate-nics", Sync -> [VmNic]; {
        /// The rule.
        rule_uuid: Uuid;
    }

    /// Attaches a port forwarding rule to a VM network interface.
    AttachPortForwardingRule, "6.1.9.7",
        Post "/port-forwarding/{ruleUuid}/vm-instances/nics/{vmNicUuid}", Job -> PortForwardingRule; {
        /// The rule.
        rule_uuid: Uuid;
        /// The VM network interface.
        vm_nic_uuid: Uuid;
    }

    /// Detaches a port forwarding rule from its VM network interface.
    DetachPortForwardingRule, "6.1.9.8",
        Delete "/port-forwarding/{uuid}/vm-instances/nics", Job -> PortForwardingRule; {
        /// The port forwarding rule.
        uuid: Uuid;
    }
}

inventories! {
    /// A port forwarding rule.
    PortForwardingRule {
        uuid: Uuid, name: String, description: String, vipIp: String, guestIp: String, vipUuid: Uuid,
        vipPortStart: i64, vipPortEnd: i64, privatePortStart: i64, privatePortEnd: i64, vmNicUuid: Uuid,
        protocolType: String, state: String, allowedCidr: String, createDate: Timestamp, lastOpDate: Timestamp,
    }
}

//! 6.1.6: security groups.

use uuid::Uuid;

use super::Object;
use crate::{inventories, planned};

planned! {
    /// Creates a security group.
    CreateSecurityGroup, "6.1.6.1", Post "/security-groups", Job -> SecurityGroup; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a security group.
    DeleteSecurityGroup, "6.1.6.2", Delete "/security-groups/{uuid}", Job; {
        /// The security group.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries security groups.
    QuerySecurityGroup, "6.1.6.3", Get "/security-groups" | "/security-groups/{uuid}", Sync -> [SecurityGroup]; {}

    /// Updates a security group.
    UpdateSecurityGroup, "6.1.6.4", Put "/security-groups/{uuid}/actions", Job -> SecurityGroup; {
        /// The security group.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Enables or disables a security group.
    ChangeSecurityGroupState, "6.1.6.5", Put "/security-groups/{uuid}/actions", Job -> SecurityGroup; {
        /// The security group.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }

    /// Attaches a security group to an L3 network.
    AttachSecurityGroupToL3Network, "6.1.6.6",
        Post "/security-groups/{securityGroupUuid}/l3-networks/{l3NetworkUuid}", Job -> SecurityGroup; {
        /// The security group.
        security_group_uuid: Uuid;
        /// The L3 network.
        l3_network_uuid: Uuid;
    }

    /// Detaches a security group from an L3 network.
    DetachSecurityGroupFromL3Network, "6.1.6.7",
        Delete "/security-groups/{securityGroupUuid}/l3-networks/{l3NetworkUuid}", Job -> SecurityGroup; {
        /// The security group.
        security_group_uuid: Uuid;
        /// The L3 network.
        l3_network_uuid: Uuid;
    }

    /// Lists the VM network interfaces that can join a security group.
    GetCandidateVmNicForSecurityGroup, "6.1.6.8",
        Get "/security-groups/{securityGroupUuid}/vm-instances/candidate-nics", Sync -> [VmNic]; {
        /// The security group.
        security_group_uuid: Uuid;
    }

    /// Puts VM network interfaces into a security group.
    AddVmNicToSecurityGroup, "6.1.6.9", Post "/security-groups/{securityGroupUuid}/vm-instances/nics", Job; {
        /// The security group.
        security_group_uuid: Uuid;
        /// The VM network interfaces.
        vm_nic_uuids: Vec<Uuid>, nonempty true;
    }

    /// Takes VM network interfaces out of a security group.
    DeleteVmNicFromSecurityGroup, "6.1.6.10", Delete "/security-groups/{securityGroupUuid}/vm-instances/nics", Job; {
        /// The security group.
        security_group_uuid: Uuid;
        /// The VM network interfaces.
        vm_nic_uuids: Vec<Uuid>, nonempty true;
    }

    /// Queries which VM network interfaces are in which security groups.
    QueryVmNicInSecurityGroup, "6.1.6.11", Get "/security-groups/vm-instances/nics", Sync -> [VmNicInSecurityGroup]; {}

    /// Adds rules to a security group.
    AddSecurityGroupRule, "6.1.6.12", Post "/security-groups/{securityGroupUuid}/rules", Job -> SecurityGroup; {
        /// The security group.
        security_group_uuid: Uuid;
        /// The rules.
        rules: Vec<Object>, nonempty true;
        /// The security groups on the other side.
        remote_security_group_uuids: Option<Vec<Uuid>>, nonempty true;
    }

    /// Queries security group rules.
    QuerySecurityGroupRule, "6.1.6.13",
        Get "/security-groups/rules" | "/security-groups/rules/{uuid}", Sync -> [SecurityGroupRule]; {}

    /// Deletes rules of a security group.
    DeleteSecurityGroupRule, "6.1.6.14", Delete "/security-groups/rules", Job -> SecurityGroup; {
        /// The rules.
        rule_uuids: Vec<Uuid>, nonempty true;
    }
}

inventories! {
    /// A security group.
    SecurityGroup {
        uuid: Uuid, name: String, description: String, state: String, createDate: Timestamp, lastOpDate: Timestamp,
        attachedL3NetworkUuids: [Uuid], rules: [SecurityGroupRule],
    }

    /// A security group rule.
    SecurityGroupRule {
        uuid: Uuid, securityGroupUuid: Uuid, type: String, startPort: i64, endPort: i64, protocol: String,
        state: String, allowedCidr: String, createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// A VM network interface is in a security group.
    VmNicInSecurityGroup {
        vmNicUuid: Uuid, securityGroupUuid: Uuid, vmInstanceUuid: Uuid, createDate: Timestamp, lastOpDate: Timestamp,
    }
}

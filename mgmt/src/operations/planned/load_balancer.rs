//! 6.1.10: load balancers.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Creates a load balancer.
    CreateLoadBalancer, "6.1.10.1", Post "/load-balancers", Job -> LoadBalancer; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The virtual IP.
        vip_uuid: Uuid;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a load balancer.
    DeleteLoadBalancer, "6.1.10.2", Delete "/load-balancers/{uuid}", Job; {
        /// The load balancer.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries load balancers.
    QueryLoadBalancer, "6.1.10.3", Get "/load-balancers" | "/load-balancers/{uuid}", Sync -> [LoadBalancer]; {}

    /// Writes the configuration of a load balancer anew.
    RefreshLoadBalancer, "6.1.10.4", Put "/load-balancers/{uuid}/actions", Job -> LoadBalancer; {
        /// The load balancer.
        uuid: Uuid;
    }

    /// Creates a load balancer listener.
    CreateLoadBalancerListener, "6.1.10.5",
        Post "/load-balancers/{loadBalancerUuid}/listeners", Job -> LoadBalancerListener; {
        /// The load balancer.
        load_balancer_uuid: Uuid;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The port of the VM instances.
        instance_port: Option<i32>, range 1..=65_535;
        /// The port of the load balancer.
        load_balancer_port: i32, range 1..=65_535;
        /// The protocol.
        protocol: Option<String>, values &["udp", "tcp", "http", "https"], max_length 255;
        /// The certificate.
        certificate_uuid: Option<Uuid>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a load balancer listener.
    DeleteLoadBalancerListener, "6.1.10.6", Delete "/load-balancers/listeners/{uuid}", Job; {
        /// The listener.
        uuid: Uuid;
    }

    /// Queries load balancer listeners.
    QueryLoadBalancerListener, "6.1.10.7",
        Get "/load-balancers/listeners" | "/load-balancers/listeners/{uuid}", Sync -> [LoadBalancerListener]; {}

    /// Updates a load balancer listener.
    UpdateLoadBalancerListener, "6.1.10.8", Put "/load-balancers/listeners/{uuid}", Job -> LoadBalancerListener; {
        /// The listener.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Lists the VM network interfaces that can be added to a load balancer listener.
    GetCandidateVmNicsForLoadBalancer, "6.1.10.9",
        Get "/load-balancers/listeners/{listenerUuid}/vm-instances/candidate-nics", Sync -> [VmNic]; {
        /// The listener.
        listener_uuid: Uuid;
    }

    /// Adds VM network interfaces to a load balancer listener.
    AddVmNicToLoadBalancer, "6.1.10.10",
        Post "/load-balancers/listeners/{listenerUuid}/vm-instances/nics", Job -> LoadBalancerListener; {
        /// The VM network interfaces.
        vm_nic_uuids: Vec<Uuid>, nonempty true;
        /// The listener.
        listener_uuid: Uuid;
    }

    /// Removes VM network interfaces from a load balancer listener.
    RemoveVmNicFromLoadBalancer, "6.1.10.11",
        Delete "/load-balancers/listeners/{listenerUuid}/vm-instances/nics", Job -> LoadBalancer; {
        /// The VM network interfaces.
        vm_nic_uuids: Vec<Uuid>, nonempty true;
        /// The listener.
        listener_uuid: Uuid;
    }

    /// Updates a load balancer.
    UpdateLoadBalancer, "6.1.10.12", Put "/load-balancers/{uuid}/actions", Job -> LoadBalancer; {
        /// The load balancer.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Not used, kept for clients.
        resource_uuid: Option<Uuid>;
    }
}

inventories! {
    /// A load balancer.
    LoadBalancer {
        name: String, uuid: Uuid, description: String, state: String, vipUuid: Uuid,
        listeners: [LoadBalancerListener],
    }

    /// A load balancer listener.
    LoadBalancerListener {
        uuid: Uuid, name: String, description: String, loadBalancerUuid: Uuid, instancePort: i64,
        loadBalancerPort: i64, protocol: String, createDate: Timestamp, lastOpDate: Timestamp,
        vmNicRefs: [LoadBalancerListenerVmNicRef], certificateRefs: [LoadBalancerListenerCertificateRef],
    }

    /// A load balancer listener has a VM network interface behind it.
    LoadBalancerListenerVmNicRef {
        id: i64, listenerUuid: Uuid, vmNicUuid: Uuid, status: String, createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// A load balancer listener has a certificate.
    LoadBalancerListenerCertificateRef {
        id: i64, listenerUuid: Uuid, certificateUuid: Uuid, createDate: Timestamp, lastOpDate: Timestamp,
    }
}

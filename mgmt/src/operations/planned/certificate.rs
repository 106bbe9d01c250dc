//! 6.1.10: certificates of load balancers.

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
    /// Adds a certificate.
    CreateCertificate, "6.1.10.13", Post "/certificates", Job -> Certificate; {
        /// Its name.
        name: String, max_length 255;
        /// The certificate with its private key, as PEM.
        certificate: Secret, max_length 60_000;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a certificate.
    DeleteCertificate, "6.1.10.14", Delete "/certificates/{uuid}", Job; {
        /// The certificate.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries certificates.
    QueryCertificate, "6.1.10.15", Get "/certificates" | "/certificates/{uuid}", Sync -> [Certificate]; {}

    /// Gives a load balancer listener a certificate.
    AddCertificateToLoadBalancerListener, "6.1.10.16",
        Post "/load-balancers/listeners/{listenerUuid}/certificate", Job -> LoadBalancerListener; {
        /// The certificate.
        certificate_uuid: Uuid, nonempty true;
        /// The listener.
        listener_uuid: Uuid;
    }

    /// Takes a certificate from a load balancer listener.
    RemoveCertificateFromLoadBalancerListener, "6.1.10.17",
        Delete "/load-balancers/listeners/{listenerUuid}/certificate", Job -> LoadBalancerListener; {
        /// The certificate.
        certificate_uuid: Uuid, nonempty true;
        /// The listener.
        listener_uuid: Uuid;
    }

    /// Updates a certificate.
    UpdateCertificate, "6.1.10.18", Put "/certificates/{uuid}/actions", Job -> Certificate; {
        /// The certificate.
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
    /// A certificate.
    Certificate {
        name: String, uuid: Uuid, certificate: String, description: String, createDate: Timestamp,
        lastOpDate: Timestamp, listeners: [LoadBalancerListenerCertificateRef],
    }
}

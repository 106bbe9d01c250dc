//! 6.1.11: IPsec connections.

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
    /// Creates an IPsec connection.
    CreateIPsecConnection, "6.1.11.1", Post "/ipsec", Job -> IPsecConnection; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The L3 network.
        l3_network_uuid: Option<Uuid>;
        /// The peer's address.
        peer_address: String, max_length 255;
        /// How the two sides authenticate.
        auth_mode: Option<String>, values &["psk", "certs"], max_length 255;
        /// The shared key.
        auth_key: Secret;
        /// The virtual IP.
        vip_uuid: Uuid;
        /// The peer's networks, in CIDR notation.
        peer_cidrs: Option<Vec<String>>, nonempty true;
        /// The hash of the key exchange.
        ike_auth_algorithm: Option<String>, values &["md5", "sha1", "sha256", "sha384", "sha512"], max_length 32;
        /// The cipher of the key exchange.
        ike_encryption_algorithm: Option<String>, values &["3des", "aes-128", "aes-192", "aes-256"], max_length 32;
        /// The Diffie-Hellman group of the key exchange.
        ike_dh_group: Option<i32>;
        /// The hash of the traffic.
        policy_auth_algorithm: Option<String>, values &["md5", "sha1", "sha256", "sha384", "sha512"], max_length 32;
        /// The cipher of the traffic.
        policy_encryption_algorithm: Option<String>, values &["3des", "aes-128", "aes-192", "aes-256"], max_length 32;
        /// The group for perfect forward secrecy.
        pfs: Option<String>, values &[
            "dh-group2", "dh-group5", "dh-group14", "dh-group15", "dh-group16", "dh-group17", "dh-group18",
            "dh-group19", "dh-group20", "dh-group21", "dh-group22", "dh-group23", "dh-group24", "dh-group25",
            "dh-group26",
        ], max_length 32;
        /// The mode.
        policy_mode: Option<String>, values &["tunnel", "transport"], max_length 32;
        /// The protocol of the traffic.
        transform_protocol: Option<String>, values &["esp", "ah", "ah-esp"], max_length 32;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes an IPsec connection.
    DeleteIPsecConnection, "6.1.11.2", Delete "/ipsec/{uuid}", Job; {
        /// The IPsec connection.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Updates an IPsec connection.
    UpdateIPsecConnection, "6.1.11.3", Put "/ipsec/{uuid}", Job -> IPsecConnection; {
        /// The IPsec connection.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries IPsec connections.
    QueryIPSecConnection, "6.1.11.4", Get "/ipsec" | "/ipsec/{uuid}", Sync -> [IPsecConnection]; {}

    /// Enables or disables an IPsec connection.
    ChangeIPSecConnectionState, "6.1.11.5", Put "/ipsec/{uuid}/actions", Job -> IPsecConnection; {
        /// The IPsec connection.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }

    /// Attaches L3 networks to an IPsec connection.
    AttachL3NetworksToIPsecConnection, "6.1.11.6", Post "/ipsec/{uuid}/l3networks", Job -> IPsecConnection; {
        /// The IPsec connection.
        uuid: Uuid;
        /// Not used, kept for clients.
        resource_uuid: Option<Uuid>;
        /// The L3 networks.
        l3_network_uuids: Vec<Uuid>;
    }

    /// Detaches L3 networks from an IPsec connection.
    DetachL3NetworksFromIPsecConnection, "6.1.11.7", Delete "/ipsec/{uuid}/l3networks", Job -> IPsecConnection; {
        /// The IPsec connection.
        uuid: Uuid;
        /// The L3 networks.
        l3_network_uuids: Vec<Uuid>;
    }

    /// Adds remote networks to an IPsec connection.
    AddRemoteCidrsToIPsecConnection, "6.1.11.8", Post "/ipsec/{uuid}/remote-cidrs", Job -> IPsecConnection; {
        /// The IPsec connection.
        uuid: Uuid;
        /// The peer's networks, in CIDR notation.
        peer_cidrs: Vec<String>, nonempty true;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Removes remote networks from an IPsec connection.
    RemoveRemoteCidrsFromIPsecConnection, "6.1.11.9", Delete "/ipsec/{uuid}/remote-cidrs", Job -> IPsecConnection; {
        /// The IPsec connection.
        uuid: Uuid;
        /// The peer's networks, in CIDR notation.
        peer_cidrs: Vec<String>, nonempty true;
        /// Not used, kept for clients.
        resource_uuid: Option<Uuid>;
    }
}

inventories! {
    /// An IPsec connection.
    IPsecConnection {
        uuid: Uuid, name: String, description: String, peerAddress: String, authMode: String, vipUuid: Uuid,
        ikeAuthAlgorithm: String, ikeEncryptionAlgorithm: String, ikeDhGroup: i64, policyAuthAlgorithm: String,
        policyEncryptionAlgorithm: String, pfs: String, policyMode: String, transformProtocol: String, state: String,
        status: String, createDate: Timestamp, lastOpDate: Timestamp, peerCidrs: [IPsecPeerCidr],
        l3NetworkRefs: [IPsecL3NetworkRef], l3NetworkUuid: Uuid,
    }

    /// A network on the peer's side of an IPsec connection.
    IPsecPeerCidr {
        uuid: Uuid, cidr: String, connectionUuid: Uuid, createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// An L3 network of an IPsec connection.
    IPsecL3NetworkRef {
        uuid: Uuid, connectionUuid: Uuid, l3NetworkUuid: Uuid, createDate: Timestamp, lastOpDate: Timestamp,
    }
}

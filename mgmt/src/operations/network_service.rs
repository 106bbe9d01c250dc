//! 6.1: network services.

use std::collections::BTreeMap;

use gantry_common::{
    error::ErrorKind,
    id::{L3NetworkUuid, NetworkServiceProviderUuid},
};

use serde_json::{Value, json};

use super::{
    guest_network::{GuestNetworkChange, change_guest_network},
    making::require,
};
use crate::{
    api::{Caller, Operation, SyncOperation, query, sync},
    failure::Failure,
    network, operation,
    resource::{L3Network, NetworkServiceL3NetworkRef, NetworkServiceProvider, UsedIp},
    store::{SqlValue, Tx},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        query::<QueryNetworkServiceProvider>(NetworkServiceProvider::declaration),
        query::<QueryNetworkServiceL3NetworkRef>(NetworkServiceL3NetworkRef::declaration),
        sync::<GetNetworkServiceTypes>(),
        change_guest_network::<AttachNetworkServiceToL3Network>(),
        change_guest_network::<DetachNetworkServiceFromL3Network>(),
    ]
}

/// The provider that serves guests on their own host.
pub const FLAT_PROVIDER: &str = "Flat Network Service Provider";

/// What [`FLAT_PROVIDER`] gives.
pub const FLAT_SERVICES: [&str; 2] = ["DHCP", "Userdata"];

/// What a service address is taken for.
const SERVICE_ADDRESS: &str = "network services";

operation! {
    /// Has a provider serve an L3 network.
    AttachNetworkServiceToL3Network, "6.1.4", Post "/l3-networks/{l3NetworkUuid}/network-services", Job; {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
        /// The services by the ids of their providers.
        network_services: BTreeMap<String, Vec<String>>, nonempty true;
    }
}

impl GuestNetworkChange for AttachNetworkServiceToL3Network {
    fn l3_network_uuid(&self) -> L3NetworkUuid {
        self.l3_network_uuid
    }

    fn record(&self, tx: &Tx<'_>, l3: L3Network) -> Result<(), Failure> {
        for (provider, service) in named(tx, &self.network_services)? {
            let link = NetworkServiceL3NetworkRef {
                l3_network_uuid: l3.uuid,
                network_service_provider_uuid: provider,
                network_service_type: service,
            };
            tx.link(&link)?;
        }
        take_service_address(tx, l3)
    }
}

/// The services need an address of the network, unless it has none to give yet: then it is taken with its first VM.
pub fn take_service_address(tx: &Tx<'_>, mut l3: L3Network) -> Result<(), Failure> {
    let services = network::services(tx, l3.uuid)?;
    if l3.service_address.is_some() || !(services.dhcp || services.userdata) {
        return Ok(());
    }
    if let Some(used) = tx.take_address(l3.uuid, None, SERVICE_ADDRESS)? {
        l3.service_address = Some(used.ip);
        tx.save(&l3)?;
    }
    Ok(())
}

fn named(
    tx: &Tx<'_>,
    services: &BTreeMap<String, Vec<String>>,
) -> Result<Vec<(NetworkServiceProviderUuid, String)>, Failure> {
    let mut named = Vec::new();
    for (provider, types) in services {
        let uuid: NetworkServiceProviderUuid =
            provider.parse().map_err(|error| Failure::argument("networkServices", provider, error))?;
        require::<NetworkServiceProvider>(tx, "networkServices", uuid)?;
        for service in types {
            if !FLAT_SERVICES.contains(&service.as_str()) {
                let remedy = format!("the provider gives {}", FLAT_SERVICES.join(", "));
                return Err(Failure::argument("networkServices", service, remedy));
            }
            named.push((uuid, service.clone()));
        }
    }
    Ok(named)
}

operation! {
    /// Has a provider serve an L3 network no more.
    DetachNetworkServiceFromL3Network, "6.1.5", Delete "/l3-networks/{l3NetworkUuid}/network-services", Job; {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
        /// The services by the ids of their providers.
        network_services: BTreeMap<String, Vec<String>>, nonempty true;
    }
}

impl GuestNetworkChange for DetachNetworkServiceFromL3Network {
    fn l3_network_uuid(&self) -> L3NetworkUuid {
        self.l3_network_uuid
    }

    fn record(&self, tx: &Tx<'_>, mut l3: L3Network) -> Result<(), Failure> {
        for (provider, service) in named(tx, &self.network_services)? {
            let gone = tx.delete_where::<NetworkServiceL3NetworkRef>(&[
                ("l3_network_uuid", l3.uuid.to_sql()),
                ("network_service_provider_uuid", provider.to_sql()),
                ("network_service_type", service.to_sql()),
            ])?;
            if gone == 0 {
                return Err(Failure::new(
                    ErrorKind::ResourceNotFound,
                    format!("L3 network '{}' has no service {service} of provider {provider}", l3.name),
                ));
            }
        }
        let left = network::services(tx, l3.uuid)?;
        if let (Some(ip), false) = (l3.service_address, left.dhcp || left.userdata) {
            tx.delete_where::<UsedIp>(&[("l3_network_uuid", l3.uuid.to_sql()), ("ip_in_long", ip.to_bits().to_sql())])?;
            l3.service_address = None;
            tx.save(&l3)?;
        }
        Ok(())
    }
}

operation! {
    /// Queries the providers of network services.
    QueryNetworkServiceProvider, "6.1.2",
        Get "/network-services/providers" | "/network-services/providers/{uuid}", Sync -> [NetworkServiceProvider]; {}
}

operation! {
    /// Queries the services of L3 networks.
    QueryNetworkServiceL3NetworkRef, "6.1.3",
        Get "/l3-networks/network-services/refs", Sync -> [NetworkServiceL3NetworkRef]; {}
}

operation! {
    /// The network services there are, by who gives them.
    GetNetworkServiceTypes, "6.1.1", Get "/network-services/types", Sync -> { types: ([String]) }; {}
}

impl SyncOperation for GetNetworkServiceTypes {
    async fn answer(self, _caller: Caller) -> Result<Value, Failure> {
        Ok(json!({ "types": { FLAT_PROVIDER: FLAT_SERVICES } }))
    }
}

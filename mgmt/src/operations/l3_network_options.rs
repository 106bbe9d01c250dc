//! 5.2: what an L3 network's guests are handed besides their addresses: routes and the MTU.

use std::net::Ipv4Addr;

use gantry_common::{error::ErrorKind, id::L3NetworkUuid};
use ipnet::Ipv4Net;
use serde_json::{Value, json};

use super::{
    guest_network::{GuestNetworkChange, change_guest_network},
    making::require,
};
use crate::{
    api::{Caller, Operation, SyncOperation, sync},
    clock::Timestamp,
    failure::Failure,
    operation,
    resource::{L3Network, L3NetworkHostRoute},
    store::{SqlValue, Tx},
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        change_guest_network::<AddHostRouteToL3Network>(),
        change_guest_network::<RemoveHostRouteFromL3Network>(),
        change_guest_network::<SetL3NetworkMtu>(),
        sync::<GetL3NetworkMtu>(),
    ]
}

/// What Ethernet carries where nobody says otherwise.
const DEFAULT_MTU: u16 = 1500;

operation! {
    /// Hands a route to the network's guests.
    AddHostRouteToL3Network, "5.2.10", Post "/l3-networks/{l3NetworkUuid}/hostroute", Job -> L3Network; {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
        /// The destination, in CIDR form.
        prefix: String;
        /// The next hop.
        nexthop: Ipv4Addr;
    }
}

/// A route's destination as it is kept: without host bits.
fn destination(prefix: &str) -> Result<String, Failure> {
    let net: Ipv4Net = prefix
        .parse()
        .map_err(|_| Failure::argument("prefix", prefix, "a destination such as 10.1.0.0/16 is needed"))?;
    Ok(net.trunc().to_string())
}

impl GuestNetworkChange for AddHostRouteToL3Network {
    fn l3_network_uuid(&self) -> L3NetworkUuid {
        self.l3_network_uuid
    }

    fn record(&self, tx: &Tx<'_>, l3: L3Network) -> Result<(), Failure> {
        let (prefix, now) = (destination(&self.prefix)?, Timestamp::now());
        let others = tx.all::<L3NetworkHostRoute>()?;
        let route = L3NetworkHostRoute {
            id: others.iter().map(|route| route.id).max().unwrap_or(0) + 1,
            l3_network_uuid: l3.uuid,
            prefix: prefix.clone(),
            nexthop: self.nexthop,
            create_date: now,
            last_op_date: now,
        };
        if !tx.link(&route)? {
            let details = format!("L3 network '{}' has a route to {prefix} already: remove it first", l3.name);
            return Err(Failure::new(ErrorKind::Duplicate, details));
        }
        Ok(())
    }
}

operation! {
    /// Hands a route to the network's guests no more.
    RemoveHostRouteFromL3Network, "5.2.11", Delete "/l3-networks/{l3NetworkUuid}/hostroute", Job -> L3Network; {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
        /// The destination, in CIDR form.
        prefix: String;
    }
}

impl GuestNetworkChange for RemoveHostRouteFromL3Network {
    fn l3_network_uuid(&self) -> L3NetworkUuid {
        self.l3_network_uuid
    }

    fn record(&self, tx: &Tx<'_>, l3: L3Network) -> Result<(), Failure> {
        let prefix = destination(&self.prefix)?;
        let route = [("l3_network_uuid", l3.uuid.to_sql()), ("prefix", prefix.to_sql())];
        match tx.delete_where::<L3NetworkHostRoute>(&route)? {
            0 => Err(Failure::argument("prefix", &self.prefix, format!("L3 network '{}' has no route to it", l3.name))),
            _ => Ok(()),
        }
    }
}

operation! {
    /// Sets the MTU handed to the network's guests.
    SetL3NetworkMtu, "5.2.21", Post "/l3-networks/{l3NetworkUuid}/mtu", Job; {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
        /// Bytes of a packet at most.
        mtu: u16, range 68..=9216;
    }
}

impl GuestNetworkChange for SetL3NetworkMtu {
    fn l3_network_uuid(&self) -> L3NetworkUuid {
        self.l3_network_uuid
    }

    fn record(&self, tx: &Tx<'_>, mut l3: L3Network) -> Result<(), Failure> {
        l3.mtu = Some(self.mtu);
        l3.last_op_date = Timestamp::now();
        tx.save(&l3)?;
        Ok(())
    }
}

operation! {
    /// The MTU handed to the network's guests.
    GetL3NetworkMtu, "5.2.20", Get "/l3-networks/{l3NetworkUuid}/mtu", Sync -> { mtu: i64 }; {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
    }
}

impl SyncOperation for GetL3NetworkMtu {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let uuid = self.l3_network_uuid;
        let l3 = caller.node.store.read(move |tx| require::<L3Network>(tx, "l3NetworkUuid", uuid)).await?;
        Ok(json!({ "mtu": l3.mtu.unwrap_or(DEFAULT_MTU) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_kept_without_host_bits() {
        assert_eq!(destination("10.1.2.3/16").unwrap(), "10.1.0.0/16");
        assert_eq!(destination("169.254.169.254/32").unwrap(), "169.254.169.254/32");
        for prefix in ["", "10.1.0.0", "10.1.0.0/33", "fd00::/8", "default"] {
            assert!(destination(prefix).is_err(), "{prefix}");
        }
    }
}

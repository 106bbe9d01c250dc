//! 5.2.22–5.2.23: the address of a router's interface on an L3 network. It is kept for the router: no VM gets it.

use std::net::Ipv4Addr;

use gantry_common::{error::ErrorKind, id::L3NetworkUuid};
use serde_json::{Value, json};

use super::making::require;
use crate::{
    api::{Caller, Operation, SyncOperation, job, sync},
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Step},
    network, operation,
    resource::{IpRange, L3Network},
    store::{SqlValue, Tx},
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![sync::<GetL3NetworkRouterInterfaceIp>(), job::<SetL3NetworkRouterInterfaceIp>()]
}

operation! {
    /// The address that is kept for the router's interface on an L3 network.
    GetL3NetworkRouterInterfaceIp, "5.2.22",
        Get "/l3-networks/{l3NetworkUuid}/router-interface-ip", Sync -> { routerInterfaceIp: String, success: bool }; {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
    }
}

impl SyncOperation for GetL3NetworkRouterInterfaceIp {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let uuid = self.l3_network_uuid;
        let l3 = caller.node.store.read(move |tx| require::<L3Network>(tx, "l3NetworkUuid", uuid)).await?;
        Ok(match l3.router_interface_ip {
            Some(ip) => json!({ "routerInterfaceIp": ip, "success": true }),
            None => json!({ "success": true }),
        })
    }
}

operation! {
    /// Keeps an address of an L3 network for the router's interface, in place of the one kept before.
    SetL3NetworkRouterInterfaceIp, "5.2.23", Post "/l3-networks/{l3NetworkUuid}/router-interface-ip", Job; {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
        /// The address, in the network's subnet.
        router_interface_ip: Ipv4Addr;
    }
}

impl JobOperation for SetL3NetworkRouterInterfaceIp {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.l3_network_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("keep the address", |tx, run| {
            let mut l3 = require::<L3Network>(tx, "l3NetworkUuid", run.params.l3_network_uuid)?;
            let ip = run.params.router_interface_ip;
            check(tx, &l3, ip)?;
            l3.router_interface_ip = Some(ip);
            l3.last_op_date = Timestamp::now();
            tx.save(&l3)?;
            Ok(())
        })]
    }
}

fn check(tx: &Tx<'_>, l3: &L3Network, ip: Ipv4Addr) -> Result<(), Failure> {
    let refuse = |remedy: String| Err(Failure::argument("routerInterfaceIp", ip, remedy));
    let ranges = tx.find::<IpRange>(&[("l3_network_uuid", l3.uuid.to_sql())])?;
    let Some(range) = ranges.first() else {
        let details = format!("L3 network '{}' has no subnet yet: add a range with AddIpRange", l3.name);
        return Err(Failure::new(ErrorKind::StateForbids, details));
    };
    let subnet = network::subnet(range.start_ip, range.netmask)?;
    if !subnet.contains(&ip) || ip == subnet.network() || ip == subnet.broadcast() {
        return refuse(format!("it must be a host's address in {subnet}"));
    }
    if ip == range.gateway {
        return refuse("it is the network's gateway: another address is needed".to_owned());
    }
    if tx.is_taken(l3.uuid, ip)? {
        return refuse("a VM or a service has it: choose one that is free".to_owned());
    }
    Ok(())
}

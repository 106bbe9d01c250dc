//! 5.2: which addresses of an L3 network are free.

use std::net::Ipv4Addr;

use gantry_common::id::{IpRangeUuid, L3NetworkUuid, ZoneUuid};
use serde_json::{Value, json};

use super::making::require;
use crate::{
    api::{Admits, Caller, Operation, SyncOperation, sync},
    failure::Failure,
    operation,
    resource::{IpRange, L3Network},
    store::{SqlValue, Tx},
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        sync::<GetFreeIp>(),
        sync::<CheckIpAvailability>(),
        sync::<GetIpAddressCapacity>(),
        sync::<GetL3NetworkDhcpIpAddress>(),
    ]
}

/// How many free addresses are listed where the caller does not say.
const DEFAULT_LIMIT: u32 = 100;

operation! {
    /// Free addresses of an L3 network, or of one of its ranges, the lowest first.
    GetFreeIp, "5.2.12", Get "/l3-networks/{l3NetworkUuid}/ip/free" | "/l3-networks/ip-ranges/{ipRangeUuid}/ip/free",
        Sync -> { inventories: [{ ipRangeUuid: Uuid, ip: String, netmask: String, gateway: String }] }; {
        /// The L3 network.
        l3_network_uuid: Option<L3NetworkUuid>;
        /// The range.
        ip_range_uuid: Option<IpRangeUuid>;
        /// The lowest address to list.
        start: Option<Ipv4Addr>;
        /// How many addresses at most.
        limit: Option<u32>, range 1..=10_000;
    }
}

impl SyncOperation for GetFreeIp {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        caller
            .node
            .store
            .read(move |tx| {
                let (start, mut left) = (self.start.unwrap_or(Ipv4Addr::UNSPECIFIED), self.limit.unwrap_or(DEFAULT_LIMIT));
                let mut found = Vec::new();
                for range in self.ranges(tx)? {
                    let free = tx.free_addresses(&range, start, left)?;
                    left -= u32::try_from(free.len()).unwrap_or(left).min(left);
                    found.extend(free.into_iter().map(|ip| {
                        json!({ "ipRangeUuid": range.uuid, "ip": ip, "netmask": range.netmask, "gateway": range.gateway })
                    }));
                }
                Ok(json!({ "inventories": found }))
            })
            .await
    }
}

impl GetFreeIp {
    fn ranges(&self, tx: &Tx<'_>) -> Result<Vec<IpRange>, Failure> {
        if let Some(uuid) = self.ip_range_uuid {
            return Ok(vec![require::<IpRange>(tx, "ipRangeUuid", uuid)?]);
        }
        let Some(uuid) = self.l3_network_uuid else {
            return Err(Failure::argument("l3NetworkUuid", "", "name an L3 network here, or a range in ipRangeUuid"));
        };
        require::<L3Network>(tx, "l3NetworkUuid", uuid)?;
        let mut ranges = tx.find::<IpRange>(&[("l3_network_uuid", uuid.to_sql())])?;
        ranges.sort_by_key(|range| range.start_ip);
        Ok(ranges)
    }
}

operation! {
    /// Whether an address of an L3 network can be given to a VM.
    CheckIpAvailability, "5.2.13", Get "/l3-networks/{l3NetworkUuid}/ip/{ip}/availability", Sync -> { available: bool }; {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
        /// The address.
        ip: Ipv4Addr;
    }
}

impl SyncOperation for CheckIpAvailability {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        caller
            .node
            .store
            .read(move |tx| {
                require::<L3Network>(tx, "l3NetworkUuid", self.l3_network_uuid)?;
                Ok(json!({ "available": tx.is_available(self.l3_network_uuid, self.ip)? }))
            })
            .await
    }
}

operation! {
    /// How many addresses there are, and how many of them are free, over the ranges that are named: by themselves, by their
    /// L3 networks or by their zones.
    GetIpAddressCapacity, "5.2.14", Get "/ip-capacity", Sync -> { totalCapacity: i64, availableCapacity: i64 },
        admits Some(Admits::Operator); {
        /// Zones whose ranges count.
        zone_uids as "zoneUids": Option<Vec<ZoneUuid>>;
        /// L3 networks whose ranges count.
        l3_network_uids as "l3NetworkUids": Option<Vec<L3NetworkUuid>>;
        /// Ranges that count.
        ip_range_uids as "ipRangeUids": Option<Vec<IpRangeUuid>>;
        /// Zones, as other clients name them.
        zone_uuids: Option<Vec<ZoneUuid>>;
        /// L3 networks, as other clients name them.
        l3_network_uuids: Option<Vec<L3NetworkUuid>>;
        /// Ranges, as other clients name them.
        ip_range_uuids: Option<Vec<IpRangeUuid>>;
        /// Whether all ranges count.
        all: Option<bool>;
    }
}

impl SyncOperation for GetIpAddressCapacity {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let zones = [self.zone_uids, self.zone_uuids].concat_all();
        let networks = [self.l3_network_uids, self.l3_network_uuids].concat_all();
        let ranges = [self.ip_range_uids, self.ip_range_uuids].concat_all();
        let all = self.all.unwrap_or(false);
        if zones.is_empty() && networks.is_empty() && ranges.is_empty() && !all {
            return Err(Failure::argument("all", all, "name zones, L3 networks or ranges, or set it to true"));
        }
        caller
            .node
            .store
            .read(move |tx| {
                let (mut total, mut available) = (0, 0);
                for range in tx.all::<IpRange>()? {
                    let zone = tx.get::<L3Network>(range.l3_network_uuid)?.map(|l3| l3.zone_uuid);
                    let counts = all
                        || ranges.contains(&range.uuid)
                        || networks.contains(&range.l3_network_uuid)
                        || zone.is_some_and(|zone| zones.contains(&zone));
                    if counts {
                        let capacity = tx.address_capacity(&range)?;
                        total += capacity.total;
                        available += capacity.available;
                    }
                }
                Ok(json!({ "totalCapacity": total, "availableCapacity": available }))
            })
            .await
    }
}

/// Both spellings of one parameter, as one list.
trait ConcatAll<T> {
    fn concat_all(self) -> Vec<T>;
}

impl<T> ConcatAll<T> for [Option<Vec<T>>; 2] {
    fn concat_all(self) -> Vec<T> {
        self.into_iter().flatten().flatten().collect()
    }
}

operation! {
    /// The address on which an L3 network's DHCP service answers.
    GetL3NetworkDhcpIpAddress, "5.2.7", Get "/l3-networks/{l3NetworkUuid}/dhcp-ip", Sync -> { ip: String }; {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
    }
}

impl SyncOperation for GetL3NetworkDhcpIpAddress {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let uuid = self.l3_network_uuid;
        let l3 = caller.node.store.read(move |tx| require::<L3Network>(tx, "l3NetworkUuid", uuid)).await?;
        Ok(l3.service_address.map_or_else(|| json!({}), |ip| json!({ "ip": ip })))
    }
}

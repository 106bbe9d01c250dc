//! IP addresses: taken in the writer's transactions alone, under a unique constraint, so none is given twice.

use std::{
    collections::{BTreeSet, HashSet},
    net::Ipv4Addr,
};

use gantry_common::id::{L3NetworkUuid, UsedIpUuid};
use rusqlite::OptionalExtension;

use super::{SqlValue, StoreError, Tx};
use crate::{
    clock::Timestamp,
    resource::{IpRange, L3Network, UsedIp},
};

/// How many addresses there are to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressCapacity {
    /// All of them.
    pub total: u64,
    /// Those that nobody has.
    pub available: u64,
}

/// A range, and the addresses of it that are not for VMs: those of the gateway and of the network's router.
struct Pool<'a> {
    range: &'a IpRange,
    withheld: BTreeSet<Ipv4Addr>,
}

impl<'a> Pool<'a> {
    fn of(tx: &Tx<'_>, range: &'a IpRange) -> Result<Self, StoreError> {
        let router = tx.get::<L3Network>(range.l3_network_uuid)?.and_then(|l3| l3.router_interface_ip);
        let withheld = [Some(range.gateway), router].into_iter().flatten();
        Ok(Self { range, withheld: withheld.filter(|ip| (range.start_ip..=range.end_ip).contains(ip)).collect() })
    }

    fn gives(&self, ip: Ipv4Addr) -> bool {
        (self.range.start_ip..=self.range.end_ip).contains(&ip) && !self.withheld.contains(&ip)
    }
}

impl Tx<'_> {
    /// Takes an address of an L3 network: the wanted one, or the next free one. `None` where it is taken or none is left.
    pub fn take_address(
        &self,
        l3_network: L3NetworkUuid,
        wanted: Option<Ipv4Addr>,
        used_for: &str,
    ) -> Result<Option<UsedIp>, StoreError> {
        for range in self.find::<IpRange>(&[("l3_network_uuid", l3_network.to_sql())])? {
            let pool = Pool::of(self, &range)?;
            let found = match wanted {
                Some(ip) if pool.gives(ip) => Some(ip).filter(|ip| !self.is_taken(l3_network, *ip).unwrap_or(true)),
                Some(_) => None,
                None => self.free_address(&pool)?,
            };
            if let Some(ip) = found {
                let now = Timestamp::now();
                let used = UsedIp {
                    uuid: UsedIpUuid::random(),
                    ip_range_uuid: range.uuid,
                    l3_network_uuid: l3_network,
                    ip,
                    netmask: range.netmask,
                    gateway: range.gateway,
                    used_for: Some(used_for.to_owned()),
                    ip_in_long: ip.to_bits(),
                    create_date: now,
                    last_op_date: now,
                };
                self.insert(&used)?;
                return Ok(Some(used));
            }
        }
        Ok(None)
    }

    /// Whether the address lies in a range of the L3 network and nobody has it.
    pub fn is_available(&self, l3_network: L3NetworkUuid, ip: Ipv4Addr) -> Result<bool, StoreError> {
        for range in self.find::<IpRange>(&[("l3_network_uuid", l3_network.to_sql())])? {
            if Pool::of(self, &range)?.gives(ip) {
                return Ok(!self.is_taken(l3_network, ip)?);
            }
        }
        Ok(false)
    }

    /// The range's free addresses from `start` on, at most `limit` of them.
    pub fn free_addresses(&self, range: &IpRange, start: Ipv4Addr, limit: u32) -> Result<Vec<Ipv4Addr>, StoreError> {
        let first = range.start_ip.max(start);
        let mut statement = self.connection.prepare_cached(
            "SELECT ip_in_long FROM used_ip WHERE l3_network_uuid = ? AND ip_in_long BETWEEN ? AND ?",
        )?;
        let between = (range.l3_network_uuid.to_string(), first.to_bits(), range.end_ip.to_bits());
        let taken = statement.query_map(between, |row| row.get(0))?.collect::<Result<HashSet<u32>, _>>()?;
        let free = (first.to_bits()..=range.end_ip.to_bits()).filter(|ip| !taken.contains(ip)).map(Ipv4Addr::from_bits);
        let pool = Pool::of(self, range)?;
        Ok(free.filter(|ip| pool.gives(*ip)).take(limit as usize).collect())
    }

    /// How many addresses the range has to give, and how many of them nobody has.
    pub fn address_capacity(&self, range: &IpRange) -> Result<AddressCapacity, StoreError> {
        let (first, last) = (range.start_ip.to_bits(), range.end_ip.to_bits());
        let total = u64::from(last - first) + 1 - Pool::of(self, range)?.withheld.len() as u64;
        let taken: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM used_ip WHERE l3_network_uuid = ? AND ip_in_long BETWEEN ? AND ? AND ip_in_long <> ?",
            )?
            .query_row((range.l3_network_uuid.to_string(), first, last, range.gateway.to_bits()), |row| row.get(0))?;
        Ok(AddressCapacity { total, available: total.saturating_sub(taken.unsigned_abs()) })
    }

    /// Whether somebody has the address.
    pub fn is_taken(&self, l3_network: L3NetworkUuid, ip: Ipv4Addr) -> Result<bool, StoreError> {
        Ok(self.count::<UsedIp>(&[("l3_network_uuid", l3_network.to_sql()), ("ip_in_long", ip.to_bits().to_sql())])?
            > 0)
    }

    /// The address after the highest one taken, so that an address rests before it is used again; else the lowest gap.
    fn free_address(&self, pool: &Pool<'_>) -> Result<Option<Ipv4Addr>, StoreError> {
        let range = pool.range;
        let (first, last) = (range.start_ip.to_bits(), range.end_ip.to_bits());
        let usable = |ip: u32| !pool.withheld.contains(&Ipv4Addr::from_bits(ip));
        let highest: Option<u32> = self
            .connection
            .prepare_cached(
                "SELECT max(ip_in_long) FROM used_ip WHERE l3_network_uuid = ? AND ip_in_long BETWEEN ? AND ?",
            )?
            .query_row((range.l3_network_uuid.to_string(), first, last), |row| row.get(0))
            .optional()?
            .flatten();
        let after = highest.map_or(Some(first), |highest| highest.checked_add(1));
        if let Some(ip) = after.and_then(|after| (after..=last).find(|ip| usable(*ip))) {
            return Ok(Some(Ipv4Addr::from_bits(ip)));
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT ip_in_long FROM used_ip WHERE l3_network_uuid = ? AND ip_in_long BETWEEN ? AND ? ORDER BY ip_in_long",
        )?;
        let mut rows = statement.query((range.l3_network_uuid.to_string(), first, last))?;
        let mut candidate = first;
        while let Some(row) = rows.next()? {
            let taken: u32 = row.get(0)?;
            if let Some(ip) = (candidate..taken).find(|ip| usable(*ip)) {
                return Ok(Some(Ipv4Addr::from_bits(ip)));
            }
            candidate = taken.saturating_add(1);
        }
        Ok(None)
    }

    /// Gives an address back.
    pub fn release_address(&self, used: UsedIpUuid) -> Result<(), StoreError> {
        self.delete_where::<UsedIp>(&[("uuid", used.to_sql())])?;
        Ok(())
    }
}

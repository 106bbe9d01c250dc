//! 5.2.15–5.2.19: the addresses of L3 networks.

use std::net::Ipv4Addr;

use gantry_common::{
    error::ErrorKind,
    id::{IpRangeUuid, L3NetworkUuid},
};
use ipnet::Ipv4Net;
use serde_json::Value;

use super::{
    changing::change,
    making::{made, make, put_tags, readable_name, require},
};
use crate::{
    api::{Operation, job, query},
    change_description,
    clock::Timestamp,
    deletes,
    deletion::deletes,
    failure::Failure,
    job::{JobOperation, Step},
    network, operation,
    resource::{IpRange, L3Network},
    store::{SqlValue, Tx},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<AddIpRange>(),
        job::<AddIpRangeByNetworkCidr>(),
        deletes::<DeleteIpRange>(),
        change::<UpdateIpRange>(),
        query::<QueryIpRange>(IpRange::declaration),
    ]
}

/// A range as a caller describes it.
struct Draft<'a> {
    uuid: Option<IpRangeUuid>,
    l3_network: L3NetworkUuid,
    name: &'a str,
    description: &'a Option<String>,
    start_ip: Ipv4Addr,
    end_ip: Ipv4Addr,
    netmask: Ipv4Addr,
    gateway: Ipv4Addr,
}

/// Records a range.
fn record_range(
    tx: &Tx<'_>,
    draft: Draft<'_>,
    system_tags: &[String],
    user_tags: &[String],
) -> Result<IpRangeUuid, Failure> {
    let l3 = require::<L3Network>(tx, "l3NetworkUuid", draft.l3_network)?;
    let now = Timestamp::now();
    let range = IpRange {
        uuid: draft.uuid.unwrap_or_else(IpRangeUuid::random),
        l3_network_uuid: l3.uuid,
        name: readable_name(draft.name)?,
        description: draft.description.clone(),
        start_ip: draft.start_ip,
        end_ip: draft.end_ip,
        netmask: draft.netmask,
        gateway: draft.gateway,
        network_cidr: network::subnet(draft.start_ip, draft.netmask)?.to_string(),
        create_date: now,
        last_op_date: now,
    };
    add_range(tx, &range)?;
    put_tags::<IpRange>(tx, range.uuid, system_tags, user_tags)?;
    Ok(range.uuid)
}

/// Adds a range after checking that it is one and overlaps no other of its network.
fn add_range(tx: &Tx<'_>, range: &IpRange) -> Result<(), Failure> {
    let subnet = network::subnet(range.start_ip, range.netmask)?;
    if range.end_ip < range.start_ip {
        return Err(Failure::argument(
            "endIp",
            range.end_ip,
            format!("it must not lie before startIp {}", range.start_ip),
        ));
    }
    for (name, ip) in [("startIp", range.start_ip), ("endIp", range.end_ip), ("gateway", range.gateway)] {
        if !subnet.contains(&ip) || ip == subnet.network() || ip == subnet.broadcast() {
            return Err(Failure::argument(name, ip, format!("it must be a host's address in {subnet}")));
        }
    }
    for other in tx.find::<IpRange>(&[("l3_network_uuid", range.l3_network_uuid.to_sql())])? {
        if range.start_ip <= other.end_ip && other.start_ip <= range.end_ip {
            return Err(Failure::new(
                ErrorKind::Duplicate,
                format!(
                    "{}–{} overlaps range '{}' ({}–{}): choose addresses outside it",
                    range.start_ip, range.end_ip, other.name, other.start_ip, other.end_ip
                ),
            ));
        }
        if (other.netmask, other.gateway) != (range.netmask, range.gateway) || !subnet.contains(&other.start_ip) {
            return Err(Failure::argument(
                "gateway",
                range.gateway,
                format!(
                    "all ranges of an L3 network share its subnet and gateway, here {} and {}",
                    other.network_cidr, other.gateway
                ),
            ));
        }
    }
    make(tx, range)
}

operation! {
    /// Gives an L3 network a range of addresses.
    AddIpRange, "5.2.15", Post "/l3-networks/{l3NetworkUuid}/ip-ranges", Job -> IpRange; {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
        /// The range's name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The first address.
        start_ip: Ipv4Addr;
        /// The last address.
        end_ip: Ipv4Addr;
        /// The subnet's mask.
        netmask: Ipv4Addr;
        /// The guests' gateway.
        gateway: Ipv4Addr;
        /// The id it gets.
        resource_uuid: Option<IpRangeUuid>;
    }
}

impl JobOperation for AddIpRange {
    type State = Option<IpRangeUuid>;

    fn locks(&self) -> Vec<String> {
        vec![self.l3_network_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("record the range", |tx, run| {
            let params = run.params;
            let draft = Draft {
                uuid: params.resource_uuid,
                l3_network: params.l3_network_uuid,
                name: &params.name,
                description: &params.description,
                start_ip: params.start_ip,
                end_ip: params.end_ip,
                netmask: params.netmask,
                gateway: params.gateway,
            };
            *run.state = Some(record_range(tx, draft, &params.system_tags, &params.user_tags)?);
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Self::State) -> Result<Value, Failure> {
        made::<IpRange>(tx, *state)
    }
}

operation! {
    /// Gives an L3 network all addresses of a subnet: the first is the gateway.
    AddIpRangeByNetworkCidr, "5.2.19", Post "/l3-networks/{l3NetworkUuid}/ip-ranges/by-cidr", Job -> IpRange; {
        /// The range's name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
        /// The subnet.
        network_cidr: String;
        /// The id it gets.
        resource_uuid: Option<IpRangeUuid>;
    }
}

impl JobOperation for AddIpRangeByNetworkCidr {
    type State = Option<IpRangeUuid>;

    fn locks(&self) -> Vec<String> {
        vec![self.l3_network_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("record the range", |tx, run| {
            let params = run.params;
            let parsed: Option<Ipv4Net> = params.network_cidr.parse().ok();
            let net = parsed.map(|net| net.trunc()).filter(|net| (1..=29).contains(&net.prefix_len()));
            let net = net.ok_or_else(|| {
                Failure::argument(
                    "networkCidr",
                    &params.network_cidr,
                    "a subnet such as 10.0.0.0/24 is needed, of at least 8 addresses",
                )
            })?;
            let first = net.network().to_bits() + 1;
            let draft = Draft {
                uuid: params.resource_uuid,
                l3_network: params.l3_network_uuid,
                name: &params.name,
                description: &params.description,
                start_ip: Ipv4Addr::from_bits(first + 1),
                end_ip: Ipv4Addr::from_bits(net.broadcast().to_bits() - 1),
                netmask: net.netmask(),
                gateway: Ipv4Addr::from_bits(first),
            };
            *run.state = Some(record_range(tx, draft, &params.system_tags, &params.user_tags)?);
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Self::State) -> Result<Value, Failure> {
        made::<IpRange>(tx, *state)
    }
}

operation! {
    /// Takes a range from its L3 network. VMs lose the interfaces that have its addresses, and are stopped for it.
    DeleteIpRange, "5.2.16", Delete "/l3-networks/ip-ranges/{uuid}", Job; {
        /// The range.
        uuid: IpRangeUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

deletes!(DeleteIpRange of IpRange);

operation! {
    /// Queries ranges of addresses.
    QueryIpRange, "5.2.17", Get "/l3-networks/ip-ranges" | "/l3-networks/ip-ranges/{uuid}", Sync -> [IpRange]; {}
}

operation! {
    /// Gives an IP range another name or description.
    UpdateIpRange, "5.2.18", Put "/l3-networks/ip-ranges/{uuid}/actions", Job -> IpRange; {
        /// The IP range.
        uuid: IpRangeUuid;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
    }
}

change_description!(UpdateIpRange of IpRange);

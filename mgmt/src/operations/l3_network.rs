//! 5.2: L3 networks.

use std::net::Ipv4Addr;

use gantry_common::{
    error::ErrorKind,
    id::{L2NetworkUuid, L3NetworkUuid},
};
use serde_json::{Value, json};

use super::{
    changing::{SWITCHES, change, describe},
    guest_network::{GuestNetworkChange, change_guest_network},
    making::{made, make, put_tags, readable_name, require},
};
use crate::{
    api::{Caller, Operation, SyncOperation, job, query, sync},
    change_state,
    clock::Timestamp,
    deletes,
    deletion::deletes,
    failure::Failure,
    job::{JobOperation, Step},
    operation,
    resource::{AdminState, L2Network, L3Network, L3NetworkDns},
    store::{SqlValue, Tx},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<CreateL3Network>(),
        deletes::<DeleteL3Network>(),
        change_guest_network::<AddDnsToL3Network>(),
        change_guest_network::<RemoveDnsFromL3Network>(),
        change_guest_network::<UpdateL3Network>(),
        change::<ChangeL3NetworkState>(),
        sync::<GetL3NetworkTypes>(),
        query::<QueryL3Network>(L3Network::declaration),
    ]
}

/// The one kind of L3 network there is.
const BASIC: &str = "L3BasicNetwork";

/// What an L3 network may be for.
const CATEGORIES: &[&str] = &["Public", "Private", "System"];

fn require_domain(domain: &str) -> Result<(), Failure> {
    let may_stand = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if domain.is_empty() || !domain.chars().all(may_stand) {
        return Err(Failure::argument("dnsDomain", domain, "a domain such as example.org is needed"));
    }
    Ok(())
}

operation! {
    /// Makes a subnet on an L2 network.
    CreateL3Network, "5.2.1", Post "/l3-networks", Job -> L3Network; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its kind.
        kind as "type": Option<String>;
        /// The L2 network it is on.
        l2_network_uuid: L2NetworkUuid;
        /// Whether it belongs to the system.
        system: Option<bool>;
        /// The DNS domain handed to guests.
        dns_domain: Option<String>, max_length 255;
        /// The id it gets.
        resource_uuid: Option<L3NetworkUuid>;
        /// What it is for.
        category: Option<String>, values CATEGORIES;
    }
}

impl JobOperation for CreateL3Network {
    type State = Option<L3NetworkUuid>;

    fn locks(&self) -> Vec<String> {
        vec![self.l2_network_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("record the L3 network", |tx, run| {
            let params = run.params;
            let l2 = require::<L2Network>(tx, "l2NetworkUuid", params.l2_network_uuid)?;
            params.dns_domain.as_deref().map_or(Ok(()), require_domain)?;
            let uuid = params.resource_uuid.unwrap_or_else(L3NetworkUuid::random);
            let now = Timestamp::now();
            make(
                tx,
                &L3Network {
                    uuid,
                    name: readable_name(&params.name)?,
                    description: params.description.clone(),
                    kind: BASIC.to_owned(),
                    zone_uuid: l2.zone_uuid,
                    l2_network_uuid: l2.uuid,
                    state: AdminState::Enabled,
                    dns_domain: params.dns_domain.clone(),
                    system: params.system.unwrap_or(false),
                    category: params.category.clone().unwrap_or_else(|| "Private".to_owned()),
                    create_date: now,
                    last_op_date: now,
                    mtu: None,
                    service_address: None,
                    router_interface_ip: None,
                },
            )?;
            put_tags::<L3Network>(tx, uuid, &params.system_tags, &params.user_tags)?;
            *run.state = Some(uuid);
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Self::State) -> Result<Value, Failure> {
        made::<L3Network>(tx, *state)
    }
}

operation! {
    /// Deletes an L3 network with its ranges; VMs lose their interfaces on it and are stopped for it.
    DeleteL3Network, "5.2.2", Delete "/l3-networks/{uuid}", Job; {
        /// The L3 network.
        uuid: L3NetworkUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

deletes!(DeleteL3Network of L3Network);

operation! {
    /// Hands a DNS server to the network's guests.
    AddDnsToL3Network, "5.2.8", Post "/l3-networks/{l3NetworkUuid}/dns", Job -> L3Network; {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
        /// The server's address.
        dns: Ipv4Addr;
    }
}

impl GuestNetworkChange for AddDnsToL3Network {
    fn l3_network_uuid(&self) -> L3NetworkUuid {
        self.l3_network_uuid
    }

    fn record(&self, tx: &Tx<'_>, l3: L3Network) -> Result<(), Failure> {
        if !tx.link(&L3NetworkDns { l3_network_uuid: l3.uuid, dns: self.dns })? {
            return Err(Failure::new(
                ErrorKind::Duplicate,
                format!("dns '{}' is a server of L3 network '{}' already", self.dns, l3.name),
            ));
        }
        Ok(())
    }
}

operation! {
    /// Hands a DNS server to the network's guests no more.
    RemoveDnsFromL3Network, "5.2.9", Delete "/l3-networks/{l3NetworkUuid}/dns/{dns}", Job -> L3Network; {
        /// The L3 network.
        l3_network_uuid: L3NetworkUuid;
        /// The server's address.
        dns: Ipv4Addr;
    }
}

impl GuestNetworkChange for RemoveDnsFromL3Network {
    fn l3_network_uuid(&self) -> L3NetworkUuid {
        self.l3_network_uuid
    }

    fn record(&self, tx: &Tx<'_>, l3: L3Network) -> Result<(), Failure> {
        let server = [("l3_network_uuid", l3.uuid.to_sql()), ("dns", self.dns.to_sql())];
        match tx.delete_where::<L3NetworkDns>(&server)? {
            0 => Err(Failure::argument("dns", self.dns, format!("it is no server of L3 network '{}'", l3.name))),
            _ => Ok(()),
        }
    }
}

operation! {
    /// Queries L3 networks.
    QueryL3Network, "5.2.3", Get "/l3-networks" | "/l3-networks/{uuid}", Sync -> [L3Network]; {}
}

operation! {
    /// Gives an L3 network another name, description, category or DNS domain.
    UpdateL3Network, "5.2.4", Put "/l3-networks/{uuid}/actions", Job -> L3Network; {
        /// The L3 network.
        uuid: L3NetworkUuid;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
        /// Whether it belongs to the system.
        system: Option<bool>;
        /// The DNS domain handed to guests from now on.
        dns_domain: Option<String>, max_length 255;
        /// What it is for from now on.
        category: Option<String>, values CATEGORIES;
    }
}

impl GuestNetworkChange for UpdateL3Network {
    const PARAMETER: &str = "uuid";

    fn l3_network_uuid(&self) -> L3NetworkUuid {
        self.uuid
    }

    fn record(&self, tx: &Tx<'_>, mut l3: L3Network) -> Result<(), Failure> {
        describe((&mut l3.name, self.name.as_deref()), (&mut l3.description, self.description.as_deref()))?;
        if let Some(domain) = &self.dns_domain {
            require_domain(domain)?;
            l3.dns_domain = Some(domain.clone());
        }
        l3.system = self.system.unwrap_or(l3.system);
        l3.category = self.category.clone().unwrap_or(l3.category);
        l3.last_op_date = Timestamp::now();
        tx.save(&l3)?;
        Ok(())
    }
}

operation! {
    /// Enables or disables an L3 network. A disabled one takes no new VM interfaces.
    ChangeL3NetworkState, "5.2.6", Put "/l3-networks/{uuid}/actions", Job -> L3Network; {
        /// The L3 network.
        uuid: L3NetworkUuid;
        /// What is to happen.
        state_event: String, values SWITCHES;
    }
}

change_state!(ChangeL3NetworkState of L3Network);

operation! {
    /// The kinds of L3 network that can be made.
    GetL3NetworkTypes, "5.2.5", Get "/l3-networks/types", Sync -> { types: [String] }; {}
}

impl SyncOperation for GetL3NetworkTypes {
    async fn answer(self, _caller: Caller) -> Result<Value, Failure> {
        Ok(json!({ "types": [BASIC] }))
    }
}

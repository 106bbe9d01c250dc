//! 9.5: consoles.

use gantry_common::{
    error::ErrorKind,
    id::{ConsoleProxyAgentUuid, VmUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    changing::{Change, change},
    making::require,
};
use crate::{
    api::{Admits, Operation, Origin, job, query},
    console::{self, Ending, PAGE},
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    onboarding::HostAddress,
    operation,
    resource::{ConnectionStatus, ConsoleProxyAgent, ManagementNode, VmInstance},
    store::Tx,
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<RequestConsoleAccess>(),
        query::<QueryConsoleProxyAgent>(ConsoleProxyAgent::declaration),
        job::<ReconnectConsoleProxyAgent>(),
        change::<UpdateConsoleProxyAgent>(),
    ]
}

operation! {
    /// Opens a way to the console of a VM instance: an address for a browser, which works once and only for a while.
    RequestConsoleAccess, "9.5.1",
        Post "/consoles", Job -> { inventory: { scheme: String, hostname: String, port: i64, token: String, url: String } }; {
        /// The VM instance.
        vm_instance_uuid: VmUuid, own true;
    }
}

/// The way that was opened. What holds the token is sealed for as long as it is stored.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Way {
    scheme: String,
    hostname: String,
    port: u16,
    token: Value,
    url: Value,
}

impl JobOperation for RequestConsoleAccess {
    type State = Way;

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("make an address for the console", |tx, run| {
            *run.state = open_way(tx, run)?;
            Ok(())
        })]
    }

    fn reply(&self, _tx: &Tx<'_>, way: &Way) -> Result<Value, Failure> {
        Ok(json!({ "inventory": way }))
    }
}

fn open_way(tx: &Tx<'_>, run: &Recording<'_, RequestConsoleAccess>) -> Result<Way, Failure> {
    let vm = require::<VmInstance>(tx, "vmInstanceUuid", run.params.vm_instance_uuid)?;
    console::screen_host(&vm)?;
    let origin = proxy_origin(tx, run)?;
    let token = console::issue(tx, vm.uuid, run.account_uuid, run.node.settings.now().console_token_timeout)?;
    // In a part of the address that browsers send nowhere: it is in no log and no Referer.
    let fragment: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("token", token.expose())
        .append_pair("name", &vm.name)
        .finish();
    let sealed = |text: &str| {
        run.node.seal.seal_within(text).map_err(|error| Failure::new(ErrorKind::Internal, error.to_string()))
    };
    Ok(Way {
        scheme: origin.scheme().to_owned(),
        hostname: origin.host().to_owned(),
        port: origin.port(),
        token: sealed(token.expose())?,
        url: sealed(&format!("{origin}{PAGE}#{fragment}"))?,
    })
}

/// Where a browser reaches the console proxy: where the caller reached the node, unless the proxy has an address of its own.
fn proxy_origin(tx: &Tx<'_>, run: &Recording<'_, RequestConsoleAccess>) -> Result<Origin, Failure> {
    let reached = match run.origin {
        Some(origin) => Some(origin.clone()),
        None => tx
            .get::<ManagementNode>(run.node.uuid)?
            .and_then(|node| Origin::plain(&node.host_name, run.node.config.listen.port())),
    };
    let overridden = console::proxy(tx)?.and_then(|proxy| proxy.console_proxy_overridden_ip);
    let origin = match overridden {
        Some(address) => reached.and_then(|origin| origin.at(&address.to_string())),
        None => reached,
    };
    origin.ok_or_else(|| {
        Failure::new(
            ErrorKind::Internal,
            "the node does not know at which address it is reached: set one with UpdateConsoleProxyAgent",
        )
    })
}

operation! {
    /// Queries console proxy agents. The management node is one, and the only one.
    QueryConsoleProxyAgent, "9.5.2", Get "/consoles/agents" | "/consoles/agents/{uuid}", Sync -> [ConsoleProxyAgent]; {}
}

operation! {
    /// Reconnects console proxy agents: the consoles that are open are closed, and can be opened anew.
    ReconnectConsoleProxyAgent, "9.5.3",
        Put "/consoles/agents", Job -> { inventory: (Json) }, body_keys &["reconnectConsoleProxyAgent", "params"],
        admits Some(Admits::Operator); {
        /// The agents; all of them where they are left out.
        agent_uuids: Option<Vec<ConsoleProxyAgentUuid>>, nonempty true;
    }
}

impl JobOperation for ReconnectConsoleProxyAgent {
    type State = Vec<ConsoleProxyAgentUuid>;

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("find the agents", |tx, run| {
                *run.state = match &run.params.agent_uuids {
                    Some(named) => named.clone(),
                    None => tx.all::<ConsoleProxyAgent>()?.into_iter().map(|agent| agent.uuid).collect(),
                };
                for agent in run.state.iter() {
                    require::<ConsoleProxyAgent>(tx, "agentUuids", *agent)?;
                }
                Ok(())
            }),
            Step::remote("close their consoles", |run: Run<Self>| async move {
                run.node.consoles.close_all(Ending::ProxyReconnected);
                Ok(run.state)
            }),
            Step::record("record that they are connected", |tx, run| {
                for agent in run.state.iter() {
                    let known = require::<ConsoleProxyAgent>(tx, "agentUuids", *agent)?;
                    tx.save(&ConsoleProxyAgent { status: ConnectionStatus::Connected, ..known })?;
                    tx.touch::<ConsoleProxyAgent>(*agent)?;
                }
                Ok(())
            }),
        ]
    }

    fn reply(&self, _tx: &Tx<'_>, agents: &Self::State) -> Result<Value, Failure> {
        let connected: Map<String, Value> = agents.iter().map(|agent| (agent.to_string(), json!(true))).collect();
        Ok(json!({ "inventory": connected }))
    }
}

operation! {
    /// Updates a console proxy agent: the address that consoles' URLs name.
    UpdateConsoleProxyAgent, "9.5.4",
        Put "/consoles/agents/{uuid}/actions", Job -> ConsoleProxyAgent, admits Some(Admits::Operator); {
        /// The console proxy agent.
        uuid: ConsoleProxyAgentUuid;
        /// The address or name at which browsers reach the proxy; empty for the one at which callers reach the API.
        console_proxy_overridden_ip: String;
    }
}

impl Change for UpdateConsoleProxyAgent {
    type Resource = ConsoleProxyAgent;

    fn key(&self) -> ConsoleProxyAgentUuid {
        self.uuid
    }

    fn apply(&self, _tx: &Tx<'_>, agent: &mut ConsoleProxyAgent) -> Result<(), Failure> {
        let address = self.console_proxy_overridden_ip.trim();
        let parsed = || address.parse::<HostAddress>();
        agent.console_proxy_overridden_ip = match address {
            "" => None,
            _ => Some(parsed().map_err(|error| Failure::argument("consoleProxyOverriddenIp", address, error))?),
        };
        Ok(())
    }
}

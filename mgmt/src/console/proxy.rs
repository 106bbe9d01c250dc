//! The node as a console proxy agent.

use gantry_common::id::{ConsoleProxyAgentUuid, NodeUuid};

use crate::{
    clock::Timestamp,
    failure::Failure,
    resource::{AdminState, ConnectionStatus, ConsoleProxyAgent, ManagementNode},
    store::{Store, Tx},
};

/// Records the node as its own console proxy agent, or brings what is recorded up to date.
pub async fn record_proxy(store: &Store, node: NodeUuid) -> Result<(), Failure> {
    store
        .write(move |tx| {
            let management_ip = tx.get::<ManagementNode>(node)?.map_or_else(String::new, |node| node.host_name);
            match proxy(tx)? {
                Some(known) if known.management_ip == management_ip => {}
                Some(known) => {
                    tx.save(&ConsoleProxyAgent { management_ip, ..known })?;
                }
                None => {
                    let now = Timestamp::now();
                    tx.insert(&ConsoleProxyAgent {
                        uuid: ConsoleProxyAgentUuid::random(),
                        description: None,
                        management_ip,
                        console_proxy_overridden_ip: None,
                        kind: "ManagementServerConsoleProxy".to_owned(),
                        status: ConnectionStatus::Connected,
                        state: AdminState::Enabled,
                        create_date: now,
                        last_op_date: now,
                    })?;
                }
            }
            Ok(())
        })
        .await
}

/// The node's own record as a console proxy agent.
pub fn proxy(tx: &Tx<'_>) -> Result<Option<ConsoleProxyAgent>, Failure> {
    Ok(tx.all::<ConsoleProxyAgent>()?.pop())
}

//! What shows VMs' consoles.

use gantry_common::id::ConsoleProxyAgentUuid;

use super::{AdminState, ConnectionStatus, Declaration};
use crate::{clock::Timestamp, onboarding::HostAddress, resource};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] = &[ConsoleProxyAgent::declaration];

resource! {
    /// A console proxy agent: the management node itself.
    ConsoleProxyAgent, table "console_proxy_agent", class "org.zstack.header.console.ConsoleProxyAgentInventory" {
        /// Its id.
        uuid: ConsoleProxyAgentUuid,
        /// Free text.
        description: Option<String>,
        /// The name or address of the management node's machine.
        management_ip: String,
        /// The name or address at which browsers reach it, where that is another one than callers of the API use.
        console_proxy_overridden_ip: Option<HostAddress>,
        /// `ManagementServerConsoleProxy`.
        kind as "type": String,
        /// Whether it is connected: the node itself always is.
        status: ConnectionStatus,
        /// Whether it may be used.
        state: AdminState,
        /// When it was recorded.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
}

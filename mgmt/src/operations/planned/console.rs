//! 9.5: consoles.

use std::net::Ipv4Addr;

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Opens a way to the console of a VM instance.
    RequestConsoleAccess, "9.5.1", Post "/consoles", Job -> Console; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
    }

    /// Queries console proxy agents.
    QueryConsoleProxyAgent, "9.5.2", Get "/consoles/agents" | "/consoles/agents/{uuid}", Sync -> [ConsoleProxyAgent]; {}

    /// Connects to a console proxy agent anew.
    ReconnectConsoleProxyAgent, "9.5.3",
        Put "/consoles/agents", Job -> { inventory: (Json) }, body_keys &["reconnectConsoleProxyAgent", "params"]; {
        /// The agents.
        agent_uuids: Option<Vec<Uuid>>, nonempty true;
    }

    /// Updates a console proxy agent.
    UpdateConsoleProxyAgent, "9.5.4", Put "/consoles/agents/{uuid}/actions", Job -> ConsoleProxyAgent; {
        /// The console proxy agent.
        uuid: Uuid;
        /// The address at which clients reach the proxy.
        console_proxy_overridden_ip: Ipv4Addr;
    }
}

inventories! {
    /// A way to the console of a VM instance.
    Console {
        scheme: String, hostname: String, port: i64, token: String,
    }

    /// A console proxy agent.
    ConsoleProxyAgent {
        uuid: Uuid, description: String, managementIp: String, type: String, status: String, state: String,
        createDate: Timestamp, lastOpDate: Timestamp,
    }
}

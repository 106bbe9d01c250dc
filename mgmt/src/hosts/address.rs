//! Where a machine is reached: one agent, one address, whatever the machine is to the inventory.

use std::{sync::Arc, time::Duration};

use gantry_common::id::HostUuid;

use super::fleet::HostEndpoint;
use crate::{
    clock::Timestamp,
    failure::Failure,
    node::Node,
    operations::require,
    resource::{BackupStorage, Host, Machine},
    store::{SqlValue, Tx},
};

/// How long a machine at its new address is waited for.
const FOLLOWED: Duration = Duration::from_secs(15);

/// Records a machine's new address: its own, that of the host that it is, and that of the backup storages on it.
pub fn move_machine(tx: &Tx<'_>, machine: HostUuid, address: &str) -> Result<(), Failure> {
    let known = require::<Machine>(tx, "machineUuid", machine)?;
    tx.save(&Machine { address: address.to_owned(), ..known })?;
    let now = Timestamp::now();
    if let Some(host) = tx.get::<Host>(machine)? {
        tx.save(&Host { management_ip: address.to_owned(), last_op_date: now, ..host })?;
    }
    for storage in tx.find::<BackupStorage>(&[("machine_uuid", machine.to_sql())])? {
        tx.save(&BackupStorage { hostname: address.to_owned(), last_op_date: now, ..storage })?;
    }
    Ok(())
}

/// Follows a machine to its new address, where it answered a moment ago. Should it be away now, it is dialled until it is
/// back.
pub async fn follow_machine(node: &Arc<Node>, endpoint: HostEndpoint) {
    let machine = endpoint.host;
    node.fleet.watch(endpoint);
    if let Err(failure) = node.wait_connected(machine, FOLLOWED).await {
        tracing::warn!(host = %machine, error = %failure, "the machine that moved is not connected yet");
    }
}

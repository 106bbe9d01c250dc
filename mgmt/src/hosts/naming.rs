//! How texts name hosts. An operator is told a host's name and address; an account, which sees no hosts, its id alone: that
//! stands in the records of its VMs, and the operator can tell by it which host is meant.

use gantry_common::id::HostUuid;

use crate::{failure::Failure, resource::Host, store::Tx};

/// What a text calls a host, to whoever the work is for.
pub fn host_name(tx: &Tx<'_>, uuid: HostUuid) -> Result<String, Failure> {
    let host = if tx.is_operators()? { tx.get::<Host>(uuid)? } else { None };
    Ok(host.map_or_else(|| format!("host {uuid}"), |host| format!("host '{}' ({})", host.name, host.management_ip)))
}

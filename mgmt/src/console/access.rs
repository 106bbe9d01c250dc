//! Tokens: whoever holds one may open one VM's console, once and soon.
//!
//! A token is 128 random bits. Only its digest is stored. It ends with its first use, whatever comes of that; when it has
//! expired; when its VM stops or moves to another host (the database sees to it); when its VM gets another owner; and with its
//! account. Logging out does not
//! end it: an address may be handed on, and scripts log out when they are done.

use std::time::Duration;

use gantry_common::{
    error::ErrorKind,
    id::{AccountUuid, HostUuid, VmUuid},
};
use sha2::{Digest, Sha256};

use super::Ending;
use crate::{
    api::Principal,
    clock::Timestamp,
    failure::Failure,
    node::Node,
    query::Right,
    resource::{VmInstance, VmInstanceState},
    secret::Secret,
    store::{ConsoleAccess, Tx},
};

/// What a token opened.
#[derive(Debug, Clone, Copy)]
pub struct Opened {
    /// The VM.
    pub vm: VmUuid,
    /// The host it runs on.
    pub host: HostUuid,
    /// The account that asked for the token.
    pub account: AccountUuid,
}

/// Makes a token for a VM's console.
pub fn issue(tx: &Tx<'_>, vm: VmUuid, account: AccountUuid, lifetime: Duration) -> Result<Secret, Failure> {
    let token = Secret::new(hex::encode(rand::random::<[u8; 16]>()));
    tx.insert_console_access(&ConsoleAccess {
        token_digest: digest(token.expose()),
        vm_uuid: vm,
        account_uuid: account,
        expires_date: Timestamp::now().plus(lifetime),
    })?;
    Ok(token)
}

/// Takes a token in. It is of no use afterwards.
pub async fn redeem(node: &Node, token: &str) -> Result<Opened, Ending> {
    let (digest, admin) = (digest(token), node.admin);
    let redeemed = node
        .store
        .write(move |tx| {
            // What is found out now is no failure of the change: the token must stay used.
            let access = tx.take_console_access(&digest)?;
            let Some(access) = access.filter(|access| access.expires_date > Timestamp::now()) else {
                return Ok(Err(Ending::BadToken));
            };
            let Some(vm) = tx.get::<VmInstance>(access.vm_uuid)? else { return Ok(Err(Ending::BadToken)) };
            if !may_use(tx, admin, access.account_uuid, vm.uuid)? {
                return Ok(Err(Ending::BadToken));
            }
            let opened = screen_host(&vm).map(|host| Opened { vm: vm.uuid, host, account: access.account_uuid });
            Ok::<_, Failure>(opened.map_err(|failure| Ending::CannotOpen(failure.details)))
        })
        .await;
    redeemed.unwrap_or_else(|failure| Err(Ending::CannotOpen(failure.details)))
}

/// Whether the VM is the account's still: it may have got another owner since the token was made.
fn may_use(tx: &Tx<'_>, admin: AccountUuid, account: AccountUuid, vm: VmUuid) -> Result<bool, Failure> {
    match Principal::of(tx, admin, account)? {
        Principal::Operator(_) => Ok(true),
        Principal::Account(account) => {
            Ok(tx.has_right(VmInstance::declaration(), &vm.to_string(), Right::Own, account)?)
        }
        Principal::Stranger => Ok(false),
    }
}

/// The host where the VM's screen is.
pub fn screen_host(vm: &VmInstance) -> Result<HostUuid, Failure> {
    use VmInstanceState::{Paused, Pausing, Rebooting, Resuming, Running, Unknown};
    let refused = |kind, what: &str| Failure::new(kind, format!("VM '{}' is {}: {what}", vm.name, vm.state));
    match (vm.state, vm.host_uuid) {
        (Running | Paused | Pausing | Resuming | Rebooting, Some(host)) => Ok(host),
        (Unknown, _) => Err(refused(ErrorKind::HostDisconnected, "its host is not connected; see QueryHost")),
        _ => Err(refused(ErrorKind::StateForbids, "it has a console only while it runs: start it")),
    }
}

fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

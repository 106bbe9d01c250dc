//! Accounts, what is given to them, and a group of VMs.

use gantry_common::id::*;
use gantry_mgmt::{failure::Failure, resource::*, store::Tx};

use super::{Built, Ground, Shape, text};

/// An affinity group with all VMs in it.
pub fn put_group(tx: &Tx<'_>, built: &mut Built, ground: &Ground) -> Result<(), Failure> {
    let uuid: AffinityGroupUuid = built.id();
    tx.insert(&AffinityGroup {
        uuid,
        name: text("group"),
        description: None,
        policy: AffinityPolicy::AntiSoft,
        version: text("1.0"),
        kind: text("HOST"),
        appliance: text("CUSTOMER"),
        state: AdminState::Enabled,
        create_date: ground.now,
        last_op_date: ground.now,
    })?;
    for vm in tx.all::<VmInstance>()? {
        tx.insert(&AffinityGroupUsage {
            uuid: built.id(),
            affinity_group_uuid: uuid,
            resource_uuid: vm.uuid,
            resource_type: text("VmInstanceVO"),
            create_date: ground.now,
            last_op_date: ground.now,
        })?;
    }
    built.target("DeleteAffinityGroup", "AffinityGroup", uuid);
    Ok(())
}

/// Accounts, with what the shape gives them; the rest is the operator's. Each is shared what it does not own.
pub fn put_accounts(tx: &Tx<'_>, built: &mut Built, shape: &Shape, ground: &Ground) -> Result<(), Failure> {
    let mut accounts: Vec<AccountUuid> = Vec::new();
    for index in 0..shape.accounts {
        let uuid = built.id();
        tx.insert(&Account {
            uuid,
            name: format!("account {index}"),
            description: None,
            kind: AccountType::Normal,
            create_date: ground.now,
            last_op_date: ground.now,
            password_hash: String::new(),
        })?;
        accounts.push(uuid);
        built.target("DeleteAccount", "Account", uuid);
    }
    let mut refs = tx.all::<AccountResourceRef>()?;
    refs.sort_by_key(|owned| owned.resource_uuid.to_string());
    for (index, owned) in refs.iter().enumerate() {
        let declaration = by_name(owned.resource_type.trim_end_matches("VO")).unwrap();
        let number = shape.owners[index % shape.owners.len()] % (accounts.len() + 1);
        let is_part = tx.part_of(declaration, owned.resource_uuid)?.is_some();
        let Some(account) = number.checked_sub(1).map(|at| accounts[at]).filter(|_| !is_part) else { continue };
        for part in tx.parts(owned.resource_uuid)? {
            tx.change_owner(part, account)?;
        }
        tx.change_owner(owned.resource_uuid, account)?;
        let others = accounts.iter().filter(|other| **other != account).copied().map(Some).chain([None]);
        let is_shareable = matches!(declaration.scope, Scope::Owned { shareable: true, .. });
        for receiver in others.filter(|_| is_shareable) {
            tx.insert(&SharedResource {
                resource_uuid: owned.resource_uuid,
                owner_account_uuid: account,
                receiver_account_uuid: receiver,
                to_public: receiver.is_none(),
                resource_type: owned.resource_type.clone(),
                create_date: ground.now,
                last_op_date: ground.now,
            })?;
        }
    }
    Ok(())
}

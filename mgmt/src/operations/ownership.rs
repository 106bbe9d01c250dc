//! 9.1: who owns which resource, and what is shared with whom.

use gantry_common::{
    error::ErrorKind,
    id::{AccountUuid, ResourceUuid},
};
use serde_json::{Value, json};

use super::making::require;
use crate::{
    api::{Operation, job, query},
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Step},
    operation,
    query::{Query, run as run_query},
    resource::{self, Account, AccountResourceRef, Declaration, Scope, SharedResource},
    store::{SqlValue, Tx},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        query::<QueryAccountResourceRef>(AccountResourceRef::declaration),
        job::<ChangeResourceOwner>(),
        job::<ShareResource>(),
        job::<RevokeResourceSharing>(),
        query::<QuerySharedResource>(SharedResource::declaration),
    ]
}

operation! {
    /// Queries which account owns which resource.
    QueryAccountResourceRef, "9.1.11", Get "/accounts/resources/refs", Sync -> [AccountResourceRef]; {}
}

/// What is owned, and by whom, with its declaration.
fn owned(
    tx: &Tx<'_>,
    parameter: &str,
    uuid: ResourceUuid,
) -> Result<(AccountResourceRef, &'static Declaration), Failure> {
    let found = tx.owner(uuid)?;
    let found = found.and_then(|owner| {
        let declaration = resource::by_type_name(&owner.resource_type)?;
        Some((owner, declaration))
    });
    found.ok_or_else(|| {
        let details = format!(
            "{parameter} '{uuid}' names nothing that has an owner: use QueryAccountResourceRef to see what accounts own"
        );
        Failure::new(ErrorKind::ResourceNotFound, details)
    })
}

operation! {
    /// Gives a resource to another account, a VM with its interfaces and the volumes attached to it. It is not shared any more.
    ChangeResourceOwner, "9.1.38", Post "/account/{accountUuid}/resources", Job -> AccountResourceRef; {
        /// The account that gets it.
        account_uuid: AccountUuid;
        /// The resource.
        resource_uuid: ResourceUuid;
    }
}

impl JobOperation for ChangeResourceOwner {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.resource_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("give it to the account", |tx, run| {
            let params = run.params;
            let account = require::<Account>(tx, "accountUuid", params.account_uuid)?;
            let (_, declaration) = owned(tx, "resourceUuid", params.resource_uuid)?;
            if let Some(whole) = tx.part_of(declaration, params.resource_uuid)? {
                let details = format!(
                    "the {} '{}' belongs to '{whole}' and has its owner: change that one's owner, or detach it first",
                    declaration.name, params.resource_uuid
                );
                return Err(Failure::new(ErrorKind::StateForbids, details));
            }
            for part in tx.parts(params.resource_uuid)? {
                tx.change_owner(part, account.uuid)?;
            }
            Ok(tx.change_owner(params.resource_uuid, account.uuid)?)
        })]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        let condition = format!("resourceUuid={}", self.resource_uuid);
        let query = Query::parse(&[("q".to_owned(), condition)])?;
        let mut reply = run_query(tx, AccountResourceRef::declaration(), &query)?;
        Ok(json!({ "inventory": reply["inventories"][0].take() }))
    }
}

/// What can be shared: it is used by others and stays its owner's to change.
fn shareable(tx: &Tx<'_>, uuid: ResourceUuid) -> Result<AccountResourceRef, Failure> {
    let (owner, declaration) = owned(tx, "resourceUuids", uuid)?;
    if matches!(declaration.scope, Scope::Owned { shareable: true, .. }) {
        return Ok(owner);
    }
    let can_be = |declaration: &&&Declaration| matches!(declaration.scope, Scope::Owned { shareable: true, .. });
    let names: Vec<&str> = resource::ALL.iter().filter(can_be).map(|declaration| declaration.name).collect();
    let remedy = format!("a {} cannot be shared; what can is {}", declaration.name, names.join(", "));
    Err(Failure::argument("resourceUuids", uuid, remedy))
}

operation! {
    /// Lets accounts, or all of them, see and use resources: images, offerings, L3 networks.
    ShareResource, "9.1.12", Put "/accounts/resources/actions", Job; {
        /// Whether it is for all accounts.
        to_public: Option<bool>;
        /// The resources.
        resource_uuids: Vec<ResourceUuid>, nonempty true;
        /// The accounts.
        account_uuids: Option<Vec<AccountUuid>>;
    }
}

impl JobOperation for ShareResource {
    type State = ();

    fn locks(&self) -> Vec<String> {
        self.resource_uuids.iter().map(ToString::to_string).collect()
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("share them", |tx, run| {
            let params = run.params;
            let to_public = params.to_public == Some(true);
            let accounts = params.account_uuids.as_deref().unwrap_or_default();
            if accounts.is_empty() && !to_public {
                let remedy = "name the accounts, or set toPublic for all";
                return Err(Failure::argument("accountUuids", "", remedy));
            }
            for account in accounts {
                require::<Account>(tx, "accountUuids", *account)?;
            }
            let receivers = accounts.iter().copied().map(Some).chain(to_public.then_some(None));
            for receiver in receivers {
                for uuid in &params.resource_uuids {
                    let owner = shareable(tx, *uuid)?;
                    let now = Timestamp::now();
                    // What is shared already stays as it is.
                    tx.link(&SharedResource {
                        resource_uuid: *uuid,
                        owner_account_uuid: owner.account_uuid,
                        receiver_account_uuid: receiver,
                        to_public: receiver.is_none(),
                        resource_type: owner.resource_type,
                        create_date: now,
                        last_op_date: now,
                    })?;
                }
            }
            Ok(())
        })]
    }
}

operation! {
    /// Ends the sharing of resources. What accounts have made of them stays.
    RevokeResourceSharing, "9.1.37", Put "/accounts/resources/actions", Job; {
        /// The resources.
        resource_uuids: Vec<ResourceUuid>, nonempty true;
        /// Whether they are not for all accounts any more.
        to_public: Option<bool>;
        /// The accounts that they are not for any more.
        account_uuids: Option<Vec<AccountUuid>>;
        /// Whether they are for nobody any more.
        all: Option<bool>;
    }
}

impl JobOperation for RevokeResourceSharing {
    type State = ();

    fn locks(&self) -> Vec<String> {
        self.resource_uuids.iter().map(ToString::to_string).collect()
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("end the sharing", |tx, run| {
            let params = run.params;
            let accounts = params.account_uuids.as_deref().unwrap_or_default();
            let (all, to_public) = (params.all == Some(true), params.to_public == Some(true));
            if accounts.is_empty() && !all && !to_public {
                let remedy = "name the accounts, or set toPublic or all";
                return Err(Failure::argument("accountUuids", "", remedy));
            }
            for uuid in &params.resource_uuids {
                owned(tx, "resourceUuids", *uuid)?;
                let of = ("resource_uuid", uuid.to_sql());
                if all {
                    tx.delete_where::<SharedResource>(std::slice::from_ref(&of))?;
                }
                if to_public {
                    tx.delete_where::<SharedResource>(&[of.clone(), ("to_public", true.to_sql())])?;
                }
                for account in accounts {
                    let receiver = ("receiver_account_uuid", account.to_sql());
                    tx.delete_where::<SharedResource>(&[of.clone(), receiver])?;
                }
            }
            Ok(())
        })]
    }
}

operation! {
    /// Queries which resources are shared with whom.
    QuerySharedResource, "9.1.36", Get "/accounts/resources", Sync -> [SharedResource]; {}
}

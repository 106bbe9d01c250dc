//! Accounts, and what they have that is no more than a row.

use gantry_common::id::{AccountUuid, AffinityGroupUuid};

use super::{Kind, held, plain};
use crate::{
    failure::Failure,
    operations::expel,
    resource::{self, AccountResourceRef, AffinityGroupUsage, SharedResource},
    store::{Row, RowKey, SqlValue, Tx},
};

pub const AFFINITY_GROUP: Kind = Kind {
    before: |tx, row| {
        let group: AffinityGroupUuid = held(row, "uuid")?;
        let usages = tx.find::<AffinityGroupUsage>(&[("affinity_group_uuid", group.to_sql())])?;
        usages.into_iter().try_for_each(|usage| expel(tx, usage.resource_uuid))
    },
    ..plain("AffinityGroup", "affinity group")
};

pub const ACCOUNT: Kind = Kind {
    before: |tx, row| {
        let account: AccountUuid = held(row, "uuid")?;
        tx.delete_where::<SharedResource>(&[("receiver_account_uuid", account.to_sql())])?;
        Ok(())
    },
    ..plain("Account", "account")
};

/// What the accounts own that go.
pub fn owned<'a>(
    tx: &Tx<'_>,
    goes: impl Fn(&RowKey) -> bool,
    going: impl Iterator<Item = &'a RowKey>,
) -> Result<Vec<Row>, Failure> {
    let mut owned = Vec::new();
    for account in going.filter(|key| key.resource == ACCOUNT.name) {
        for of in tx.rows_with(AccountResourceRef::declaration(), "account_uuid", &account.to_string())? {
            let declaration = of.text("resource_type").and_then(resource::by_type_name);
            let Some((declaration, uuid)) = declaration.zip(of.text("resource_uuid")) else { continue };
            let key = RowKey::new(declaration.name, [uuid.to_owned()]);
            if !goes(&key) {
                owned.extend(tx.row(&key)?);
            }
        }
    }
    Ok(owned)
}

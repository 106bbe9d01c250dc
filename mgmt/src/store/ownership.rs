//! Who owns what is added to the inventory, and what the accounts may see and change of it.

use gantry_common::id::{AccountUuid, ResourceUuid};
use rusqlite::{Connection, params, params_from_iter, types::Value};

use super::{SqlValue, StoreError, Tx, column, query::compile};
use crate::{
    clock::Timestamp,
    query::Right,
    resource::{ALL, Account, AccountResourceRef, AccountType, Declaration, Scope},
};

tokio::task_local! {
    static ACCOUNT: AccountUuid;
}

/// Does `work` on behalf of an account: what it adds to the inventory is that account's. Work on behalf of nobody is the
/// operator's.
pub async fn on_behalf_of<T>(account: AccountUuid, work: impl Future<Output = T>) -> T {
    ACCOUNT.scope(account, work).await
}

/// On whose behalf the running task works.
pub(super) fn acting_account() -> Option<AccountUuid> {
    ACCOUNT.try_with(|account| *account).ok()
}

/// Has a connection forget the owner of whatever is deleted by it, however that is done, and with whom it was shared.
pub(super) fn forget_with_what_is_deleted(connection: &Connection) -> Result<(), StoreError> {
    for declaration in ALL.iter().filter(|declaration| declaration.scope.is_owned()) {
        let (table, key) = (declaration.table, declaration.key().name);
        connection.execute_batch(&format!(
            "CREATE TEMP TRIGGER {table}_is_deleted AFTER DELETE ON main.{table} BEGIN
                 DELETE FROM account_resource_ref WHERE resource_uuid = OLD.{key};
                 DELETE FROM shared_resource WHERE resource_uuid = OLD.{key};
             END"
        ))?;
    }
    Ok(())
}

/// The column that names what a resource is a part of.
fn part_of(declaration: &Declaration) -> Option<&'static str> {
    match declaration.scope {
        Scope::Owned { part_of, .. } => part_of,
        _ => None,
    }
}

impl Tx<'_> {
    /// Whether the work is the operator's: on behalf of nobody, or of an account that sees everything.
    pub fn is_operators(&self) -> Result<bool, StoreError> {
        let Some(account) = self.account else { return Ok(true) };
        Ok(self.get::<Account>(account)?.is_some_and(|account| account.kind == AccountType::SystemAdmin))
    }

    /// Gives a new row its owner: that of what it is a part of, else who works, else the operator.
    pub(super) fn give_owner(&self, declaration: &Declaration, values: &[Value]) -> Result<(), StoreError> {
        if !declaration.scope.is_owned() {
            return Ok(());
        }
        let whole = part_of(declaration).and_then(|name| declaration.columns.iter().position(|c| c.name == name));
        let whole = whole.map_or(&Value::Null, |index| &values[index]);
        // An inventory without any account has no owners.
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO account_resource_ref
                     (resource_uuid, account_uuid, resource_type, create_date, last_op_date)
                 SELECT ?1, owner, ?2, ?3, ?3 FROM (SELECT coalesce(
                     (SELECT account_uuid FROM account_resource_ref WHERE resource_uuid = ?4), ?5,
                     (SELECT uuid FROM account WHERE kind = 'SystemAdmin' ORDER BY create_date LIMIT 1)) AS owner)
                 WHERE owner IS NOT NULL",
            )?
            .execute(params![
                values[0],
                declaration.type_name(),
                Timestamp::now().to_sql(),
                whole,
                self.account.map_or(Value::Null, |account| account.to_sql()),
            ])?;
        Ok(())
    }

    /// Gives an owned resource to another account. What was shared by its old owner is not shared any more.
    pub fn change_owner(&self, resource: impl std::fmt::Display, account: AccountUuid) -> Result<(), StoreError> {
        self.refuse_if_account_is_going(account)?;
        let resource = resource.to_string();
        self.connection
            .prepare_cached(
                "UPDATE account_resource_ref SET account_uuid = ?2, last_op_date = ?3 WHERE resource_uuid = ?1",
            )?
            .execute(params![resource, account.to_sql(), Timestamp::now().to_sql()])?;
        self.connection.prepare_cached("DELETE FROM shared_resource WHERE resource_uuid = ?")?.execute([resource])?;
        Ok(())
    }

    /// The resources that are a part of another one, and have its owner.
    pub fn parts(&self, whole: ResourceUuid) -> Result<Vec<ResourceUuid>, StoreError> {
        let mut parts = Vec::new();
        for (declaration, part_of) in ALL.iter().filter_map(|found| Some((found, part_of(found)?))) {
            let (key, table) = (declaration.key().name, declaration.table);
            let sql = format!("SELECT {key} FROM {table} WHERE {part_of} = ?");
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([whole.to_sql()])?;
            while let Some(row) = rows.next()? {
                parts.push(column(row, 0)?);
            }
        }
        Ok(parts)
    }

    /// What a resource is a part of.
    pub fn part_of(&self, part: &Declaration, key: ResourceUuid) -> Result<Option<ResourceUuid>, StoreError> {
        let Some(part_of) = part_of(part) else { return Ok(None) };
        let sql = format!("SELECT {part_of} FROM {} WHERE {} = ?", part.table, part.key().name);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([key.to_sql()])?;
        Ok(rows.next()?.map(|row| column(row, 0)).transpose()?.flatten())
    }

    /// Who owns a resource, and of which type it is.
    pub fn owner(&self, resource: impl std::fmt::Display) -> Result<Option<AccountResourceRef>, StoreError> {
        let key = AccountResourceRef::declaration().key().name;
        Ok(self.find::<AccountResourceRef>(&[(key, Value::Text(resource.to_string()))])?.pop())
    }

    /// Whether an account has this right to the resource with this key.
    pub fn has_right(
        &self,
        resource: &'static Declaration,
        key: &str,
        right: Right,
        account: AccountUuid,
    ) -> Result<bool, StoreError> {
        let sql = compile::one(resource, key, right, account);
        Ok(self.connection.prepare_cached(&sql.text)?.exists(params_from_iter(&sql.values))?)
    }
}

/// What a resource is a part of by its declaration names a column that is there.
#[cfg(test)]
mod tests {
    use crate::resource::{ALL, Scope, by_name};

    #[test]
    fn what_scopes_name_is_there() {
        for declaration in ALL.iter() {
            let has = |column: &str| assert!(declaration.column(column).is_some(), "{}: {column}", declaration.name);
            match declaration.scope {
                Scope::Operator | Scope::Everyone => {}
                Scope::Owned { part_of, .. } => {
                    assert_eq!(declaration.key().name, "uuid", "{}", declaration.name);
                    part_of.into_iter().for_each(has);
                }
                Scope::About(column) => has(column),
                Scope::Account(columns) => columns.iter().copied().for_each(has),
                Scope::With(relation) => {
                    let relation = declaration.relation(relation).expect(declaration.name);
                    assert!(relation.via.is_none(), "{}", declaration.name);
                    let target = by_name(relation.target).unwrap();
                    assert_ne!(target.name, declaration.name);
                }
            }
        }
    }
}

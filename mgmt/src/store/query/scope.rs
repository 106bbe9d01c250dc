//! What an account sees of a table, as a condition in SQL. Everything that is read for an account is read through this.

use gantry_common::id::AccountUuid;

use super::compile::Sql;
use crate::{
    query::{Right, View},
    resource::{Declaration, Scope, by_name},
    store::SqlValue,
};

/// Whether this view of a resource leaves anything out.
pub fn narrows(view: View, resource: &Declaration) -> bool {
    view != View::Operator && resource.scope != Scope::Everyone
}

impl Sql {
    /// The condition that a row is seen.
    pub fn seen(&mut self, view: View, resource: &'static Declaration) {
        match view {
            View::Operator => self.push(&["1"]),
            View::Account(account) => self.within(resource, Right::See, account),
        }
    }

    /// The condition that an account has a right to a row.
    pub fn within(&mut self, resource: &'static Declaration, right: Right, account: AccountUuid) {
        let table = resource.table;
        match (resource.scope, right) {
            (Scope::Everyone, Right::See) => self.push(&["1"]),
            (Scope::Everyone, Right::Own) | (Scope::Operator, _) => self.push(&["0"]),
            (Scope::Owned { .. }, _) => {
                self.push(&[table, ".", resource.key().name]);
                self.among_owned(resource, right, account);
            }
            (Scope::With(name), _) => {
                let relation = resource.relation(name);
                let Some((relation, whole)) = relation.and_then(|found| Some((found, by_name(found.target)?))) else {
                    return self.push(&["0"]);
                };
                self.push(&[table, ".", relation.local]);
                if whole.scope.is_owned() && relation.remote == whole.key().name {
                    return self.among_owned(whole, right, account);
                }
                self.push(&[" IN (SELECT ", relation.remote, " FROM ", whole.table, " WHERE "]);
                self.within(whole, right, account);
                self.push(&[")"]);
            }
            (Scope::About(column), _) => {
                self.push(&[
                    table,
                    ".",
                    column,
                    " IN (SELECT resource_uuid FROM account_resource_ref WHERE account_uuid = ?",
                ]);
                self.bind(account.to_sql());
                if right == Right::See {
                    self.push(&[
                        " UNION ALL SELECT resource_uuid FROM shared_resource WHERE receiver_account_uuid = ?",
                    ]);
                    self.bind(account.to_sql());
                    self.push(&[" UNION ALL SELECT resource_uuid FROM shared_resource WHERE to_public = 1"]);
                }
                self.push(&[")"]);
            }
            (Scope::Account(columns), _) => {
                let columns = if right == Right::Own { &columns[..1] } else { columns };
                self.push(&["("]);
                for (index, column) in columns.iter().enumerate() {
                    self.push(&[if index == 0 { "" } else { " OR " }, table, ".", column, " = ?"]);
                    self.bind(account.to_sql());
                }
                self.push(&[")"]);
            }
        }
    }

    /// `IN` the owned resources of this kind that an account has a right to.
    fn among_owned(&mut self, resource: &Declaration, right: Right, account: AccountUuid) {
        let kind = format!(" AND resource_type = '{}'", resource.type_name());
        self.push(&[" IN (SELECT resource_uuid FROM account_resource_ref WHERE account_uuid = ?", &kind]);
        self.bind(account.to_sql());
        if right == Right::See && matches!(resource.scope, Scope::Owned { shareable: true, .. }) {
            self.push(&[" UNION ALL SELECT resource_uuid FROM shared_resource WHERE receiver_account_uuid = ?", &kind]);
            self.bind(account.to_sql());
            self.push(&[" UNION ALL SELECT resource_uuid FROM shared_resource WHERE to_public = 1", &kind]);
        }
        self.push(&[")"]);
    }
}

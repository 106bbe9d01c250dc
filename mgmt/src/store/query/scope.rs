//! What an account sees of a table, as a condition in SQL. Everything that is read for an account is read through this.

use gantry_common::id::AccountUuid;
use rusqlite::params;

use super::compile::Sql;
use crate::{
    query::{Right, View},
    resource::{Declaration, Scope, by_name},
    store::{SqlValue, StoreError, Tx},
};

/// How the resources of an account are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Search {
    /// All that it has is listed first: that finds a little in much, and takes its time where it is much.
    Listed,
    /// The owner of each row that is looked at is looked up.
    #[default]
    EachRow,
}

/// How many resources are listed.
const FEW: i64 = 1500;

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
                let key = format!("{table}.{}", resource.key().name);
                self.owned(&key, Some(resource), right, account);
            }
            (Scope::With(name), _) => {
                let relation = resource.relation(name);
                let Some((relation, whole)) = relation.and_then(|found| Some((found, by_name(found.target)?))) else {
                    return self.push(&["0"]);
                };
                let local = format!("{table}.{}", relation.local);
                if whole.scope.is_owned() && relation.remote == whole.key().name {
                    return self.owned(&local, Some(whole), right, account);
                }
                self.push(&[&local, " IN (SELECT ", relation.remote, " FROM ", whole.table, " WHERE "]);
                self.within(whole, right, account);
                self.push(&[")"]);
            }
            (Scope::About(column), _) => self.owned(&format!("{table}.{column}"), None, right, account),
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

    /// The condition that a column names an owned resource, of this kind if one is given, that an account has a right to.
    fn owned(&mut self, column: &str, kind: Option<&Declaration>, right: Right, account: AccountUuid) {
        let of_kind = kind.map(|kind| format!(" AND resource_type = '{}'", kind.type_name())).unwrap_or_default();
        let shareable = |kind: &Declaration| matches!(kind.scope, Scope::Owned { shareable: true, .. });
        let shared = right == Right::See && kind.is_none_or(shareable);
        match self.search {
            Search::Listed => {
                self.push(&[
                    column,
                    " IN (SELECT resource_uuid FROM account_resource_ref WHERE account_uuid = ?",
                    &of_kind,
                ]);
                self.bind(account.to_sql());
                if shared {
                    let from = " UNION ALL SELECT resource_uuid FROM shared_resource WHERE ";
                    self.push(&[from, "receiver_account_uuid = ?", &of_kind, from, "to_public = 1", &of_kind]);
                    self.bind(account.to_sql());
                }
            }
            Search::EachRow => {
                self.push(&["(EXISTS (SELECT 1 FROM account_resource_ref WHERE resource_uuid = ", column]);
                self.push(&[" AND account_uuid = ?", &of_kind, ")"]);
                self.bind(account.to_sql());
                if shared {
                    self.push(&[" OR EXISTS (SELECT 1 FROM shared_resource WHERE resource_uuid = ", column]);
                    self.push(&[" AND (receiver_account_uuid = ? OR to_public = 1)", &of_kind, ")"]);
                    self.bind(account.to_sql());
                }
            }
        }
        self.push(&[")"]);
    }
}

impl Tx<'_> {
    /// How it is found faster what this view shows.
    pub(super) fn search(&self, view: View) -> Result<Search, StoreError> {
        let View::Account(account) = view else { return Ok(Search::EachRow) };
        let sql = "SELECT count(*) FROM (SELECT 1 FROM account_resource_ref WHERE account_uuid = ? LIMIT ?)";
        let few: i64 =
            self.connection.prepare_cached(sql)?.query_row(params![account.to_sql(), FEW + 1], |row| row.get(0))?;
        Ok(if few > FEW { Search::EachRow } else { Search::Listed })
    }
}

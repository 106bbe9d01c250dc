//! Runs planned queries: one SQL statement for the page, one for the number of all, one for each kind of list in the
//! inventories; and writes the reply as JSON as it comes, since a page is thousands of values.

pub(super) mod compile;
mod inventory;
mod pattern;
mod scope;

use std::collections::HashMap;

use inventory::{Inventory, List};
use rusqlite::{Connection, params_from_iter, types::Value};
use scope::Search;

use super::{StoreError, Tx};
use crate::{
    query::{Plan, View, Wanted},
    resource::{Column, Relation, Shown, by_name},
};

/// Gives a connection what queries need beyond SQLite's own.
pub fn equip(connection: &Connection) -> Result<(), StoreError> {
    rusqlite::vtab::array::load_module(connection)?;
    pattern::register(connection)?;
    Ok(())
}

impl Tx<'_> {
    /// The reply to a query: inventories, their number where asked, and the classes that typed clients read, as JSON.
    pub fn answer(&self, plan: &Plan) -> Result<Vec<u8>, StoreError> {
        let search = self.search(plan.view)?;
        let total = match plan.wanted {
            Wanted::Page => None,
            Wanted::PageAndTotal | Wanted::Total => Some(self.total(plan, search)?),
        };
        let inventories = match plan.wanted {
            Wanted::Page | Wanted::PageAndTotal => Some(self.page(plan, search)?),
            Wanted::Total => None,
        };
        Ok(inventory::reply(plan.resource, total, inventories))
    }

    fn total(&self, plan: &Plan, search: Search) -> Result<i64, StoreError> {
        let sql = compile::total(plan, search);
        Ok(self.connection.prepare_cached(&sql.text)?.query_row(params_from_iter(&sql.values), |row| row.get(0))?)
    }

    fn page(&self, plan: &Plan, search: Search) -> Result<Vec<Inventory>, StoreError> {
        let shown: Vec<&Column> = match &plan.fields {
            Some(fields) => fields.clone(),
            None => plan.resource.columns.iter().filter(|column| column.public).collect(),
        };
        let lists = plan.resource.relations.iter().filter(|relation| relation.shown != Shown::No);
        let lists: Vec<_> = if plan.fields.is_some() { Vec::new() } else { lists.collect() };
        // The columns that lists hang on follow those that are shown.
        let anchors = lists.iter().filter_map(|list| plan.resource.column(list.local));
        let columns: Vec<&Column> = shown.iter().copied().chain(anchors).collect();
        let sql = compile::page(plan, search, &columns);
        let mut statement = self.connection.prepare_cached(&sql.text)?;
        let mut rows = statement.query(params_from_iter(&sql.values))?;
        let mut page = Vec::new();
        let mut anchors: Vec<Vec<Option<String>>> = vec![Vec::new(); lists.len()];
        while let Some(row) = rows.next()? {
            let mut inventory = Inventory::default();
            for (index, column) in shown.iter().enumerate() {
                inventory.field(column, row.get_ref(index)?);
            }
            for (index, anchors) in anchors.iter_mut().enumerate() {
                anchors.push(row.get(shown.len() + index)?);
            }
            page.push(inventory);
        }
        for (relation, anchors) in lists.into_iter().zip(anchors) {
            let mut found = self.lists((plan.view, search), relation, &anchors)?;
            for (inventory, anchor) in page.iter_mut().zip(anchors) {
                let list = anchor.and_then(|anchor| found.remove(&anchor)).unwrap_or_default();
                inventory.list(relation, &list);
            }
        }
        Ok(page)
    }

    /// What stands in the inventories' lists, by the value that each hangs on.
    fn lists(
        &self,
        seen: (View, Search),
        relation: &Relation,
        anchors: &[Option<String>],
    ) -> Result<HashMap<String, List>, StoreError> {
        let mut lists = HashMap::new();
        let Some(target) = by_name(relation.target) else { return Ok(lists) };
        let (columns, order): (Vec<&Column>, &str) = match relation.shown {
            Shown::No => return Ok(lists),
            Shown::Inventories { order } => (target.columns.iter().filter(|column| column.public).collect(), order),
            Shown::Values { column, .. } => (target.column(column).into_iter().collect(), column),
        };
        let from = anchors.iter().flatten().cloned().map(Value::Text).collect();
        let sql = compile::list(seen, relation, target, &columns, order, from);
        let mut statement = self.connection.prepare_cached(&sql.text)?;
        let mut rows = statement.query(params_from_iter(&sql.values))?;
        while let Some(row) = rows.next()? {
            let owner: String = row.get(0)?;
            let list: &mut List = lists.entry(owner).or_default();
            match relation.shown {
                Shown::Values { .. } => {
                    if let Some(column) = columns.first() {
                        list.value(column, row.get_ref(1)?);
                    }
                }
                Shown::Inventories { .. } | Shown::No => {
                    list.begin_inventory();
                    for (index, column) in columns.iter().enumerate() {
                        list.field(column, row.get_ref(index + 1)?);
                    }
                    list.end_inventory();
                }
            }
        }
        Ok(lists)
    }
}

#[cfg(test)]
mod tests;

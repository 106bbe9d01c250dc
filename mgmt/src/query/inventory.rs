//! Answers: rows as inventories, the lists in them, and the schema that typed clients read.

use rusqlite::{params_from_iter, types::Value as Sqlite};
use serde_json::{Map, Value, json};

use super::{DEFAULT_LIMIT, Query, compile};
use crate::{
    clock::Timestamp,
    failure::Failure,
    resource::{Column, Declaration, Resource, Shown, by_name},
    store::{ColumnKind, StoreError, Tx},
};

/// Runs a query and answers its reply: inventories, their number where asked, and the schema.
pub fn run(tx: &Tx<'_>, declaration: &'static Declaration, query: &Query) -> Result<Value, Failure> {
    let filter = compile::conditions(declaration, &query.conditions)?;
    let mut reply = Map::new();
    if query.count || query.reply_with_count {
        reply.insert("total".to_owned(), json!(count(tx, declaration, &filter)?));
    }
    if query.count {
        return Ok(Value::Object(reply));
    }
    let mut inventories = page(tx, declaration, query, &filter)?;
    if query.fields.is_empty() && query.group_by.is_none() {
        embed(tx, declaration, &mut inventories)?;
    }
    let schema = schema(declaration, &inventories);
    let list = inventories.into_iter().map(|row| Value::Object(row.inventory)).collect();
    reply.insert("inventories".to_owned(), Value::Array(list));
    reply.insert("schema".to_owned(), Value::Object(schema));
    Ok(Value::Object(reply))
}

/// The inventory of one resource, if it exists.
pub fn inventory<R: Resource>(tx: &Tx<'_>, key: R::Key) -> Result<Option<Value>, Failure> {
    let reply = run(tx, R::declaration(), &Query::by_uuid(&key.to_string()))?;
    Ok(reply["inventories"].get(0).cloned())
}

/// The reply `{"inventory": …}` of one resource.
pub fn inventory_reply<R: Resource>(tx: &Tx<'_>, key: R::Key) -> Result<Value, Failure> {
    let found = inventory::<R>(tx, key)?.ok_or_else(|| Failure::not_found(R::declaration().name, "uuid", key))?;
    Ok(json!({ "inventory": found }))
}

struct Row {
    /// The values of the columns that lists hang on, by column name.
    keys: Vec<(&'static str, String)>,
    inventory: Map<String, Value>,
}

fn count(tx: &Tx<'_>, declaration: &Declaration, filter: &compile::Sql) -> Result<i64, StoreError> {
    let sql = format!("SELECT count(*) FROM {}{}", declaration.table, filter.text);
    Ok(tx.connection.prepare_cached(&sql)?.query_row(params_from_iter(&filter.values), |row| row.get(0))?)
}

fn page(
    tx: &Tx<'_>,
    declaration: &'static Declaration,
    query: &Query,
    filter: &compile::Sql,
) -> Result<Vec<Row>, Failure> {
    let wanted: Vec<&'static Column> = if query.fields.is_empty() {
        declaration.columns.iter().filter(|column| column.public).collect()
    } else {
        query.fields.iter().map(|field| compile::column(declaration, field)).collect::<Result<_, _>>()?
    };
    let names: Vec<&str> = wanted.iter().map(|column| column.name).collect();
    let mut sql = format!("SELECT {} FROM {}{}", names.join(", "), declaration.table, filter.text);
    if let Some(field) = &query.group_by {
        sql.push_str(&format!(" GROUP BY {}", compile::column(declaration, field)?.name));
    }
    let key = declaration.key().name;
    match &query.sort {
        Some((field, down)) => {
            let column = compile::column(declaration, field)?.name;
            let direction = if *down { "DESC" } else { "ASC" };
            sql.push_str(&format!(" ORDER BY {column} {direction}, {key} {direction}"));
        }
        None => sql.push_str(&format!(" ORDER BY {key}")),
    }
    sql.push_str(" LIMIT ? OFFSET ?");
    let bounds = [query.limit.unwrap_or(DEFAULT_LIMIT), query.start];
    let bounds = bounds.map(|number| Sqlite::Integer(i64::try_from(number).unwrap_or(i64::MAX)));

    let anchors: Vec<&'static str> =
        declaration.relations.iter().filter(|r| r.shown != Shown::No).map(|r| r.local).collect();
    let mut statement = tx.connection.prepare_cached(&sql).map_err(StoreError::from)?;
    let mut rows = statement.query(params_from_iter(filter.values.iter().chain(&bounds))).map_err(StoreError::from)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(StoreError::from)? {
        let mut inventory = Map::new();
        let mut keys = Vec::new();
        for (index, column) in wanted.iter().enumerate() {
            let stored: Sqlite = row.get(index).map_err(StoreError::from)?;
            if let (true, Sqlite::Text(text)) = (anchors.contains(&column.name), &stored) {
                keys.push((column.name, text.clone()));
            }
            if let Some(value) = shown(column, stored) {
                inventory.insert(column.json.clone(), value);
            }
        }
        found.push(Row { keys, inventory });
    }
    Ok(found)
}

/// A column's value in JSON; a field without a value is left out.
fn shown(column: &Column, stored: Sqlite) -> Option<Value> {
    match (column.kind, stored) {
        (_, Sqlite::Null | Sqlite::Blob(_)) => None,
        (ColumnKind::Boolean, Sqlite::Integer(number)) => Some(Value::Bool(number != 0)),
        (ColumnKind::Timestamp, Sqlite::Integer(millis)) => {
            Some(Value::String(Timestamp::from_millis(millis).to_string()))
        }
        (ColumnKind::Json, Sqlite::Text(text)) => serde_json::from_str(&text).ok(),
        (_, Sqlite::Integer(number)) => Some(json!(number)),
        (_, Sqlite::Real(number)) => Some(json!(number)),
        (_, Sqlite::Text(text)) => Some(Value::String(text)),
    }
}

/// Puts into each inventory the lists that its declaration shows.
fn embed(tx: &Tx<'_>, declaration: &'static Declaration, rows: &mut [Row]) -> Result<(), Failure> {
    for relation in declaration.relations {
        let Some(target) = by_name(relation.target) else { continue };
        let (field, columns, order): (&str, Vec<&Column>, &str) = match relation.shown {
            Shown::No => continue,
            Shown::Inventories { order } => {
                (relation.name, target.columns.iter().filter(|c| c.public).collect(), order)
            }
            Shown::Values { field, column } => {
                (field, target.columns.iter().filter(|c| c.name == column).collect(), column)
            }
        };
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        let key_of = |row: &Row| row.keys.iter().find(|(name, _)| *name == relation.local).map(|(_, key)| key.clone());
        let keys: Vec<String> = rows.iter().filter_map(key_of).collect();
        let mut lists: std::collections::HashMap<String, Vec<Value>> = std::collections::HashMap::new();
        // SQLite binds at most 32,766 values in one statement.
        for chunk in keys.chunks(30_000) {
            let marks = vec!["?"; chunk.len()].join(", ");
            let sql = format!(
                "SELECT {remote}, {} FROM {} WHERE {remote} IN ({marks}) ORDER BY {order}",
                names.join(", "),
                target.table,
                remote = relation.remote,
            );
            let mut statement = tx.connection.prepare_cached(&sql).map_err(StoreError::from)?;
            let mut found = statement.query(params_from_iter(chunk)).map_err(StoreError::from)?;
            while let Some(row) = found.next().map_err(StoreError::from)? {
                let owner: String = row.get(0).map_err(StoreError::from)?;
                let mut values = Map::new();
                for (index, column) in columns.iter().enumerate() {
                    if let Some(value) = shown(column, row.get(index + 1).map_err(StoreError::from)?) {
                        values.insert(column.json.clone(), value);
                    }
                }
                let item = match relation.shown {
                    Shown::Values { .. } => values.into_iter().next().map_or(Value::Null, |(_, value)| value),
                    _ => Value::Object(values),
                };
                lists.entry(owner).or_default().push(item);
            }
        }
        for row in rows.iter_mut() {
            let list = key_of(row).and_then(|key| lists.remove(&key)).unwrap_or_default();
            row.inventory.insert(field.to_owned(), Value::Array(list));
        }
    }
    Ok(())
}

/// The classes of the inventories and of those in their lists, by their paths.
fn schema(declaration: &'static Declaration, rows: &[Row]) -> Map<String, Value> {
    let mut schema = Map::new();
    for (index, row) in rows.iter().enumerate() {
        let path = format!("inventories[{index}]");
        for relation in declaration.relations {
            let (Shown::Inventories { .. }, Some(target)) = (relation.shown, by_name(relation.target)) else {
                continue;
            };
            let length = row.inventory.get(relation.name).and_then(Value::as_array).map_or(0, Vec::len);
            for place in 0..length {
                schema.insert(format!("{path}.{}[{place}]", relation.name), json!(target.class));
            }
        }
        schema.insert(path, json!(declaration.class));
    }
    schema
}

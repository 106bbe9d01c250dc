//! Rows of any declared resource, for what goes by declarations alone.

use std::{fmt, str::FromStr};

use rusqlite::{params_from_iter, types::Value};
use serde::{Deserialize, Serialize};

use super::{StoreError, Tx};
use crate::resource::{self, Declaration};

/// Which row: the resource's name and the primary key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowKey {
    /// The resource, such as `VmNic`.
    pub resource: String,
    /// The key's values, in the order of the key.
    pub key: Vec<String>,
}

impl RowKey {
    /// The row of a resource with this key.
    pub fn new(resource: &str, key: impl IntoIterator<Item = String>) -> Self {
        Self { resource: resource.to_owned(), key: key.into_iter().collect() }
    }

    /// What is declared about the resource.
    pub fn declaration(&self) -> Option<&'static Declaration> {
        resource::by_name(&self.resource)
    }
}

/// The key as locks and claims write it.
impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key.join(" "))
    }
}

/// A row of any resource.
#[derive(Debug, Clone)]
pub struct Row {
    /// What is declared about the resource.
    pub declaration: &'static Declaration,
    /// Which row it is.
    pub key: RowKey,
    values: Vec<Value>,
}

impl Row {
    pub(super) fn new(declaration: &'static Declaration, key: Vec<String>, values: Vec<Value>) -> Self {
        Self { declaration, key: RowKey::new(declaration.name, key), values }
    }

    /// A column's text, if it holds one.
    pub fn text(&self, column: &str) -> Option<&str> {
        let index = self.declaration.columns.iter().position(|known| known.name == column)?;
        match self.values.get(index) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A column's text as a value of a type, such as an id.
    pub fn parsed<T: FromStr>(&self, column: &str) -> Option<T> {
        self.text(column)?.parse().ok()
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

impl Tx<'_> {
    fn key_columns(&self, declaration: &Declaration) -> Result<Vec<String>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk")?;
        let names = statement.query_map([declaration.table], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(names)
    }

    /// The row with this key.
    pub fn row(&self, key: &RowKey) -> Result<Option<Row>, StoreError> {
        let Some(declaration) = key.declaration() else { return Ok(None) };
        let columns = self.key_columns(declaration)?;
        Ok(self.rows_where(declaration, &columns, &columns, &key.key)?.pop())
    }

    /// The rows of a resource whose column holds this text.
    pub fn rows_with(
        &self,
        declaration: &'static Declaration,
        column: &str,
        text: &str,
    ) -> Result<Vec<Row>, StoreError> {
        let key = self.key_columns(declaration)?;
        self.rows_where(declaration, &key, &[column.to_owned()], &[text.to_owned()])
    }

    fn rows_where(
        &self,
        declaration: &'static Declaration,
        key: &[String],
        columns: &[String],
        texts: &[String],
    ) -> Result<Vec<Row>, StoreError> {
        let all: Vec<&str> = declaration.columns.iter().map(|column| column.name).collect();
        let terms: Vec<String> = columns.iter().map(|column| format!("{column} = ?")).collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {}",
            all.join(", "),
            declaration.table,
            terms.join(" AND "),
            key.join(", ")
        );
        let places: Vec<usize> = key.iter().filter_map(|name| all.iter().position(|column| column == name)).collect();
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(texts))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let values: Vec<Value> = (0..all.len()).map(|index| row.get(index)).collect::<Result<_, _>>()?;
            let key = places.iter().map(|place| text_of(&values[*place])).collect();
            found.push(Row::new(declaration, key, values));
        }
        Ok(found)
    }

    /// Deletes a row and its tags.
    pub fn delete_row(&self, key: &RowKey) -> Result<(), StoreError> {
        let Some(declaration) = key.declaration() else { return Ok(()) };
        let columns = self.key_columns(declaration)?;
        let terms: Vec<String> = columns.iter().map(|column| format!("{column} = ?")).collect();
        let sql = format!("DELETE FROM {} WHERE {}", declaration.table, terms.join(" AND "));
        self.connection.prepare_cached(&sql)?.execute(params_from_iter(&key.key))?;
        if let (true, [uuid]) = (declaration.is_tagged(), key.key.as_slice()) {
            self.delete_tags(uuid)?;
        }
        Ok(())
    }

    /// Has the rows of a resource whose column holds this text hold nothing there.
    pub fn clear_column(&self, declaration: &Declaration, column: &str, text: &str) -> Result<(), StoreError> {
        let sql = format!("UPDATE {} SET {column} = NULL WHERE {column} = ?", declaration.table);
        self.connection.prepare_cached(&sql)?.execute([text])?;
        Ok(())
    }
}

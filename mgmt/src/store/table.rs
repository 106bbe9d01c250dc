//! Reading and writing rows of declared resources.

use std::fmt::Write;

use rusqlite::{Row, params_from_iter, types::Value};

use super::{SqlValue, StoreError, Tx};
use crate::{
    clock::Timestamp,
    resource::{Declaration, Resource},
};

/// The value of a row's column, by its place.
pub fn column<T: SqlValue>(row: &Row<'_>, index: usize) -> Result<T, StoreError> {
    T::from_sql(row.get_ref(index)?).map_err(|error| match error {
        StoreError::BadValue { value, expected, .. } => StoreError::BadValue {
            column: row.as_ref().column_name(index).unwrap_or_default().to_owned(),
            value,
            expected,
        },
        other => other,
    })
}

fn column_list(declaration: &Declaration) -> String {
    declaration.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

fn select<R: Resource>(tail: &str) -> String {
    format!("SELECT {} FROM {} {tail}", column_list(R::declaration()), R::declaration().table)
}

/// Names of columns come from the program's own text, never from a caller.
type ColumnName = &'static str;

impl Tx<'_> {
    /// The row with this key.
    pub fn get<R: Resource>(&self, key: R::Key) -> Result<Option<R>, StoreError> {
        Ok(self.list_by::<R>(&[(R::declaration().key().name, key.to_sql())], "")?.pop())
    }

    /// The rows whose columns have these values, in the order of their keys.
    pub fn find<R: Resource>(&self, conditions: &[(ColumnName, Value)]) -> Result<Vec<R>, StoreError> {
        self.list_by(conditions, &format!("ORDER BY {}", R::declaration().key().name))
    }

    /// All rows.
    pub fn all<R: Resource>(&self) -> Result<Vec<R>, StoreError> {
        self.find(&[])
    }

    /// How many rows have these values.
    pub fn count<R: Resource>(&self, conditions: &[(ColumnName, Value)]) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM {} {}", R::declaration().table, where_clause(conditions));
        let values = conditions.iter().map(|(_, value)| value);
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_row(params_from_iter(values), |row| row.get::<_, i64>(0))?.unsigned_abs())
    }

    /// Whether a resource has a row with this key.
    pub fn exists(&self, declaration: &Declaration, key: &str) -> Result<bool, StoreError> {
        let sql = format!("SELECT count(*) FROM {} WHERE {} = ?", declaration.table, declaration.key().name);
        Ok(self.connection.prepare_cached(&sql)?.query_row([key], |row| row.get::<_, i64>(0))? > 0)
    }

    fn list_by<R: Resource>(&self, conditions: &[(ColumnName, Value)], tail: &str) -> Result<Vec<R>, StoreError> {
        let sql = select::<R>(&format!("{} {tail}", where_clause(conditions)));
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(conditions.iter().map(|(_, value)| value)))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(R::from_row(row)?);
        }
        Ok(found)
    }

    /// Adds a row. Where the resource is one that has owners, it gets its own.
    ///
    /// # Errors
    /// It stands already, or refers to what is being deleted, among others.
    pub fn insert<R: Resource>(&self, resource: &R) -> Result<(), StoreError> {
        let declaration = R::declaration();
        let marks = vec!["?"; declaration.columns.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", declaration.table, column_list(declaration));
        let values = resource.values();
        self.refuse_if_going(declaration, &values)?;
        self.connection.prepare_cached(&sql)?.execute(params_from_iter(&values))?;
        self.give_owner(declaration, &values)
    }

    /// Adds a row that joins two resources, unless they are joined already. Answers whether it was new.
    pub fn link<R: Resource>(&self, link: &R) -> Result<bool, StoreError> {
        match self.insert(link) {
            Ok(()) => Ok(true),
            Err(error) if error.is_duplicate() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes all columns of the row with the resource's key. Answers whether there was one.
    pub fn save<R: Resource>(&self, resource: &R) -> Result<bool, StoreError> {
        let declaration = R::declaration();
        let mut sql = format!("UPDATE {} SET ", declaration.table);
        for (index, column) in declaration.columns.iter().enumerate().skip(1) {
            let comma = if index == 1 { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(sql, "{comma}{} = ?{}", column.name, index + 1);
        }
        let _ = write!(sql, " WHERE {} = ?1", declaration.key().name);
        Ok(self.connection.prepare_cached(&sql)?.execute(params_from_iter(resource.values()))? > 0)
    }

    /// Notes that the row with this key has changed now.
    pub fn touch<R: Resource>(&self, key: R::Key) -> Result<(), StoreError> {
        let declaration = R::declaration();
        let sql = format!("UPDATE {} SET last_op_date = ? WHERE {} = ?", declaration.table, declaration.key().name);
        self.connection.prepare_cached(&sql)?.execute([Timestamp::now().to_sql(), key.to_sql()])?;
        Ok(())
    }

    /// Deletes the rows whose columns have these values. Answers how many there were.
    pub fn delete_where<R: Resource>(&self, conditions: &[(ColumnName, Value)]) -> Result<usize, StoreError> {
        let sql = format!("DELETE FROM {} {}", R::declaration().table, where_clause(conditions));
        let values = conditions.iter().map(|(_, value)| value);
        Ok(self.connection.prepare_cached(&sql)?.execute(params_from_iter(values))?)
    }

    /// Deletes the row with this key and its tags.
    pub fn delete<R: Resource>(&self, key: R::Key) -> Result<(), StoreError> {
        self.delete_where::<R>(&[(R::declaration().key().name, key.to_sql())])?;
        self.delete_tags(&key.to_string())
    }

    pub(super) fn delete_tags(&self, resource_uuid: &str) -> Result<(), StoreError> {
        for table in ["system_tag", "user_tag"] {
            self.connection
                .prepare_cached(&format!("DELETE FROM {table} WHERE resource_uuid = ?"))?
                .execute([resource_uuid])?;
        }
        Ok(())
    }

    /// Deletes those system tags of a resource that name another one.
    pub fn delete_tags_naming(&self, resource_uuid: &str, named: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM system_tag WHERE resource_uuid = ? AND instr(tag, ?) > 0")?
            .execute([resource_uuid, named])?;
        Ok(())
    }

    /// The tags of a resource, those that mean something to Gantry.
    pub fn system_tags(&self, resource_uuid: &str) -> Result<Vec<String>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT tag FROM system_tag WHERE resource_uuid = ? ORDER BY create_date, uuid")?;
        let tags = statement.query_map([resource_uuid], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(tags)
    }

    /// A fact about this node, such as its uuid.
    pub fn node_fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT value FROM node_fact WHERE name = ?")?;
        let mut rows = statement.query([name])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }

    /// Sets a fact about this node.
    pub fn set_node_fact(&self, name: &str, value: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO node_fact (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
            )?
            .execute([name, value])?;
        Ok(())
    }
}

fn where_clause(conditions: &[(ColumnName, Value)]) -> String {
    if conditions.is_empty() {
        return String::new();
    }
    let terms: Vec<String> = conditions.iter().map(|(column, _)| format!("{column} = ?")).collect();
    format!("WHERE {}", terms.join(" AND "))
}

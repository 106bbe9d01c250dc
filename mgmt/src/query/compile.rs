//! From conditions to SQL. Names in the SQL come from declarations, values are always bound.

use gantry_common::error::ErrorKind;
use rusqlite::types::Value;

use super::{Comparison, Condition, Test};
use crate::{
    clock::Timestamp,
    failure::Failure,
    resource::{Column, Declaration, by_name},
    store::ColumnKind,
};

/// A piece of SQL and the values bound in it, in order.
#[derive(Debug, Default)]
pub struct Sql {
    pub text: String,
    pub values: Vec<Value>,
}

/// The `WHERE` clause of all conditions, empty where there are none.
pub fn conditions(declaration: &Declaration, conditions: &[Condition]) -> Result<Sql, Failure> {
    let mut sql = Sql::default();
    for (index, condition) in conditions.iter().enumerate() {
        sql.text.push_str(if index == 0 { " WHERE " } else { " AND " });
        follow(declaration, &condition.path, &condition.test, &mut sql)?;
    }
    Ok(sql)
}

fn follow(declaration: &Declaration, path: &[String], test: &Test, sql: &mut Sql) -> Result<(), Failure> {
    match path {
        [field] if field == "__systemTag__" => tag("system_tag", declaration, test, sql),
        [field] if field == "__userTag__" => tag("user_tag", declaration, test, sql),
        [field] => compare(column(declaration, field)?, test, sql),
        [first, rest @ ..] => {
            let relation = declaration.relation(first).ok_or_else(|| unknown_relation(declaration, first))?;
            let target = by_name(relation.target).ok_or_else(|| unknown_relation(declaration, first))?;
            let (local, remote, table) = (relation.local, relation.remote, target.table);
            match &relation.via {
                None => sql.text.push_str(&format!("{local} IN (SELECT {remote} FROM {table} WHERE ")),
                Some(via) => sql.text.push_str(&format!(
                    "{local} IN (SELECT {} FROM {} WHERE {} IN (SELECT {remote} FROM {table} WHERE ",
                    via.local, via.table, via.remote
                )),
            }
            follow(target, rest, test, sql)?;
            sql.text.push_str(if relation.via.is_some() { "))" } else { ")" });
            Ok(())
        }
        [] => Err(Failure::new(ErrorKind::InvalidQuery, "a condition names no field")),
    }
}

/// A resource has a tag that passes the test; with a negated test: it has none that passes the plain one.
fn tag(table: &str, declaration: &Declaration, test: &Test, sql: &mut Sql) -> Result<(), Failure> {
    let (negated, plain) = match test.clone() {
        Test::Compare(Comparison::NotEqual, value) => (true, Test::Compare(Comparison::Equal, value)),
        Test::In(values, negated) => (negated, Test::In(values, false)),
        Test::Like(pattern, negated) => (negated, Test::Like(pattern, false)),
        Test::Null(not) => (!not, Test::Null(true)),
        other => (false, other),
    };
    let not = if negated { "NOT " } else { "" };
    sql.text.push_str(&format!("{} {not}IN (SELECT resource_uuid FROM {table} WHERE ", declaration.key().name));
    let tag_column = Column {
        name: "tag",
        json: "tag".to_owned(),
        description: "",
        kind: ColumnKind::Text,
        nullable: false,
        public: true,
    };
    compare(&tag_column, &plain, sql)?;
    sql.text.push(')');
    Ok(())
}

fn compare(column: &Column, test: &Test, sql: &mut Sql) -> Result<(), Failure> {
    let name = column.name;
    match test {
        Test::Null(false) => sql.text.push_str(&format!("{name} IS NULL")),
        Test::Null(true) => sql.text.push_str(&format!("{name} IS NOT NULL")),
        Test::Compare(comparison, value) => {
            let operator = match comparison {
                Comparison::Equal => "=",
                Comparison::NotEqual => "<>",
                Comparison::GreaterOrEqual => ">=",
                Comparison::LessOrEqual => "<=",
                Comparison::Greater => ">",
                Comparison::Less => "<",
            };
            sql.text.push_str(&format!("{name} {operator} ?"));
            sql.values.push(bind(column, value)?);
        }
        Test::In(values, negated) => {
            let marks = vec!["?"; values.len()].join(", ");
            let not = if *negated { "NOT " } else { "" };
            sql.text.push_str(&format!("{name} {not}IN ({marks})"));
            for value in values {
                sql.values.push(bind(column, value)?);
            }
        }
        Test::Like(pattern, negated) => {
            if column.kind != ColumnKind::Text {
                return Err(Failure::new(
                    ErrorKind::InvalidQuery,
                    format!(
                        "{} is not text, so ~= and !~= cannot be used on it: use = != > < >= <= ?= !?=",
                        column.json
                    ),
                ));
            }
            let not = if *negated { "NOT " } else { "" };
            sql.text.push_str(&format!("{name} {not}LIKE ?"));
            sql.values.push(Value::Text(pattern.clone()));
        }
    }
    Ok(())
}

fn bind(column: &Column, value: &str) -> Result<Value, Failure> {
    let bound = match column.kind {
        ColumnKind::Text | ColumnKind::Json => Some(Value::Text(value.to_owned())),
        ColumnKind::Integer => value.parse().ok().map(Value::Integer),
        ColumnKind::Boolean => match value {
            "true" | "1" => Some(Value::Integer(1)),
            "false" | "0" => Some(Value::Integer(0)),
            _ => None,
        },
        ColumnKind::Timestamp => Timestamp::parse(value).map(|date| Value::Integer(date.millis())),
    };
    bound.ok_or_else(|| {
        let expected = match column.kind {
            ColumnKind::Integer => "a whole number",
            ColumnKind::Boolean => "true or false",
            ColumnKind::Timestamp => "a date such as 'Aug 20, 2015 5:46:16 PM'",
            ColumnKind::Text | ColumnKind::Json => "text",
        };
        Failure::new(ErrorKind::InvalidQuery, format!("{} '{value}' is not usable: {expected} is needed", column.json))
    })
}

/// The column of a field, or an error that lists the fields there are.
pub fn column<'a>(declaration: &'a Declaration, field: &str) -> Result<&'a Column, Failure> {
    declaration.field(field).ok_or_else(|| {
        let fields: Vec<&str> =
            declaration.columns.iter().filter(|column| column.public).map(|column| column.json.as_str()).collect();
        Failure::new(
            ErrorKind::InvalidQuery,
            format!(
                "{} has no field '{field}': it has {}, __systemTag__, __userTag__",
                declaration.name,
                fields.join(", ")
            ),
        )
    })
}

fn unknown_relation(declaration: &Declaration, name: &str) -> Failure {
    let names: Vec<&str> = declaration.relations.iter().map(|relation| relation.name).collect();
    Failure::new(
        ErrorKind::InvalidQuery,
        format!("{} has no relation '{name}': it has {}", declaration.name, names.join(", ")),
    )
}

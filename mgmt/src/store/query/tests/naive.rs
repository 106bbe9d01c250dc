//! Queries answered the slow way: every row is held against every condition, as the conventions say it in words.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use crate::{
    clock::Timestamp,
    resource::{Column, Declaration, Relation, Scope, Shown, by_name},
    store::ColumnKind,
};

/// A stored value. SQLite sorts them in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Nothing,
    Number(i64),
    Text(String),
}

/// The cells of a row in the order of the declared columns.
pub type Row = Vec<Cell>;

/// All rows of all tables.
#[derive(Debug, Default)]
pub struct Tables(pub Vec<(&'static Declaration, Vec<Row>)>);

/// A condition, before it is written down.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: Vec<&'static str>,
    pub field: String,
    pub operator: &'static str,
    pub value: String,
}

/// A query, before it is written down.
#[derive(Debug, Clone)]
pub struct AskedQuery {
    pub resource: &'static Declaration,
    pub conditions: Vec<Asked>,
    pub sort: Option<(String, bool)>,
    pub group_by: Option<String>,
    pub fields: Vec<String>,
    pub start: usize,
    pub limit: usize,
}

fn cell<'a>(declaration: &Declaration, row: &'a Row, column: &str) -> &'a Cell {
    &row[declaration.columns.iter().position(|c| c.name == column).unwrap()]
}

impl Tables {
    fn rows(&self, table: &str) -> impl Iterator<Item = (&'static Declaration, &Row)> {
        let of = self.0.iter().filter(move |(declaration, _)| declaration.table == table).take(1);
        of.flat_map(|(declaration, rows)| rows.iter().map(move |row| (*declaration, row)))
    }

    /// The rows that a relation leads to.
    fn related<'a>(&'a self, from: &Declaration, row: &Row, relation: &Relation) -> Vec<&'a Row> {
        let local = cell(from, row, relation.local);
        let reached: Vec<&Cell> = match &relation.via {
            None => vec![local],
            Some(via) => self
                .rows(via.table)
                .filter(|(declaration, row)| cell(declaration, row, via.local) == local)
                .map(|(declaration, row)| cell(declaration, row, via.remote))
                .collect(),
        };
        let target = by_name(relation.target).unwrap();
        self.rows(target.table)
            .filter(|(_, row)| {
                let remote = cell(target, row, relation.remote);
                *remote != Cell::Nothing && reached.contains(&remote)
            })
            .map(|(_, row)| row)
            .collect()
    }

    /// The same where only what an account sees is there.
    pub fn seen_by(&self, account: &str) -> Self {
        let seen = |declaration: &'static Declaration, rows: &[Row]| {
            rows.iter().filter(|row| self.sees(account, declaration, row)).cloned().collect()
        };
        Self(self.0.iter().map(|(declaration, rows)| (*declaration, seen(declaration, rows))).collect())
    }

    /// Whether an account sees a row, as the words of its scope say.
    fn sees(&self, account: &str, resource: &'static Declaration, row: &Row) -> bool {
        let me = Cell::Text(account.to_owned());
        match resource.scope {
            Scope::Operator => false,
            Scope::Everyone => true,
            Scope::Owned { .. } => self.sees_owned(account, Some(resource), cell(resource, row, "uuid")),
            Scope::With(relation) => {
                let relation = resource.relation(relation).unwrap();
                let whole = by_name(relation.target).unwrap();
                match whole.scope {
                    // A part is seen with its whole, also where only the owner of that is known.
                    Scope::Owned { .. } if relation.remote == "uuid" => {
                        self.sees_owned(account, Some(whole), cell(resource, row, relation.local))
                    }
                    _ => self.related(resource, row, relation).into_iter().any(|row| self.sees(account, whole, row)),
                }
            }
            Scope::About(column) => self.sees_owned(account, None, cell(resource, row, column)),
            Scope::Account(columns) => columns.iter().any(|column| *cell(resource, row, column) == me),
        }
    }

    /// Whether an account owns what has this id, of this type if one is given, or has a share in it.
    fn sees_owned(&self, account: &str, resource: Option<&Declaration>, id: &Cell) -> bool {
        let me = Cell::Text(account.to_owned());
        let shareable = resource.is_none_or(|found| matches!(found.scope, Scope::Owned { shareable: true, .. }));
        let any = |table, column, value: Cell| {
            self.rows(table).any(|(declaration, row)| {
                let of = |column: &str| cell(declaration, row, column).clone();
                let right_type = resource.is_none_or(|found| of("resource_type") == Cell::Text(found.type_name()));
                right_type && of("resource_uuid") == *id && of(column) == value
            })
        };
        let shared = || {
            any("shared_resource", "receiver_account_uuid", me.clone())
                || any("shared_resource", "to_public", Cell::Number(1))
        };
        any("account_resource_ref", "account_uuid", me.clone()) || shareable && shared()
    }

    fn holds(&self, here: &Declaration, row: &Row, path: &[&str], asked: &Asked) -> bool {
        if let [first, rest @ ..] = path {
            let relation = here.relation(first).unwrap();
            let target = by_name(relation.target).unwrap();
            return self.related(here, row, relation).iter().any(|row| self.holds(target, row, rest, asked));
        }
        let tags = match asked.field.as_str() {
            "__systemTag__" => "system_tag",
            "__userTag__" => "user_tag",
            field => {
                let column = here.field(field).unwrap();
                return passes(column.kind, cell(here, row, column.name), asked.operator, &asked.value);
            }
        };
        let key = cell(here, row, "uuid");
        let tags: Vec<&Cell> = self
            .rows(tags)
            .filter(|(declaration, row)| cell(declaration, row, "resource_uuid") == key)
            .map(|(declaration, row)| cell(declaration, row, "tag"))
            .collect();
        let any = |operator| tags.iter().any(|tag| passes(ColumnKind::Text, tag, operator, &asked.value));
        match (asked.operator, asked.value.as_str()) {
            (" is null", _) | ("=", "null") => tags.is_empty(),
            ("!=", "null") => !tags.is_empty(),
            ("!=", _) => !any("="),
            ("!?=", _) => !any("?="),
            ("!~=", _) => !any("~="),
            (operator, _) => any(operator),
        }
    }

    /// The inventories a query answers with, and how many there are on all pages.
    pub fn answer(&self, query: &AskedQuery) -> (Vec<Value>, usize) {
        let resource = query.resource;
        let mut rows: Vec<&Row> = self
            .rows(resource.table)
            .map(|(_, row)| row)
            .filter(|row| query.conditions.iter().all(|asked| self.holds(resource, row, &asked.path, asked)))
            .collect();
        let own = |field: &str| resource.field(field).unwrap().name;
        rows.sort_by(|a, b| by_identity(resource, a, b));
        if let Some(field) = &query.group_by {
            let mut seen: Vec<&Cell> = Vec::new();
            rows.retain(|row| {
                let value = cell(resource, row, own(field));
                let new = !seen.contains(&value);
                seen.push(value);
                new
            });
        }
        let total = rows.len();
        if let Some((field, down)) = &query.sort {
            rows.sort_by(|a, b| {
                let column = own(field);
                cell(resource, a, column).cmp(cell(resource, b, column)).then_with(|| by_identity(resource, a, b))
            });
            if *down {
                rows.reverse();
            }
        }
        let page = rows.into_iter().skip(query.start).take(query.limit);
        (page.map(|row| self.inventory(resource, row, &query.fields)).collect(), total)
    }

    fn inventory(&self, resource: &'static Declaration, row: &Row, fields: &[String]) -> Value {
        let mut inventory = own_fields(resource, row);
        if !fields.is_empty() {
            inventory.retain(|name, _| fields.contains(name));
            return Value::Object(inventory);
        }
        for relation in resource.relations {
            let target = by_name(relation.target).unwrap();
            let mut related = self.related(resource, row, relation);
            let order = match relation.shown {
                Shown::No => continue,
                Shown::Inventories { order } => order,
                Shown::Values { column, .. } => column,
            };
            related.sort_by(|a, b| {
                cell(target, a, order).cmp(cell(target, b, order)).then_with(|| by_identity(target, a, b))
            });
            match relation.shown {
                Shown::Values { field, column } => {
                    let column = target.columns.iter().find(|c| c.name == column).unwrap();
                    let values = related.into_iter().filter_map(|row| shown(column, cell(target, row, column.name)));
                    inventory.insert(field.to_owned(), values.collect());
                }
                _ => {
                    let list = related.into_iter().map(|row| Value::Object(own_fields(target, row)));
                    inventory.insert(relation.name.to_owned(), list.collect());
                }
            }
        }
        Value::Object(inventory)
    }
}

fn by_identity(resource: &Declaration, a: &Row, b: &Row) -> Ordering {
    let of = |row: &Row| resource.identity().iter().map(|c| cell(resource, row, c.name).clone()).collect::<Vec<_>>();
    of(a).cmp(&of(b))
}

fn own_fields(resource: &Declaration, row: &Row) -> Map<String, Value> {
    let public = resource.columns.iter().zip(row).filter(|(column, _)| column.public);
    public.filter_map(|(column, cell)| Some((column.json.clone(), shown(column, cell)?))).collect()
}

fn shown(column: &Column, cell: &Cell) -> Option<Value> {
    Some(match (column.kind, cell) {
        (_, Cell::Nothing) => return None,
        (ColumnKind::Boolean, Cell::Number(number)) => json!(*number == 1),
        (ColumnKind::Timestamp, Cell::Number(millis)) => json!(Timestamp::from_millis(*millis).to_string()),
        (ColumnKind::Json, Cell::Text(text)) => serde_json::from_str(text).unwrap(),
        (_, Cell::Number(number)) => json!(number),
        (_, Cell::Text(text)) => json!(text),
    })
}

/// Whether a stored value passes an operator with a value as the caller writes it.
fn passes(kind: ColumnKind, stored: &Cell, operator: &str, value: &str) -> bool {
    match (operator, value) {
        (" is null", _) | ("=", "null") => return *stored == Cell::Nothing,
        (" not null", _) | ("!=", "null") => return *stored != Cell::Nothing,
        _ if *stored == Cell::Nothing => return false,
        _ => {}
    }
    let compared = |value: &str| match (kind, stored) {
        (ColumnKind::Integer, Cell::Number(number)) => number.cmp(&value.parse().unwrap()),
        (ColumnKind::Boolean, Cell::Number(number)) => {
            number.cmp(&i64::from(matches!(value, "true" | "1" | "True" | "TRUE")))
        }
        // Dates are written to the second.
        (ColumnKind::Timestamp, Cell::Number(millis)) => {
            let asked = Timestamp::parse(value).unwrap().millis();
            millis.div_euclid(1000).cmp(&asked.div_euclid(1000))
        }
        (ColumnKind::Uuid, Cell::Text(text)) => text.as_str().cmp(value.to_lowercase().as_str()),
        (_, Cell::Text(text)) => text.as_str().cmp(value),
        other => panic!("{other:?}"),
    };
    let like = || {
        let Cell::Text(text) = stored else { panic!("{stored:?}") };
        like(&value.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
    };
    match operator {
        "=" => compared(value).is_eq(),
        "!=" => compared(value).is_ne(),
        ">" => compared(value).is_gt(),
        "<" => compared(value).is_lt(),
        ">=" => compared(value).is_ge(),
        "<=" => compared(value).is_le(),
        "?=" => value.split(',').any(|value| compared(value).is_eq()),
        "!?=" => !value.split(',').any(|value| compared(value).is_eq()),
        "~=" => like(),
        "!~=" => !like(),
        other => panic!("{other}"),
    }
}

fn like(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|taken| like(rest, &text[taken..])),
        ['_', rest @ ..] => !text.is_empty() && like(rest, &text[1..]),
        ['\\', wanted, rest @ ..] | [wanted, rest @ ..] => {
            let lower = |c: &char| c.to_lowercase().to_string();
            !text.is_empty() && lower(&text[0]) == lower(wanted) && like(rest, &text[1..])
        }
    }
}

//! Inventories as JSON text, and the schema that typed clients read.

use std::io::Write;

use rusqlite::types::ValueRef;
use serde::de::IgnoredAny;

use crate::{
    clock::Timestamp,
    resource::{Column, Declaration, Relation, Shown, by_name},
    store::ColumnKind,
};

/// An inventory in the making.
#[derive(Debug)]
pub struct Inventory {
    /// Its fields, without the braces around them.
    json: Vec<u8>,
    /// How many inventories stand in the list of each relation that shows them.
    lengths: Vec<(&'static str, &'static str, usize)>,
}

/// A list in an inventory.
#[derive(Debug, Default)]
pub struct List {
    /// Its items, without the brackets around them.
    json: Vec<u8>,
    length: usize,
}

/// Room for an inventory as most are: it is made once for each row.
const USUAL_BYTES: usize = 1024;

impl Default for Inventory {
    fn default() -> Self {
        Self { json: Vec::with_capacity(USUAL_BYTES), lengths: Vec::new() }
    }
}

impl Inventory {
    /// Adds a field. One without a value is left out.
    pub fn field(&mut self, column: &Column, stored: ValueRef<'_>) {
        field(&mut self.json, column, stored);
    }

    /// Adds a relation's list.
    pub fn list(&mut self, relation: &'static Relation, list: &List) {
        match relation.shown {
            Shown::No => return,
            Shown::Values { field, .. } => name(&mut self.json, field),
            Shown::Inventories { .. } => {
                name(&mut self.json, relation.name);
                let class = by_name(relation.target).map_or("", |target| target.class);
                self.lengths.push((relation.name, class, list.length));
            }
        }
        self.json.push(b'[');
        self.json.extend_from_slice(&list.json);
        self.json.push(b']');
    }
}

impl List {
    /// Begins an inventory, which [`List::field`] fills and [`List::end_inventory`] ends.
    pub fn begin_inventory(&mut self) {
        self.json.extend_from_slice(if self.length == 0 { b"{" } else { b",{" });
        self.length += 1;
    }

    /// Adds a field to the inventory that was begun. One without a value is left out.
    pub fn field(&mut self, column: &Column, stored: ValueRef<'_>) {
        field(&mut self.json, column, stored);
    }

    /// Ends the inventory that was begun.
    pub fn end_inventory(&mut self) {
        self.json.push(b'}');
    }

    /// Adds a column's value. None is left out.
    pub fn value(&mut self, column: &Column, stored: ValueRef<'_>) {
        let before = self.json.len();
        if self.length > 0 {
            self.json.push(b',');
        }
        if value(&mut self.json, column.kind, stored) {
            self.length += 1;
        } else {
            self.json.truncate(before);
        }
    }
}

/// The reply: `{"total": …, "inventories": […], "schema": {…}}`.
pub fn reply(resource: &Declaration, total: Option<i64>, inventories: Option<Vec<Inventory>>) -> Vec<u8> {
    let mut json = vec![b'{'];
    if let Some(total) = total {
        write(&mut json, format_args!("\"total\":{total}"));
    }
    if let Some(inventories) = inventories {
        json.extend_from_slice(if total.is_some() { b",\"inventories\":[" } else { b"\"inventories\":[" });
        for (index, inventory) in inventories.iter().enumerate() {
            json.extend_from_slice(if index == 0 { b"{" } else { b",{" });
            json.extend_from_slice(&inventory.json);
            json.push(b'}');
        }
        json.extend_from_slice(b"],\"schema\":{");
        for (index, inventory) in inventories.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write(&mut json, format_args!("{comma}\"inventories[{index}]\":\"{}\"", resource.class));
            for (list, class, length) in &inventory.lengths {
                for place in 0..*length {
                    write(&mut json, format_args!(",\"inventories[{index}].{list}[{place}]\":\"{class}\""));
                }
            }
        }
        json.push(b'}');
    }
    json.push(b'}');
    json
}

/// Writes the name of a field. Names in declarations need no escaping.
fn name(json: &mut Vec<u8>, name: &str) {
    // No value ends with an opening brace, so one stands before the first field only.
    json.extend_from_slice(if matches!(json.last(), None | Some(b'{')) { b"\"" } else { b",\"" });
    json.extend_from_slice(name.as_bytes());
    json.extend_from_slice(b"\":");
}

/// Writes a field, unless it has no value.
fn field(json: &mut Vec<u8>, column: &Column, stored: ValueRef<'_>) {
    let before = json.len();
    name(json, &column.json);
    if !value(json, column.kind, stored) {
        json.truncate(before);
    }
}

/// Writes a column's value. Answers whether there is one.
fn value(json: &mut Vec<u8>, kind: ColumnKind, stored: ValueRef<'_>) -> bool {
    match (kind, stored) {
        (_, ValueRef::Null | ValueRef::Blob(_)) => return false,
        (ColumnKind::Boolean, ValueRef::Integer(number)) => {
            json.extend_from_slice(if number == 0 { b"false" } else { b"true" });
        }
        (ColumnKind::Timestamp, ValueRef::Integer(millis)) => {
            write(json, format_args!("\"{}\"", Timestamp::from_millis(millis)));
        }
        (_, ValueRef::Integer(number)) => write(json, format_args!("{number}")),
        (_, ValueRef::Real(number)) => write(json, format_args!("{}", serde_json::Value::from(number))),
        (ColumnKind::Json, ValueRef::Text(text)) => {
            if serde_json::from_slice::<IgnoredAny>(text).is_err() {
                return false;
            }
            json.extend_from_slice(text);
        }
        (_, ValueRef::Text(text)) => {
            let Ok(text) = std::str::from_utf8(text) else { return false };
            return serde_json::to_writer(json, text).is_ok();
        }
    }
    true
}

fn write(json: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    // A Vec takes whatever is written to it.
    let _ = json.write_fmt(what);
}

//! What operations answer: the fields of replies and inventories with their types.

use std::collections::BTreeMap;

use crate::{
    resource::{self, Shown},
    store::ColumnKind,
};

/// What a field of an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyType {
    /// Any text.
    Text,
    /// A resource's id.
    Uuid,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A date, such as `Aug 20, 2015 5:46:16 PM`.
    Date,
    /// Any JSON document.
    Json,
    /// A map from texts to values of one type.
    Map(&'static ReplyType),
    /// A list of values of one type.
    List(&'static ReplyType),
    /// An object with these fields.
    Object(&'static [ReplyField]),
    /// The inventory of the resource with this name, such as `Zone`.
    Inventory(&'static str),
    /// A list of inventories of the resource with this name.
    Inventories(&'static str),
}

/// One field of an answer. A field without a value is left out of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyField {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it holds.
    pub holds: ReplyType,
}

/// The fields with which answers show a resource, or a part of one.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The resource's name, such as `Zone`.
    pub name: &'static str,
    /// The published class, where it is known.
    pub class: Option<&'static str>,
    /// What it is.
    pub description: &'static str,
    /// Its fields.
    pub fields: Vec<InventoryField>,
}

/// One field of an inventory.
#[derive(Debug, Clone)]
pub struct InventoryField {
    /// Its name on the wire.
    pub name: String,
    /// What it holds.
    pub holds: ReplyType,
    /// What it means; empty where that is not said.
    pub description: &'static str,
}

/// Inventories by their resources' names.
pub type Inventories = BTreeMap<&'static str, Inventory>;

/// An inventory as it is written, known when the program is compiled.
#[derive(Debug, Clone, Copy)]
pub struct InventoryDraft {
    /// See [`Inventory::name`].
    pub name: &'static str,
    /// See [`Inventory::description`].
    pub description: &'static str,
    /// See [`Inventory::fields`].
    pub fields: &'static [ReplyField],
}

impl InventoryDraft {
    /// The inventory.
    pub fn finish(&self) -> Inventory {
        let field =
            |field: &ReplyField| InventoryField { name: field.name.to_owned(), holds: field.holds, description: "" };
        Inventory {
            name: self.name,
            class: None,
            description: self.description,
            fields: self.fields.iter().map(field).collect(),
        }
    }
}

/// The inventory of a declared resource: its public columns and the relations that are shown.
pub fn inventory_of(resource: &resource::Declaration) -> Inventory {
    let columns = resource.columns.iter().filter(|column| column.public).map(|column| InventoryField {
        name: column.json.clone(),
        holds: scalar(column),
        description: column.description,
    });
    let relations = resource.relations.iter().filter_map(|relation| {
        let (name, holds) = match relation.shown {
            Shown::No => return None,
            Shown::Inventories { .. } => (relation.name, ReplyType::Inventories(relation.target)),
            Shown::Values { field, column } => {
                let target = resource::by_name(relation.target)?;
                let column = target.columns.iter().find(|found| found.name == column)?;
                (field, ReplyType::List(list_item(column)))
            }
        };
        Some(InventoryField { name: name.to_owned(), holds, description: "" })
    });
    Inventory {
        name: resource.name,
        class: Some(resource.class),
        description: resource.description,
        fields: columns.chain(relations).collect(),
    }
}

fn scalar(column: &resource::Column) -> ReplyType {
    *list_item(column)
}

fn list_item(column: &resource::Column) -> &'static ReplyType {
    match column.kind {
        ColumnKind::Uuid => &ReplyType::Uuid,
        ColumnKind::Text | ColumnKind::Enum(_) => &ReplyType::Text,
        ColumnKind::Integer => &ReplyType::Integer,
        ColumnKind::Boolean => &ReplyType::Boolean,
        ColumnKind::Timestamp => &ReplyType::Date,
        ColumnKind::Json => &ReplyType::Json,
    }
}

/// The fields of a reply: `Zone` for `inventory`, `[Zone]` for `inventories`, or `{ name: type, … }` with names as they
/// are on the wire.
#[macro_export]
macro_rules! reply_fields {
    () => { &[] };
    ([$inventory:ident]) => {
        &[$crate::api::ReplyField { name: "inventories", holds: $crate::api::ReplyType::Inventories(stringify!($inventory)) }]
    };
    ({ $($name:ident : $type:tt),* $(,)? }) => {
        &[$($crate::api::ReplyField { name: stringify!($name), holds: $crate::reply_type!($type) }),*]
    };
    ($inventory:ident) => {
        &[$crate::api::ReplyField { name: "inventory", holds: $crate::api::ReplyType::Inventory(stringify!($inventory)) }]
    };
}

/// The type of a reply's field: `String`, `Uuid`, `i64`, `f64`, `bool`, `Timestamp`, `Json`, an inventory's name,
/// `[type]` for a list, `(type)` for a map from texts, or `{ name: type, … }`.
#[macro_export]
macro_rules! reply_type {
    (String) => { $crate::api::ReplyType::Text };
    (Uuid) => { $crate::api::ReplyType::Uuid };
    (i64) => { $crate::api::ReplyType::Integer };
    (f64) => { $crate::api::ReplyType::Number };
    (bool) => { $crate::api::ReplyType::Boolean };
    (Timestamp) => { $crate::api::ReplyType::Date };
    (Json) => { $crate::api::ReplyType::Json };
    ($inventory:ident) => { $crate::api::ReplyType::Inventory(stringify!($inventory)) };
    ([$item:tt]) => { $crate::api::ReplyType::List(&$crate::reply_type!($item)) };
    (($item:tt)) => { $crate::api::ReplyType::Map(&$crate::reply_type!($item)) };
    ({ $($fields:tt)* }) => { $crate::api::ReplyType::Object($crate::reply_fields!({ $($fields)* })) };
}

/// Declares inventories of what has no resource declaration yet, as `INVENTORIES`; the fields are written as in
/// [`reply_fields!`](crate::reply_fields).
#[macro_export]
macro_rules! inventories {
    ($($(#[doc = $doc:literal])* $name:ident { $($fields:tt)* })*) => {
        /// The inventories of this file.
        pub const INVENTORIES: &[$crate::api::InventoryDraft] = &[$($crate::api::InventoryDraft {
            name: stringify!($name),
            description: concat!($($doc),*).trim_ascii(),
            fields: $crate::reply_fields!({ $($fields)* }),
        }),*];
    };
}

//! What a resource's declaration says, and the macro it is written with.

use std::any::TypeId;

use super::Scope;
use crate::store::{ColumnKind, StoreError};

/// One resource: where it is stored and how the API shows it.
#[derive(Debug)]
pub struct Declaration {
    /// The resource's name, such as `VmInstance`.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    /// The published class of its inventory.
    pub class: &'static str,
    /// The table.
    pub table: &'static str,
    /// Which of its rows an account sees.
    pub scope: Scope,
    /// The type of its id.
    pub id: TypeId,
    /// The columns, the primary key first.
    pub columns: Vec<Column>,
    /// The ways to other resources.
    pub relations: &'static [Relation],
}

/// One column.
#[derive(Debug, Clone)]
pub struct Column {
    /// The column's name.
    pub name: &'static str,
    /// The field's name in JSON.
    pub json: String,
    /// What it means.
    pub description: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether it may hold nothing.
    pub nullable: bool,
    /// Whether the API shows it. What it does not show cannot be asked for either.
    pub public: bool,
}

/// A way from a resource to another one.
#[derive(Debug)]
pub struct Relation {
    /// The name in conditions and, where it is embedded, the field in JSON.
    pub name: &'static str,
    /// The other resource's name.
    pub target: &'static str,
    /// This resource's column.
    pub local: &'static str,
    /// The table between the two, where they are many to many.
    pub via: Option<Via>,
    /// The other resource's column.
    pub remote: &'static str,
    /// How it stands in the inventory.
    pub shown: Shown,
}

/// A table between two resources.
#[derive(Debug)]
pub struct Via {
    /// The table.
    pub table: &'static str,
    /// Its column that matches [`Relation::local`].
    pub local: &'static str,
    /// Its column that matches [`Relation::remote`].
    pub remote: &'static str,
}

/// How a relation stands in the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Not at all.
    No,
    /// As a list of the other resource's inventories, in the order of one of its columns.
    Inventories {
        /// The column that orders the list.
        order: &'static str,
    },
    /// As a list of one column's values, under the given field.
    Values {
        /// The field in JSON.
        field: &'static str,
        /// The other resource's column.
        column: &'static str,
    },
}

impl Declaration {
    /// The names of the fields that the API shows.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(|column| column.public).map(|column| column.json.as_str())
    }

    /// The column with this name in JSON, if the API shows it.
    pub fn field(&self, json: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.public && column.json == json)
    }

    /// The column with this name in the table.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The relation with this name.
    pub fn relation(&self, name: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.name == name)
    }

    /// The relations by which a column of its own holds another resource's id.
    pub fn references(&self) -> impl Iterator<Item = &'static Relation> {
        let relations: &'static [Relation] = self.relations;
        relations
            .iter()
            .filter(|relation| relation.via.is_none() && relation.remote == "uuid" && relation.local != "uuid")
    }

    /// The type as tags and references to it write it, such as `VmInstanceVO`.
    pub fn type_name(&self) -> String {
        format!("{}VO", self.name)
    }

    /// The primary key.
    pub fn key(&self) -> &Column {
        &self.columns[0]
    }

    /// Whether it has a uuid, which is what tags hang on.
    pub fn is_tagged(&self) -> bool {
        self.key().name == "uuid"
    }

    /// The columns that tell each row from all others: the key where it does alone, else all.
    pub fn identity(&self) -> &[Column] {
        match self.key().name {
            "uuid" | "id" => &self.columns[..1],
            _ => &self.columns,
        }
    }
}

/// A resource as a Rust value.
pub trait Resource: Sized + Send + 'static {
    /// The type of the primary key.
    type Key: crate::store::SqlValue + std::fmt::Display + Copy + Send + 'static;

    /// What is declared about it.
    fn declaration() -> &'static Declaration;

    /// The value of a row that holds all columns in order.
    fn from_row(row: &rusqlite::Row<'_>) -> Result<Self, StoreError>;

    /// The columns' values, in order.
    fn values(&self) -> Vec<rusqlite::types::Value>;

    /// The primary key.
    fn key(&self) -> Self::Key;
}

/// `snake_case` as the API writes it.
pub fn camel_case(snake: &str) -> String {
    let mut camel = String::with_capacity(snake.len());
    let mut upper = false;
    for c in snake.trim_start_matches("r#").chars() {
        if c == '_' {
            upper = true;
        } else if upper {
            camel.push(c.to_ascii_uppercase());
            upper = false;
        } else {
            camel.push(c);
        }
    }
    camel
}

/// Declares a resource. The first column is the primary key. A column is shown in JSON under its name in camel case,
/// or under `as "name"`; `hidden` columns are the node's own. Without a word for its [`Scope`], such as `owned` or
/// `with "vmInstance"` before the brace, the operator alone sees it.
#[macro_export]
macro_rules! resource {
    (
        $(#[doc = $doc:literal])*
        $name:ident, table $table:literal, class $class:literal $(, $scope:ident $($by:literal)*)? {
            $($(#[doc = $fdoc:literal])* $field:ident $(as $json:literal)? : $type:ty,)*
        }
        $(hidden { $($(#[doc = $hdoc:literal])* $hidden:ident : $htype:ty,)* })?
        $(relations { $($relation:literal => $target:ident ($local:ident $(via $via:ident($via_local:ident, $via_remote:ident))? = $remote:ident) $(shown $shown:expr)?;)* })?
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $fdoc])* pub $field: $type,)*
            $($($(#[doc = $hdoc])* pub $hidden: $htype,)*)?
        }

        impl $name {
            /// What is declared about this resource.
            pub fn declaration() -> &'static $crate::resource::Declaration {
                use $crate::store::SqlValue;
                static DECLARATION: std::sync::LazyLock<$crate::resource::Declaration> = std::sync::LazyLock::new(|| {
                    let column = |name: &'static str, json: Option<&str>, description, kind, nullable, public| $crate::resource::Column {
                        name: name.trim_start_matches("r#"),
                        json: json.map_or_else(|| $crate::resource::camel_case(name), str::to_owned),
                        description,
                        kind,
                        nullable,
                        public,
                    };
                    $crate::resource::Declaration {
                        name: stringify!($name),
                        description: concat!($($doc),*).trim_ascii(),
                        class: $class,
                        table: $table,
                        scope: $crate::resource!(@scope $($scope $($by)*)?),
                        id: std::any::TypeId::of::<<$name as $crate::resource::Resource>::Key>(),
                        columns: vec![
                            $(column(stringify!($field), None $(.or(Some($json)))?, concat!($($fdoc),*).trim_ascii(), <$type>::KIND, <$type>::NULLABLE, true),)*
                            $($(column(stringify!($hidden), None, concat!($($hdoc),*).trim_ascii(), <$htype>::KIND, <$htype>::NULLABLE, false),)*)?
                        ],
                        relations: &[$($($crate::resource::Relation {
                            name: $relation,
                            target: stringify!($target),
                            local: stringify!($local),
                            via: $crate::resource!(@via $($via, $via_local, $via_remote)?),
                            remote: stringify!($remote),
                            shown: $crate::resource!(@shown $($shown)?),
                        },)*)?],
                    }
                });
                &DECLARATION
            }
        }

        $crate::resource!(@impl $name { $($field: $type,)* $($($hidden: $htype,)*)? });
    };
    (@scope) => { $crate::resource::Scope::Operator };
    (@scope everyone) => { $crate::resource::Scope::Everyone };
    (@scope owned) => { $crate::resource::Scope::Owned { shareable: false, part_of: None } };
    (@scope owned $whole:literal) => { $crate::resource::Scope::Owned { shareable: false, part_of: Some($whole) } };
    (@scope shareable) => { $crate::resource::Scope::Owned { shareable: true, part_of: None } };
    (@scope with $relation:literal) => { $crate::resource::Scope::With($relation) };
    (@scope about $column:literal) => { $crate::resource::Scope::About($column) };
    (@scope account $($column:literal)+) => { $crate::resource::Scope::Account(&[$($column),+]) };
    (@via) => { None };
    (@via $table:ident, $local:ident, $remote:ident) => {
        Some($crate::resource::Via { table: stringify!($table), local: stringify!($local), remote: stringify!($remote) })
    };
    (@shown) => { $crate::resource::Shown::No };
    (@shown $shown:expr) => { $shown };
    (@impl $name:ident { $key:ident: $ktype:ty, $($field:ident: $type:ty,)* }) => {
        impl $crate::resource::Resource for $name {
            type Key = $ktype;

            fn declaration() -> &'static $crate::resource::Declaration {
                Self::declaration()
            }

            fn from_row(row: &rusqlite::Row<'_>) -> Result<Self, $crate::store::StoreError> {
                let mut columns = 0..;
                let mut next = || columns.next().unwrap_or_default();
                Ok(Self {
                    $key: $crate::store::column(row, next())?,
                    $($field: $crate::store::column(row, next())?,)*
                })
            }

            fn values(&self) -> Vec<rusqlite::types::Value> {
                vec![
                    $crate::store::SqlValue::to_sql(&self.$key),
                    $($crate::store::SqlValue::to_sql(&self.$field),)*
                ]
            }

            fn key(&self) -> Self::Key {
                self.$key
            }
        }
    };
}

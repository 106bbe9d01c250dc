//! How typed values stand in columns.

use std::net::Ipv4Addr;

use gantry_common::{id, net::MacAddress};
use rusqlite::types::{Value, ValueRef};

use super::StoreError;
use crate::{api::Origin, clock::Timestamp, onboarding::HostAddress};

/// What a column holds, as queries see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text, compared character by character.
    Text,
    /// A resource's id.
    Uuid,
    /// One of these texts.
    Enum(&'static [&'static str]),
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A date.
    Timestamp,
    /// A JSON document, which cannot be compared.
    Json,
}

/// A value that can stand in a column.
pub trait SqlValue: Sized {
    /// The column's kind.
    const KIND: ColumnKind;
    /// Whether the column may hold no value.
    const NULLABLE: bool = false;

    /// The stored form.
    fn to_sql(&self) -> Value;

    /// The value of the stored form.
    fn from_sql(stored: ValueRef<'_>) -> Result<Self, StoreError>;
}

/// The error for a stored value of the wrong form.
pub fn bad_value(stored: ValueRef<'_>, expected: &'static str) -> StoreError {
    StoreError::BadValue { column: String::new(), value: format!("{stored:?}"), expected }
}

impl SqlValue for String {
    const KIND: ColumnKind = ColumnKind::Text;

    fn to_sql(&self) -> Value {
        Value::Text(self.clone())
    }

    fn from_sql(stored: ValueRef<'_>) -> Result<Self, StoreError> {
        stored.as_str().map(str::to_owned).map_err(|_| bad_value(stored, "text"))
    }
}

impl SqlValue for bool {
    const KIND: ColumnKind = ColumnKind::Boolean;

    fn to_sql(&self) -> Value {
        Value::Integer(i64::from(*self))
    }

    fn from_sql(stored: ValueRef<'_>) -> Result<Self, StoreError> {
        stored.as_i64().map(|number| number != 0).map_err(|_| bad_value(stored, "a boolean"))
    }
}

impl SqlValue for Timestamp {
    const KIND: ColumnKind = ColumnKind::Timestamp;

    fn to_sql(&self) -> Value {
        Value::Integer(self.millis())
    }

    fn from_sql(stored: ValueRef<'_>) -> Result<Self, StoreError> {
        stored.as_i64().map(Timestamp::from_millis).map_err(|_| bad_value(stored, "a date"))
    }
}

impl SqlValue for serde_json::Value {
    const KIND: ColumnKind = ColumnKind::Json;

    fn to_sql(&self) -> Value {
        Value::Text(self.to_string())
    }

    fn from_sql(stored: ValueRef<'_>) -> Result<Self, StoreError> {
        stored
            .as_str()
            .ok()
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| bad_value(stored, "a JSON document"))
    }
}

impl<T: SqlValue> SqlValue for Option<T> {
    const KIND: ColumnKind = T::KIND;
    const NULLABLE: bool = true;

    fn to_sql(&self) -> Value {
        self.as_ref().map_or(Value::Null, SqlValue::to_sql)
    }

    fn from_sql(stored: ValueRef<'_>) -> Result<Self, StoreError> {
        match stored {
            ValueRef::Null => Ok(None),
            stored => T::from_sql(stored).map(Some),
        }
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl SqlValue for $type {
            const KIND: ColumnKind = ColumnKind::Integer;

            fn to_sql(&self) -> Value {
                // SQLite's integers are signed: nothing that is counted here comes near the limit.
                Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
            }

            fn from_sql(stored: ValueRef<'_>) -> Result<Self, StoreError> {
                stored.as_i64().ok().and_then(|number| Self::try_from(number).ok()).ok_or_else(|| bad_value(stored, stringify!($type)))
            }
        }
    )*};
}

integers!(i64, u64, u32, u16, i32);

macro_rules! texts {
    ($kind:ident: $($type:ty),* $(,)?) => {$(
        impl SqlValue for $type {
            const KIND: ColumnKind = ColumnKind::$kind;

            fn to_sql(&self) -> Value {
                Value::Text(self.to_string())
            }

            fn from_sql(stored: ValueRef<'_>) -> Result<Self, StoreError> {
                stored.as_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| bad_value(stored, stringify!($type)))
            }
        }
    )*};
}

texts!(Text: Ipv4Addr, MacAddress, HostAddress, Origin);

texts!(
    Uuid:
    id::AccountUuid,
    id::ResourceUuid,
    id::AuditUuid,
    id::UserUuid,
    id::SessionUuid,
    id::JobUuid,
    id::LongJobUuid,
    id::NodeUuid,
    id::ZoneUuid,
    id::ClusterUuid,
    id::HostUuid,
    id::InstanceOfferingUuid,
    id::DiskOfferingUuid,
    id::AffinityGroupUuid,
    id::AffinityGroupUsageUuid,
    id::BackupStorageUuid,
    id::PrimaryStorageUuid,
    id::ImageUuid,
    id::VolumeUuid,
    id::L2NetworkUuid,
    id::L3NetworkUuid,
    id::IpRangeUuid,
    id::UsedIpUuid,
    id::NetworkServiceProviderUuid,
    id::VmUuid,
    id::NicUuid,
    id::TagUuid,
    id::NotificationUuid,
    id::GcJobUuid,
    id::ShareableVolumeRefUuid,
    id::ConsoleProxyAgentUuid,
    id::OperationId,
);

/// Makes an enum of constant texts: stored, sent and shown by its text. As a parameter, it allows its `TEXTS`.
#[macro_export]
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// All values.
            pub const ALL: &[$name] = &[$(Self::$variant,)*];

            /// The texts that stand for them.
            pub const TEXTS: &[&str] = &[$($text,)*];

            /// The text that stands for the value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl $crate::api::ParameterType for $name {
            const KIND: $crate::api::ParameterKind = $crate::api::ParameterKind::Text;
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::store::SqlValue for $name {
            const KIND: $crate::store::ColumnKind = $crate::store::ColumnKind::Enum(&[$($text,)*]);

            fn to_sql(&self) -> rusqlite::types::Value {
                rusqlite::types::Value::Text(self.as_str().to_owned())
            }

            fn from_sql(stored: rusqlite::types::ValueRef<'_>) -> Result<Self, $crate::store::StoreError> {
                match stored.as_str() {
                    $(Ok($text) => Ok(Self::$variant),)*
                    _ => Err($crate::store::bad_value(stored, stringify!($name))),
                }
            }
        }
    };
}

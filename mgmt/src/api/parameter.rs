//! The types parameters have, and how their values are checked.

use std::{any::TypeId, collections::BTreeMap, fmt, net::Ipv4Addr, ops::RangeInclusive};

use gantry_common::id;
use serde_json::{Map, Number, Value};

use super::Parameter;
use crate::{failure::Failure, secret::Secret};

/// What a parameter holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// Any text.
    Text,
    /// Text that is kept from logs and stored sealed.
    Secret,
    /// A JSON object, as such or as text. It may hold secrets: it is kept from logs and stored sealed.
    Json,
    /// A resource's id.
    Uuid,
    /// An IPv4 address.
    Ipv4,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A list of texts.
    TextList,
    /// A list of resources' ids.
    UuidList,
    /// A map from texts to lists of texts.
    Map,
    /// A map from texts to texts.
    TextMap,
    /// A number.
    Number,
    /// A JSON object of any content.
    Object,
    /// A list of JSON objects of any content.
    ObjectList,
}

/// A Rust type that a parameter can have.
pub trait ParameterType {
    /// What it holds.
    const KIND: ParameterKind;
    /// The type of id it holds, where that is one resource's.
    const ID: Option<TypeId> = None;
    /// Whether the call must carry it.
    const REQUIRED: bool = true;
}

macro_rules! parameter_types {
    ($($kind:ident: $($type:ty),+;)*) => {$($(
        impl ParameterType for $type {
            const KIND: ParameterKind = ParameterKind::$kind;
        }
    )+)*};
}

parameter_types! {
    Text: String;
    Secret: Secret;
    Json: JsonText;
    Integer: u16, u32, u64, i32, i64;
    Boolean: bool;
    Ipv4: Ipv4Addr;
    Map: BTreeMap<String, Vec<String>>;
    TextMap: BTreeMap<String, String>;
    Number: f64;
    Object: Map<String, Value>;
    ObjectList: Vec<Map<String, Value>>;
    Uuid: uuid::Uuid;
    UuidList: Vec<uuid::Uuid>;
    TextList: Vec<String>;
}

macro_rules! uuid_types {
    ($($type:ident),+ $(,)?) => {$(
        impl ParameterType for id::$type {
            const KIND: ParameterKind = ParameterKind::Uuid;
            const ID: Option<TypeId> = Some(TypeId::of::<id::$type>());
        }

        impl ParameterType for Vec<id::$type> {
            const KIND: ParameterKind = ParameterKind::UuidList;
            const ID: Option<TypeId> = Some(TypeId::of::<id::$type>());
        }
    )+};
}

uuid_types!(
    AccountUuid,
    ResourceUuid,
    SessionUuid,
    JobUuid,
    LongJobUuid,
    ZoneUuid,
    ClusterUuid,
    HostUuid,
    InstanceOfferingUuid,
    DiskOfferingUuid,
    AffinityGroupUuid,
    BackupStorageUuid,
    PrimaryStorageUuid,
    ImageUuid,
    VolumeUuid,
    VolumeSnapshotUuid,
    L2NetworkUuid,
    L3NetworkUuid,
    IpRangeUuid,
    NetworkServiceProviderUuid,
    VmUuid,
    NicUuid,
    TagUuid,
    NotificationUuid,
    ConsoleProxyAgentUuid,
    GcJobUuid,
);

impl<T: ParameterType> ParameterType for Option<T> {
    const KIND: ParameterKind = T::KIND;
    const ID: Option<TypeId> = T::ID;
    const REQUIRED: bool = false;
}

/// The text of a JSON object that is to be read later.
#[derive(Clone, serde::Deserialize)]
pub struct JsonText(String);

impl JsonText {
    /// The object.
    pub fn into_object(self) -> Option<Map<String, Value>> {
        serde_json::from_str(&self.0).ok()
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("******")
    }
}

impl Parameter {
    /// The value in the form its type reads, or an error that names the parameter, the value and what is allowed.
    pub fn check(&self, value: Value) -> Result<Value, Failure> {
        let shown = match (&value, self.kind) {
            (_, ParameterKind::Secret | ParameterKind::Json) => "******".to_owned(),
            (Value::String(text), _) => text.clone(),
            (other, _) => other.to_string(),
        };
        let refuse = |remedy: &str| Failure::argument(&self.name, &shown, remedy);
        let checked = match self.kind {
            ParameterKind::Text | ParameterKind::Secret => text(value).ok_or_else(|| refuse("text is needed"))?,
            ParameterKind::Json => match value {
                Value::Object(_) => Value::String(value.to_string()),
                Value::String(text) if serde_json::from_str::<Map<String, Value>>(&text).is_ok() => Value::String(text),
                _ => return Err(refuse("a JSON object is needed, as such or as text")),
            },
            ParameterKind::Uuid => uuid(value).ok_or_else(|| refuse(UUID))?,
            ParameterKind::Ipv4 => match &value {
                Value::String(text) if text.parse::<Ipv4Addr>().is_ok() => value,
                _ => return Err(refuse("an IPv4 address such as 10.0.0.7 is needed")),
            },
            ParameterKind::Integer => integer(&value).ok_or_else(|| refuse("a whole number is needed"))?,
            ParameterKind::Boolean => match &value {
                Value::Bool(_) => value,
                Value::String(text) if text == "true" => Value::Bool(true),
                Value::String(text) if text == "false" => Value::Bool(false),
                _ => return Err(refuse("true or false is needed")),
            },
            ParameterKind::TextList => list(value, |item| match item {
                Value::String(_) => Some(item),
                _ => None,
            })
            .ok_or_else(|| refuse("a list of texts is needed"))?,
            ParameterKind::UuidList => {
                list(value, uuid).ok_or_else(|| refuse(&format!("a list is needed in which each item is: {UUID}")))?
            }
            ParameterKind::Map => match value {
                Value::Object(map) => Value::Object(
                    map.into_iter()
                        .map(|(key, item)| list(item, Some).map(|item| (key, item)))
                        .collect::<Option<_>>()
                        .ok_or_else(|| refuse("each entry must be a list"))?,
                ),
                _ => return Err(refuse("a map is needed")),
            },
            ParameterKind::TextMap => match value {
                Value::Object(map) => Value::Object(
                    map.into_iter()
                        .map(|(key, item)| text(item).map(|item| (key, item)))
                        .collect::<Option<_>>()
                        .ok_or_else(|| refuse("each entry must be a text"))?,
                ),
                _ => return Err(refuse("a map is needed")),
            },
            ParameterKind::Number => number(&value).ok_or_else(|| refuse("a number is needed"))?,
            ParameterKind::Object => match value {
                Value::Object(_) => value,
                _ => return Err(refuse("an object is needed")),
            },
            ParameterKind::ObjectList => match value {
                Value::Array(ref items) if items.iter().all(Value::is_object) => value,
                _ => return Err(refuse("a list of objects is needed")),
            },
        };
        self.constrain(&checked, refuse)?;
        Ok(checked)
    }

    fn constrain(&self, value: &Value, refuse: impl Fn(&str) -> Failure) -> Result<(), Failure> {
        let constraint = &self.constraint;
        if let (Some(text), Some(most)) = (value.as_str(), constraint.max_length)
            && text.chars().count() > most
        {
            return Err(refuse(&format!("at most {most} characters are allowed")));
        }
        let invisible = |text: &str| !text.bytes().all(|byte| byte.is_ascii_graphic());
        if constraint.visible_ascii == Some(true) && value.as_str().is_some_and(invisible) {
            return Err(refuse("only letters, digits and punctuation of ASCII are allowed"));
        }
        if let (Some(text), Some(allowed)) = (value.as_str(), constraint.values)
            && !allowed.contains(&text)
        {
            return Err(refuse(&format!("allowed are {}", allowed.join(", "))));
        }
        let outside = |range: &RangeInclusive<i64>| match value.as_i64() {
            Some(number) => !range.contains(&number),
            #[allow(clippy::cast_precision_loss)]
            None => value.as_f64().is_some_and(|number| number < *range.start() as f64 || number > *range.end() as f64),
        };
        if let Some(range) = constraint.range.as_ref().filter(|range| outside(range)) {
            return Err(refuse(&format!("it must lie between {} and {}", range.start(), range.end())));
        }
        let empty = value.as_str().is_some_and(str::is_empty) || value.as_array().is_some_and(Vec::is_empty);
        if empty && constraint.nonempty == Some(true) {
            return Err(refuse("it must not be empty"));
        }
        Ok(())
    }
}

const UUID: &str = "a uuid is needed: 32 hexadecimal characters without hyphens";

fn uuid(value: Value) -> Option<Value> {
    value.as_str()?.parse::<id::OperationId>().ok().map(|id| Value::String(id.to_string()))
}

/// Clients in typeless languages write a name such as 12 as a number.
fn text(value: Value) -> Option<Value> {
    match value {
        Value::String(_) => Some(value),
        Value::Number(number) => Some(Value::String(number.to_string())),
        _ => None,
    }
}

fn number(value: &Value) -> Option<Value> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.and_then(Number::from_f64).map(Value::Number)
}

fn integer(value: &Value) -> Option<Value> {
    let number = match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => text.parse().ok().or_else(|| text.parse().ok().and_then(whole)),
        _ => None,
    };
    number.map(|number| Value::Number(Number::from(number)))
}

/// Clients in typeless languages write 22 as 22.0.
fn whole(number: f64) -> Option<i64> {
    #[allow(clippy::cast_possible_truncation)]
    (number.fract() == 0.0 && number.abs() < 9.0e15).then_some(number as i64)
}

fn list(value: Value, item: impl Fn(Value) -> Option<Value>) -> Option<Value> {
    let items = match value {
        Value::Array(items) => items,
        single @ Value::String(_) => vec![single],
        _ => return None,
    };
    items.into_iter().map(item).collect::<Option<Vec<_>>>().map(Value::Array)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{Constraint, Location};

    fn parameter(kind: ParameterKind, constraint: Constraint) -> Parameter {
        Parameter {
            name: "size".to_owned(),
            description: "",
            kind,
            id: None,
            required: true,
            location: Location::Body,
            constraint,
        }
    }

    #[test]
    fn a_whole_number_may_be_written_as_clients_write_it() {
        let size = parameter(ParameterKind::Integer, Constraint { range: Some(1..=64), ..Constraint::default() });
        for value in [json!(22), json!(22.0), json!("22"), json!("22.0")] {
            assert_eq!(size.check(value).unwrap(), json!(22));
        }
        let failure = size.check(json!(65)).unwrap_err();
        assert_eq!(failure.details, "size '65' is not usable: it must lie between 1 and 64");
        assert!(
            size.check(json!(1.5)).is_err() && size.check(json!("many")).is_err() && size.check(json!(null)).is_err()
        );
    }

    #[test]
    fn a_secret_is_not_repeated_in_its_error() {
        let password = parameter(ParameterKind::Secret, Constraint { max_length: Some(3), ..Constraint::default() });
        assert!(!password.check(json!("hunter2")).unwrap_err().details.contains("hunter2"));
    }

    #[test]
    fn allowed_values_are_listed_when_another_is_given() {
        let kind = Constraint { values: Some(&["KVM", "Simulator"]), ..Constraint::default() };
        let failure = parameter(ParameterKind::Text, kind).check(json!("Xen")).unwrap_err();
        assert_eq!(failure.details, "size 'Xen' is not usable: allowed are KVM, Simulator");
    }
}

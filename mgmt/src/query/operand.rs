//! The value of a condition, of the field's type.

use crate::{clock::Timestamp, resource::Column, store::ColumnKind};

/// A value that a field is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// Text, a uuid or one of fixed texts.
    Text(String),
    /// A whole number, or 0 and 1 for false and true.
    Number(i64),
    /// A date. The API writes dates to the second, so a date means the whole second that begins then.
    Second(Timestamp),
}

impl Operand {
    /// The value as the column needs it, or what it must look like.
    pub fn of(column: &Column, text: &str) -> Result<Self, String> {
        match column.kind {
            ColumnKind::Text => Ok(Self::Text(text.to_owned())),
            ColumnKind::Uuid => {
                if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    Ok(Self::Text(text.to_ascii_lowercase()))
                } else {
                    Err("a uuid of 32 hexadecimal characters without hyphens is needed".to_owned())
                }
            }
            ColumnKind::Enum(values) => {
                if values.contains(&text) {
                    Ok(Self::Text(text.to_owned()))
                } else {
                    Err(format!("allowed are {}", values.join(", ")))
                }
            }
            ColumnKind::Integer => text.parse().map(Self::Number).map_err(|_| "a whole number is needed".to_owned()),
            ColumnKind::Boolean => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(Self::Number(1)),
                "false" | "0" => Ok(Self::Number(0)),
                _ => Err("true or false is needed".to_owned()),
            },
            ColumnKind::Timestamp => Timestamp::parse(text)
                .map(|date| Self::Second(date.start_of_second()))
                .ok_or_else(|| {
                    "a date such as 'Aug 20, 2015 5:46:16 PM' or '2015-08-20 17:46:16' (UTC), or milliseconds since 1970, is needed".to_owned()
                }),
            ColumnKind::Json => Err("a document cannot be compared".to_owned()),
        }
    }
}

//! The parameters every query takes.

use gantry_common::error::ErrorKind;

use super::Condition;
use crate::failure::Failure;

/// How many inventories a query answers with unless it says otherwise.
pub const DEFAULT_LIMIT: u64 = 1000;

/// A query as it was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// What must hold.
    pub conditions: Vec<Condition>,
    /// How many inventories at the most.
    pub limit: Option<u64>,
    /// How many to leave out from the start.
    pub start: u64,
    /// Whether only the number is asked for.
    pub count: bool,
    /// Whether the number of all that match comes with the page.
    pub reply_with_count: bool,
    /// The field to sort by, and whether downwards.
    pub sort: Option<(String, bool)>,
    /// The fields to show; all where empty.
    pub fields: Vec<String>,
    /// The field whose values group the answer.
    pub group_by: Option<String>,
}

impl Query {
    /// A query for the resource with this uuid.
    pub fn by_uuid(uuid: &str) -> Self {
        let test = super::Test::Compare(super::Comparison::Equal, uuid.to_owned());
        Self { conditions: vec![Condition { path: vec!["uuid".to_owned()], test }], ..Self::default() }
    }

    /// A query for the resources with these uuids.
    pub fn by_uuids(uuids: Vec<String>) -> Self {
        let limit = Some(uuids.len() as u64);
        let test = super::Test::In(uuids, false);
        Self { conditions: vec![Condition { path: vec!["uuid".to_owned()], test }], limit, ..Self::default() }
    }

    /// Names that no query takes.
    pub fn unknown(pairs: &[(String, String)]) -> impl Iterator<Item = &str> {
        const TAKEN: [&str; 17] = [
            "q",
            "condition",
            "conditions",
            "limit",
            "start",
            "count",
            "replyWithCount",
            "sort",
            "sortBy",
            "sortDirection",
            "fields",
            "groupBy",
            "sessionId",
            "session",
            "timeout",
            "systemTags",
            "userTags",
        ];
        let names = pairs.iter().map(|(name, _)| name.split_once('.').map_or(name.as_str(), |(plain, _)| plain));
        names.filter(|name| !TAKEN.contains(name) && *name != "uuid")
    }

    /// Reads a query from the pairs of a query string. Unknown names are left alone: clients send some of their own.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, Failure> {
        let mut query = Self::default();
        for (name, value) in pairs {
            let plain = name.split_once('.').map_or(name.as_str(), |(plain, _)| plain);
            match plain {
                "q" | "condition" | "conditions" => query.conditions.push(Condition::parse(value)?),
                "limit" => query.limit = Some(number(plain, value)?),
                "start" => query.start = number(plain, value)?,
                "count" => query.count = boolean(plain, value)?,
                "replyWithCount" => query.reply_with_count = boolean(plain, value)?,
                "sort" => query.sort = Some(sort(value)?),
                "sortBy" => query.sort = Some((value.clone(), query.sort.is_some_and(|(_, down)| down))),
                "sortDirection" => {
                    let down = downwards(value)?;
                    query.sort = Some((query.sort.map(|(field, _)| field).unwrap_or_default(), down));
                }
                "fields" => {
                    let fields = value.split(',').map(str::trim).filter(|field| !field.is_empty());
                    query.fields.extend(fields.map(str::to_owned));
                }
                "groupBy" => query.group_by = Some(value.clone()).filter(|field| !field.is_empty()),
                _ => {}
            }
        }
        query.sort = query.sort.filter(|(field, _)| !field.is_empty());
        Ok(query)
    }
}

fn number(name: &str, value: &str) -> Result<u64, Failure> {
    value.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok()).ok_or_else(|| {
        Failure::new(
            ErrorKind::InvalidArgument,
            format!("{name} '{value}' is not usable: a whole number from 0 on is needed"),
        )
    })
}

fn boolean(name: &str, value: &str) -> Result<bool, Failure> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Failure::argument(name, value, "true or false is needed")),
    }
}

fn downwards(value: &str) -> Result<bool, Failure> {
    match value.to_ascii_lowercase().as_str() {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _ => Err(Failure::argument("sortDirection", value, "asc or desc is needed")),
    }
}

fn sort(value: &str) -> Result<(String, bool), Failure> {
    // A plus sign arrives as a space from clients that do not escape it.
    match value.split_at_checked(1) {
        Some(("+" | " ", field)) if !field.is_empty() => Ok((field.to_owned(), false)),
        Some(("-", field)) if !field.is_empty() => Ok((field.to_owned(), true)),
        _ => Err(Failure::argument(
            "sort",
            value,
            "write + (upwards) or - (downwards) and the field, such as sort=-createDate",
        )),
    }
}

//! A query in terms of what is declared: every name found, every value of its field's type, every operator allowed.
//!
//! What follows a relation asks whether there is one: `vmNics.ip!=10.0.0.7` finds the VMs that have an interface with
//! another address, as a join of the tables does. Tags alone are asked the other way round: `__userTag__!=web` finds what
//! has no such tag. A field without a value passes ` is null` and nothing else, not even `!=`.

use gantry_common::error::ErrorKind;

use super::{Comparison, Condition, DEFAULT_LIMIT, Operand, Query, Test, View};
use crate::{
    failure::Failure,
    resource::{Column, Declaration, Relation, by_name},
    store::ColumnKind,
};

/// How many conditions a query may have, and how many relations a condition may follow: the database compiles each query
/// to a program of its own, which must stay small.
pub const MOST_CONDITIONS: usize = 100;
/// See [`MOST_CONDITIONS`].
pub const MOST_RELATIONS: usize = 12;

/// A query that can be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is asked for.
    pub resource: &'static Declaration,
    /// Who asks.
    pub view: View,
    /// What must hold.
    pub filters: Vec<Filter>,
    /// The fields to show; `None` shows whole inventories, with the lists in them.
    pub fields: Option<Vec<&'static Column>>,
    /// The field to sort by, and whether downwards. What is equal in it is in the order of the resource's identity.
    pub sort: Option<(&'static Column, bool)>,
    /// One inventory for each value of this field: the first by the resource's identity.
    pub group_by: Option<&'static Column>,
    /// How many inventories to leave out.
    pub start: u64,
    /// How many inventories at the most.
    pub limit: u64,
    /// What the answer holds.
    pub wanted: Wanted,
}

/// What the answer of a query holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The inventories.
    Page,
    /// The inventories, and how many there are on all pages.
    PageAndTotal,
    /// How many there are.
    Total,
}

/// One condition of a plan.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The relations to follow.
    pub path: Vec<(&'static Relation, &'static Declaration)>,
    /// What is asked about where they lead.
    pub subject: Subject,
    /// What must hold there.
    pub check: Check,
}

/// What a condition asks about.
#[derive(Debug, Clone, Copy)]
pub enum Subject {
    /// A field.
    Field(&'static Column),
    /// The resource's system tags.
    SystemTags,
    /// The resource's user tags.
    UserTags,
}

/// What must hold for a field.
#[derive(Debug, Clone)]
pub enum Check {
    /// It has no value, or with `true`: has one.
    Null(bool),
    /// It compares so with the value.
    Compare(Comparison, Operand),
    /// It is one of the values, or with `true`: none of them.
    In(Vec<Operand>, bool),
    /// It matches the pattern, or with `true`: does not.
    Like(String, bool),
}

impl Plan {
    /// The plan of a query, or an error that says what there is to ask for.
    pub fn new(resource: &'static Declaration, query: &Query, view: View) -> Result<Self, Failure> {
        if query.conditions.len() > MOST_CONDITIONS {
            return Err(invalid(format!(
                "the query has {} conditions: at most {MOST_CONDITIONS} are allowed; ?= takes a list of values",
                query.conditions.len()
            )));
        }
        let fields: Vec<_> =
            query.fields.iter().map(|name| own_field(resource, "fields", name)).collect::<Result<_, _>>()?;
        let sort = match &query.sort {
            Some((name, down)) => Some((own_field(resource, "sort", name)?, *down)),
            None => None,
        };
        Ok(Self {
            resource,
            view,
            filters: query.conditions.iter().map(|condition| filter(resource, condition)).collect::<Result<_, _>>()?,
            fields: (!fields.is_empty()).then_some(fields),
            sort,
            group_by: query.group_by.as_deref().map(|name| own_field(resource, "groupBy", name)).transpose()?,
            start: query.start,
            limit: query.limit.unwrap_or(DEFAULT_LIMIT),
            wanted: match (query.count, query.reply_with_count) {
                (true, _) => Wanted::Total,
                (false, true) => Wanted::PageAndTotal,
                (false, false) => Wanted::Page,
            },
        })
    }
}

fn filter(resource: &'static Declaration, condition: &Condition) -> Result<Filter, Failure> {
    let (name, relations) =
        condition.path.split_last().ok_or_else(|| invalid("a condition names no field".to_owned()))?;
    if relations.len() > MOST_RELATIONS {
        return Err(invalid(format!(
            "a condition follows {} relations: at most {MOST_RELATIONS} are allowed",
            relations.len()
        )));
    }
    let mut path = Vec::with_capacity(relations.len());
    let mut here = resource;
    for name in relations {
        let relation = here.relation(name).ok_or_else(|| unknown_relation(here, name))?;
        here = by_name(relation.target).ok_or_else(|| unknown_relation(here, name))?;
        path.push((relation, here));
    }
    let subject = match name.as_str() {
        "__systemTag__" if here.is_tagged() => Subject::SystemTags,
        "__userTag__" if here.is_tagged() => Subject::UserTags,
        name => Subject::Field(here.field(name).ok_or_else(|| unknown_field(here, name))?),
    };
    let check = match subject {
        Subject::Field(column) => check(here, column, &condition.test)?,
        Subject::SystemTags | Subject::UserTags => text_check(&condition.test),
    };
    Ok(Filter { path, subject, check })
}

/// The operators that a field of this kind can be asked with, as the refusal of another one lists them.
fn operators(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text | ColumnKind::Uuid => "= != > < >= <= ?= !?= ~= !~=",
        ColumnKind::Enum(_) => "= != ?= !?= ~= !~=",
        ColumnKind::Integer | ColumnKind::Timestamp => "= != > < >= <= ?= !?=",
        ColumnKind::Boolean => "= != ?= !?=",
        ColumnKind::Json => "",
    }
}

fn symbol(test: &Test) -> &'static str {
    match test {
        Test::Compare(Comparison::Equal, _) => "=",
        Test::Compare(Comparison::NotEqual, _) => "!=",
        Test::Compare(Comparison::GreaterOrEqual, _) => ">=",
        Test::Compare(Comparison::LessOrEqual, _) => "<=",
        Test::Compare(Comparison::Greater, _) => ">",
        Test::Compare(Comparison::Less, _) => "<",
        Test::In(_, false) => "?=",
        Test::In(_, true) => "!?=",
        Test::Like(_, false) => "~=",
        Test::Like(_, true) => "!~=",
        Test::Null(false) => "is null",
        Test::Null(true) => "not null",
    }
}

fn check(resource: &Declaration, column: &Column, test: &Test) -> Result<Check, Failure> {
    let field = format!("{}.{}", resource.name, column.json);
    let allowed = operators(column.kind);
    if !matches!(test, Test::Null(_)) && !allowed.split(' ').any(|operator| operator == symbol(test)) {
        let what = match column.kind {
            ColumnKind::Text | ColumnKind::Uuid => "text",
            ColumnKind::Enum(_) => "one of fixed values",
            ColumnKind::Integer => "a number",
            ColumnKind::Timestamp => "a date",
            ColumnKind::Boolean => "true or false",
            ColumnKind::Json => "a document",
        };
        let and = if allowed.is_empty() { "" } else { " and " };
        return Err(invalid(format!(
            "{field} is {what}, so {} cannot be used on it: use {allowed}{and}' is null', ' not null'",
            symbol(test)
        )));
    }
    let operand = |text: &String| {
        Operand::of(column, text).map_err(|remedy| invalid(format!("{field} '{text}' is not usable: {remedy}")))
    };
    Ok(match test {
        Test::Null(negated) => Check::Null(*negated),
        Test::Compare(comparison, text) => Check::Compare(*comparison, operand(text)?),
        Test::In(texts, negated) => Check::In(texts.iter().map(operand).collect::<Result<_, _>>()?, *negated),
        Test::Like(pattern, negated) => Check::Like(pattern.clone(), *negated),
    })
}

/// A tag can be asked whatever text can.
fn text_check(test: &Test) -> Check {
    match test {
        Test::Null(negated) => Check::Null(*negated),
        Test::Compare(comparison, text) => Check::Compare(*comparison, Operand::Text(text.clone())),
        Test::In(texts, negated) => Check::In(texts.iter().cloned().map(Operand::Text).collect(), *negated),
        Test::Like(pattern, negated) => Check::Like(pattern.clone(), *negated),
    }
}

fn invalid(details: String) -> Failure {
    Failure::new(ErrorKind::InvalidQuery, details)
}

fn field_names(resource: &Declaration) -> Vec<&str> {
    resource.columns.iter().filter(|column| column.public).map(|column| column.json.as_str()).collect()
}

fn relation_names(resource: &Declaration) -> String {
    if resource.relations.is_empty() {
        return "none".to_owned();
    }
    resource.relations.iter().map(|relation| relation.name).collect::<Vec<_>>().join(", ")
}

/// A field of the resource itself: these alone can be shown, sorted and grouped by.
fn own_field(resource: &'static Declaration, parameter: &str, name: &str) -> Result<&'static Column, Failure> {
    resource.field(name).ok_or_else(|| {
        invalid(format!(
            "{parameter} '{name}' is not usable: {} has no such field of its own; it has {}",
            resource.name,
            field_names(resource).join(", ")
        ))
    })
}

fn unknown_field(resource: &Declaration, name: &str) -> Failure {
    if resource.relation(name).is_some() {
        return invalid(format!(
            "{name} of {} is a relation: ask for a field of what it leads to, such as {name}.uuid",
            resource.name
        ));
    }
    let mut names = field_names(resource);
    if resource.is_tagged() {
        names.extend(["__systemTag__", "__userTag__"]);
    }
    invalid(format!(
        "{} has no field '{name}': it has {}, and the relations {}",
        resource.name,
        names.join(", "),
        relation_names(resource)
    ))
}

fn unknown_relation(resource: &Declaration, name: &str) -> Failure {
    invalid(format!("{} has no relation '{name}': it has {}", resource.name, relation_names(resource)))
}

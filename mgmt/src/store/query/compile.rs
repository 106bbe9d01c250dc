//! From a plan to SQL. Names in the SQL come from declarations, values are always bound.

use std::rc::Rc;

use gantry_common::id::AccountUuid;
use rusqlite::{
    ToSql,
    types::{ToSqlOutput, Value},
};

use super::{
    pattern,
    scope::{self, Search},
};
use crate::{
    query::{Check, Comparison, Filter, Operand, Plan, Right, Subject, View},
    resource::{Column, Declaration, Relation, SystemTag, UserTag, by_table},
};

/// A statement and the values bound in it, in order.
#[derive(Debug, Default)]
pub struct Sql {
    pub text: String,
    pub values: Vec<Bound>,
    pub(super) search: Search,
}

/// A bound value.
#[derive(Debug)]
pub enum Bound {
    One(Value),
    /// All values of a list, whose length does not change the statement: so it is compiled once.
    List(Rc<Vec<Value>>),
}

impl ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::One(value) => value.to_sql(),
            Self::List(values) => values.to_sql(),
        }
    }
}

/// The statement that answers how many there are.
pub fn total(plan: &Plan, search: Search) -> Sql {
    let mut sql = Sql { search, ..Sql::default() };
    let table = plan.resource.table;
    match plan.group_by {
        None => sql.push(&["SELECT count(*) FROM ", table]),
        Some(column) => sql.push(&["SELECT count(*) FROM (SELECT DISTINCT ", column.name, " FROM ", table]),
    }
    sql.filters(plan);
    if plan.group_by.is_some() {
        sql.push(&[")"]);
    }
    sql
}

/// The statement that answers a page of these columns.
pub fn page(plan: &Plan, search: Search, columns: &[&Column]) -> Sql {
    let mut sql = Sql { search, ..Sql::default() };
    let table = plan.resource.table;
    let identity = || plan.resource.identity().iter().map(|column| column.name);
    sql.push(&["SELECT "]);
    sql.names(columns.iter().map(|column| column.name));
    sql.push(&[" FROM "]);
    match (plan.group_by, plan.resource.identity()) {
        (Some(column), _) => {
            // The first of each group. A plain GROUP BY would show any row of it.
            sql.push(&["(SELECT *, row_number() OVER (PARTITION BY ", column.name, " ORDER BY "]);
            sql.names(identity());
            sql.push(&[") AS place_in_group FROM ", table]);
            sql.filters(plan);
            sql.push(&[") WHERE place_in_group = 1"]);
            sql.order(plan);
            sql.bounds(plan);
        }
        (None, [key]) if plan.start > 0 => {
            // What is left out is counted off in an index, if there is one: whole rows are read for the page alone.
            sql.push(&[table, " WHERE ", key.name, " IN (SELECT ", key.name, " FROM ", table]);
            sql.filters(plan);
            sql.order(plan);
            sql.bounds(plan);
            sql.push(&[")"]);
            sql.order(plan);
        }
        (None, _) => {
            sql.push(&[table]);
            sql.filters(plan);
            sql.order(plan);
            sql.bounds(plan);
        }
    }
    sql
}

/// The statement that answers these columns of what a relation leads to from any of the values in its own column; the
/// first column is the one that leads back.
pub fn list(
    (view, search): (View, Search),
    relation: &Relation,
    target: &'static Declaration,
    columns: &[&Column],
    order: &str,
    from: Vec<Value>,
) -> Sql {
    let mut sql = Sql { search, ..Sql::default() };
    sql.push(&["SELECT ", relation.remote, ", "]);
    sql.names(columns.iter().map(|column| column.name));
    sql.push(&[" FROM ", target.table, " WHERE ", relation.remote, " IN rarray(?)"]);
    sql.values.push(Bound::List(Rc::new(from)));
    if scope::narrows(view, target) {
        sql.push(&[" AND "]);
        sql.seen(view, target);
    }
    sql.push(&[" ORDER BY ", order, ", "]);
    sql.names(target.identity().iter().map(|column| column.name));
    sql
}

/// The statement that answers a row if the account has this right to the resource with this key.
pub fn one(resource: &'static Declaration, key: &str, right: Right, account: AccountUuid) -> Sql {
    let mut sql = Sql::default();
    sql.push(&["SELECT 1 FROM ", resource.table, " WHERE ", resource.key().name, " = ? AND "]);
    sql.bind(Value::Text(key.to_owned()));
    sql.within(resource, right, account);
    sql
}

impl Sql {
    pub(super) fn push(&mut self, parts: &[&str]) {
        self.text.extend(parts.iter().copied());
    }

    fn names<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        for (index, name) in names.enumerate() {
            self.push(&[if index == 0 { "" } else { ", " }, name]);
        }
    }

    pub(super) fn bind(&mut self, value: Value) {
        self.values.push(Bound::One(value));
    }

    fn order(&mut self, plan: &Plan) {
        self.push(&[" ORDER BY "]);
        let direction = if matches!(plan.sort, Some((_, true))) { " DESC" } else { "" };
        let sorted = plan.sort.iter().map(|(column, _)| column.name);
        let identity = plan.resource.identity().iter().map(|column| column.name);
        let order: Vec<String> = sorted.chain(identity).map(|name| format!("{name}{direction}")).collect();
        self.names(order.iter().map(String::as_str));
    }

    fn bounds(&mut self, plan: &Plan) {
        self.push(&[" LIMIT ? OFFSET ?"]);
        for number in [plan.limit, plan.start] {
            self.bind(Value::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
        }
    }

    fn filters(&mut self, plan: &Plan) {
        let narrowed = scope::narrows(plan.view, plan.resource);
        if narrowed {
            self.push(&[" WHERE "]);
            self.seen(plan.view, plan.resource);
        }
        for (index, filter) in plan.filters.iter().enumerate() {
            self.push(&[if index == 0 && !narrowed { " WHERE " } else { " AND " }]);
            self.filter(plan.view, plan.resource, filter);
        }
    }

    /// Limits what is read of a table, in a `WHERE` that goes on after it.
    fn only_seen(&mut self, view: View, resource: &'static Declaration) {
        if scope::narrows(view, resource) {
            self.seen(view, resource);
            self.push(&[" AND "]);
        }
    }

    fn filter(&mut self, view: View, resource: &'static Declaration, filter: &Filter) {
        let mut here = resource;
        let mut open = 0;
        for (relation, target) in &filter.path {
            self.push(&[here.table, ".", relation.local, " IN (SELECT "]);
            open += 1;
            if let Some(via) = &relation.via {
                self.push(&[via.local, " FROM ", via.table, " WHERE "]);
                if let Some(link) = by_table(via.table) {
                    self.only_seen(view, link);
                }
                self.push(&[via.remote, " IN (SELECT "]);
                open += 1;
            }
            self.push(&[relation.remote, " FROM ", target.table, " WHERE "]);
            self.only_seen(view, target);
            here = target;
        }
        match filter.subject {
            Subject::Field(column) => self.check(&format!("{}.{}", here.table, column.name), &filter.check),
            Subject::SystemTags => self.tags(view, SystemTag::declaration(), here, &filter.check),
            Subject::UserTags => self.tags(view, UserTag::declaration(), here, &filter.check),
        }
        self.push(&[")".repeat(open).as_str()]);
    }

    /// A resource has a tag that passes; with a negated check: it has none that passes the plain one.
    fn tags(&mut self, view: View, tag: &'static Declaration, resource: &Declaration, check: &Check) {
        let (not, plain) = match check {
            Check::Compare(Comparison::NotEqual, value) => ("NOT ", Check::Compare(Comparison::Equal, value.clone())),
            Check::In(values, true) => ("NOT ", Check::In(values.clone(), false)),
            Check::Like(pattern, true) => ("NOT ", Check::Like(pattern.clone(), false)),
            Check::Null(false) => ("NOT ", Check::Null(true)),
            plain => ("", plain.clone()),
        };
        let key = resource.key().name;
        self.push(&[resource.table, ".", key, " ", not, "IN (SELECT resource_uuid FROM ", tag.table, " WHERE "]);
        // Whoever sees a resource that is owned sees its tags.
        if !resource.scope.is_owned() {
            self.only_seen(view, tag);
        }
        self.check(&format!("{}.tag", tag.table), &plain);
        self.push(&[")"]);
    }

    fn check(&mut self, name: &str, check: &Check) {
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match check {
            Check::Null(negated) => self.push(&[name, " IS ", not(negated), "NULL"]),
            Check::Compare(comparison, operand) => self.compare(name, *comparison, operand),
            Check::Like(text, negated) => {
                self.push(&[not(negated), pattern::FUNCTION, "(?, ", name, ")"]);
                self.bind(Value::Text(text.clone()));
            }
            Check::In(operands, negated) => {
                if operands.iter().any(|operand| matches!(operand, Operand::Second(_))) {
                    self.push(&["(", name, " IS NOT NULL AND ", not(negated)]);
                    self.push(&["EXISTS (SELECT 1 FROM rarray(?) WHERE ", name, " BETWEEN value AND value + 999))"]);
                } else {
                    self.push(&[name, " ", not(negated), "IN rarray(?)"]);
                }
                self.values.push(Bound::List(Rc::new(operands.iter().map(stored).collect())));
            }
        }
    }

    fn compare(&mut self, name: &str, comparison: Comparison, operand: &Operand) {
        let first = stored(operand);
        let last = match operand {
            Operand::Second(date) => Value::Integer(date.millis().saturating_add(999)),
            Operand::Text(_) | Operand::Number(_) => first.clone(),
        };
        let (operator, value) = match comparison {
            Comparison::Equal | Comparison::NotEqual if last != first => {
                let not = if comparison == Comparison::NotEqual { " NOT" } else { "" };
                self.push(&[name, not, " BETWEEN ? AND ?"]);
                self.bind(first);
                return self.bind(last);
            }
            Comparison::Equal => (" = ?", first),
            Comparison::NotEqual => (" <> ?", first),
            Comparison::GreaterOrEqual => (" >= ?", first),
            Comparison::Less => (" < ?", first),
            Comparison::Greater => (" > ?", last),
            Comparison::LessOrEqual => (" <= ?", last),
        };
        self.push(&[name, operator]);
        self.bind(value);
    }
}

fn stored(operand: &Operand) -> Value {
    match operand {
        Operand::Text(text) => Value::Text(text.clone()),
        Operand::Number(number) => Value::Integer(*number),
        Operand::Second(date) => Value::Integer(date.millis()),
    }
}

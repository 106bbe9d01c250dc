//! Random inventories and random queries: the engine answers as the naive reading of the conventions does.

use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use rusqlite::{Connection, params, params_from_iter, types::Value as Sqlite};
use serde_json::{Value, json};

use super::{
    ask_as, database,
    naive::{Asked, AskedQuery, Cell, Row, Tables},
    query_string,
};
use crate::{
    query::View,
    resource::{ALL, Column, Declaration, by_name},
    store::ColumnKind,
};

/// Few texts, so that they meet; and such as could be taken for something else on the way.
const TEXTS: [&str; 24] = [
    "",
    "a",
    "A",
    "ab",
    "aB",
    "a%",
    "a_b",
    "%",
    "_",
    "\\",
    "a\\%",
    "'",
    "\"",
    "x' OR '1'='1",
    "null",
    "a,b",
    "é",
    "É",
    "\0",
    "a\0b",
    "名前",
    "?",
    "a=b",
    "💥 is null",
];
const NUMBERS: [i64; 6] = [-1, 0, 1, 2, 10, i64::MAX];
const DATES: [i64; 7] = [-1, 0, 999, 1000, 1_440_092_775_999, 1_440_092_776_000, 1_440_092_777_001];

fn uuid(number: usize) -> String {
    format!("{number:x}").repeat(32)[..32].to_owned()
}

fn random_cell(rng: &mut StdRng, column: &Column) -> Cell {
    if column.nullable && rng.random_bool(0.3) {
        return Cell::Nothing;
    }
    match column.kind {
        // What refers to resources must often find some.
        ColumnKind::Uuid => Cell::Text(uuid(rng.random_range(0..8))),
        ColumnKind::Text if column.name.ends_with("_uuid") => Cell::Text(uuid(rng.random_range(0..8))),
        ColumnKind::Text => Cell::Text((*TEXTS.choose(rng).unwrap()).to_owned()),
        ColumnKind::Enum(values) => Cell::Text((*values.choose(rng).unwrap()).to_owned()),
        ColumnKind::Integer => Cell::Number(*NUMBERS.choose(rng).unwrap()),
        ColumnKind::Boolean => Cell::Number(rng.random_range(0..2)),
        ColumnKind::Timestamp => Cell::Number(*DATES.choose(rng).unwrap()),
        ColumnKind::Json => Cell::Text("{\"a\": [1, \"x\"]}".to_owned()),
    }
}

/// Fills every declared table, and answers what is in it then.
fn fill(connection: &Connection, seed: u64) -> Tables {
    let mut rng = StdRng::seed_from_u64(seed);
    let is_view = |declaration: &Declaration| {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'view' AND name = ?";
        connection.query_row(sql, [declaration.table], |row| row.get::<_, bool>(0)).unwrap()
    };
    for declaration in ALL.iter().filter(|declaration| !is_view(declaration)) {
        let names: Vec<&str> = declaration.columns.iter().map(|column| column.name).collect();
        let marks = vec!["?"; names.len()].join(", ");
        // Of rows that a constraint keeps apart, the first one stands.
        let insert = format!("INSERT OR IGNORE INTO {} ({}) VALUES ({marks})", declaration.table, names.join(", "));
        for _ in 0..rng.random_range(2..14) {
            let row = declaration.columns.iter().map(|column| match random_cell(&mut rng, column) {
                Cell::Nothing => Sqlite::Null,
                Cell::Number(number) => Sqlite::Integer(number),
                Cell::Text(text) => Sqlite::Text(text),
            });
            connection.execute(&insert, params_from_iter(row)).unwrap();
        }
    }
    give_owners(connection, &mut rng);
    let mut tables = Tables::default();
    // A view shows what is in the tables in the end.
    for declaration in ALL.iter() {
        let names: Vec<&str> = declaration.columns.iter().map(|column| column.name).collect();
        let mut select =
            connection.prepare(&format!("SELECT {} FROM {}", names.join(", "), declaration.table)).unwrap();
        let stored = select.query_map([], |row| (0..names.len()).map(|index| row.get(index)).collect()).unwrap();
        let rows = stored.map(|row: rusqlite::Result<Vec<Sqlite>>| {
            let cells = row.unwrap().into_iter().map(|value| match value {
                Sqlite::Null => Cell::Nothing,
                Sqlite::Integer(number) => Cell::Number(number),
                Sqlite::Text(text) => Cell::Text(text),
                other => panic!("{other:?}"),
            });
            cells.collect::<Row>()
        });
        tables.0.push((*declaration, rows.collect()));
    }
    tables
}

/// Who there is: two accounts, and a third that owns what neither sees.
const ACCOUNTS: [usize; 3] = [1, 2, 3];

/// Gives what is owned its owners, and shares some of it. Here an id may be that of several resources of different types.
fn give_owners(connection: &Connection, rng: &mut StdRng) {
    let columns =
        "resource_uuid TEXT, account_uuid TEXT, resource_type TEXT, create_date INTEGER, last_op_date INTEGER";
    let table = format!("DROP TABLE account_resource_ref; CREATE TABLE account_resource_ref ({columns})");
    connection.execute_batch(&table).unwrap();
    connection.execute_batch("CREATE INDEX by_resource ON account_resource_ref (resource_uuid)").unwrap();
    // The second account owns so much that the owner of each row is looked up for it.
    let much = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1600)
                INSERT INTO account_resource_ref SELECT 'much' || n, ?1, 'MuchVO', 0, 0 FROM numbers";
    connection.execute(much, [uuid(ACCOUNTS[1])]).unwrap();
    for declaration in ALL.iter().filter(|declaration| declaration.scope.is_owned()) {
        for resource in (0..8).map(uuid) {
            let owner = uuid(*ACCOUNTS.choose(rng).unwrap());
            let of_type = declaration.type_name();
            let own = "INSERT INTO account_resource_ref VALUES (?1, ?2, ?3, 0, 0)";
            connection.execute(own, params![resource, owner, of_type]).unwrap();
            if rng.random_bool(0.2) {
                let receiver = rng.random_bool(0.6).then(|| uuid(*ACCOUNTS.choose(rng).unwrap()));
                let share = "INSERT OR IGNORE INTO shared_resource VALUES (?1, ?2, ?3, ?4, ?5, 0, 0)";
                connection.execute(share, params![resource, owner, receiver, receiver.is_none(), of_type]).unwrap();
            }
        }
    }
}

/// Numbers that choose among what there is: so a failing query shrinks towards the first of everything.
#[derive(Debug, Clone)]
struct Choices {
    resource: prop::sample::Index,
    conditions: Vec<ConditionChoices>,
    sort: Option<(prop::sample::Index, bool)>,
    group_by: Option<prop::sample::Index>,
    fields: Vec<prop::sample::Index>,
    start: usize,
    limit: usize,
}

#[derive(Debug, Clone)]
struct ConditionChoices {
    path: Vec<prop::sample::Index>,
    field: prop::sample::Index,
    operator: prop::sample::Index,
    values: Vec<prop::sample::Index>,
}

fn index() -> impl Strategy<Value = prop::sample::Index> {
    any::<prop::sample::Index>()
}

fn choices() -> impl Strategy<Value = Choices> {
    let path = prop_oneof![2 => Just(Vec::new()), 2 => prop::collection::vec(index(), 1), 1 => prop::collection::vec(index(), 2..5)];
    let condition = (path, index(), index(), prop::collection::vec(index(), 1..4))
        .prop_map(|(path, field, operator, values)| ConditionChoices { path, field, operator, values })
        .boxed();
    let seldom = prop::option::weighted(0.2, index());
    (
        index(),
        prop_oneof![4 => prop::collection::vec(condition.clone(), 1), 1 => prop::collection::vec(condition, 0..4)],
        prop::option::of((index(), any::<bool>())),
        seldom,
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(index(), 1..4)],
        prop_oneof![3 => Just(0), 1 => 0..5usize],
        prop_oneof![3 => Just(1000), 1 => 0..5usize],
    )
        .prop_map(|(resource, conditions, sort, group_by, fields, start, limit)| Choices {
            resource,
            conditions,
            sort,
            group_by,
            fields,
            start,
            limit,
        })
}

fn operators(kind: ColumnKind) -> &'static [&'static str] {
    match kind {
        ColumnKind::Text | ColumnKind::Uuid => {
            &["=", "!=", "~=", "!~=", "?=", "!?=", ">", "<", ">=", "<=", " is null", " not null"]
        }
        ColumnKind::Enum(_) => &["=", "!=", "~=", "!~=", "?=", "!?=", " is null", " not null"],
        ColumnKind::Integer | ColumnKind::Timestamp => {
            &["=", "!=", "?=", "!?=", ">", "<", ">=", "<=", " is null", " not null"]
        }
        ColumnKind::Boolean => &["=", "!=", "?=", "!?=", " is null", " not null"],
        ColumnKind::Json => &[" is null", " not null"],
    }
}

/// A value as a caller may write it for a field of this kind.
fn value(kind: ColumnKind, choice: &prop::sample::Index, pattern: bool) -> String {
    let text = |number: usize| if number < TEXTS.len() { TEXTS[number].to_owned() } else { uuid(number - TEXTS.len()) };
    match kind {
        ColumnKind::Text => text(choice.index(TEXTS.len() + 8)),
        _ if pattern => {
            ["%", "_%1%", "E%", "%a%", "running", "00000000000000000000000000000000"][choice.index(6)].to_owned()
        }
        ColumnKind::Uuid => {
            let uuid = uuid(choice.index(16));
            if choice.index(3) == 0 { uuid.to_uppercase() } else { uuid }
        }
        ColumnKind::Enum(values) => choice.get(values).to_string(),
        ColumnKind::Integer => choice.get(&NUMBERS).to_string(),
        ColumnKind::Boolean => ["true", "false", "1", "0", "True"][choice.index(5)].to_owned(),
        ColumnKind::Timestamp => {
            let millis = choice.get(&DATES).to_string();
            ["1970-01-01 00:00:00", "2015-08-20T17:46:16", &millis][choice.index(3)].to_owned()
        }
        ColumnKind::Json => String::new(),
    }
}

fn condition(resource: &'static Declaration, choices: &ConditionChoices) -> Asked {
    let mut here = resource;
    let mut path = Vec::new();
    for choice in &choices.path {
        if here.relations.is_empty() {
            break;
        }
        let relation = choice.get(here.relations);
        path.push(relation.name);
        here = by_name(relation.target).unwrap();
    }
    let mut fields: Vec<(String, ColumnKind)> =
        here.columns.iter().filter(|column| column.public).map(|column| (column.json.clone(), column.kind)).collect();
    if here.is_tagged() {
        // Among twenty fields the tags would be asked too seldom.
        for tag in ["__systemTag__", "__userTag__"] {
            fields.extend(vec![(tag.to_owned(), ColumnKind::Text); fields.len() / 6 + 1]);
        }
    }
    let (field, kind) = choices.field.get(&fields).clone();
    let operator = *choices.operator.get(operators(kind));
    let pattern = matches!(operator, "~=" | "!~=");
    let values: Vec<String> = choices.values.iter().map(|choice| value(kind, choice, pattern)).collect();
    let value = match operator {
        " is null" | " not null" => String::new(),
        // A comma parts values, whatever they are.
        "?=" | "!?=" => values.join(","),
        _ => values[0].clone(),
    };
    // Without a value in it, `=null` asks for no value: in a typed field it can be asked as well.
    Asked { path, field, operator, value }
}

fn query(choices: &Choices) -> AskedQuery {
    let resource = *choices.resource.get(&ALL);
    let public: Vec<&Column> = resource.columns.iter().filter(|column| column.public).collect();
    let field = |choice: &prop::sample::Index| choice.get(&public).json.clone();
    AskedQuery {
        resource,
        conditions: choices.conditions.iter().map(|choices| condition(resource, choices)).collect(),
        sort: choices.sort.as_ref().map(|(choice, down)| (field(choice), *down)),
        group_by: choices.group_by.as_ref().map(field),
        fields: choices.fields.iter().map(field).collect(),
        start: choices.start,
        limit: choices.limit,
    }
}

/// The query as a caller writes it.
fn written(query: &AskedQuery, more: &[(&str, &str)]) -> String {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for asked in &query.conditions {
        let mut path = asked.path.join(".");
        if !path.is_empty() {
            path.push('.');
        }
        pairs.push(("q", format!("{path}{}{}{}", asked.field, asked.operator, asked.value)));
    }
    if let Some((field, down)) = &query.sort {
        pairs.push(("sort", format!("{}{field}", if *down { "-" } else { "+" })));
    }
    if let Some(field) = &query.group_by {
        pairs.push(("groupBy", field.clone()));
    }
    for field in &query.fields {
        pairs.push(("fields", field.clone()));
    }
    pairs.push(("start", query.start.to_string()));
    pairs.push(("limit", query.limit.to_string()));
    let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
    pairs.extend(more);
    query_string(pairs.iter().map(|(name, value)| (*name, value.as_str())))
}

/// Fields in the order of their names: lists of inventories are compared, not the order within one.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(name, _)| name.as_str());
            Value::Object(entries.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// How often a query of the run found something: a test that only ever compares nothing with nothing shows nothing.
fn compare(connection: &Connection, view: View, tables: &Tables, query: &AskedQuery) -> Result<usize, TestCaseError> {
    let ask = |text: &str| ask_as(connection, view, query.resource, text);
    let (expected, total) = tables.answer(query);
    let text = written(query, &[("replyWithCount", "true")]);
    let reply = ask(&text).map_err(|failure| TestCaseError::fail(format!("{failure}: {text}")))?;
    prop_assert_eq!(&reply["total"], &json!(total), "{} {}", query.resource.name, &text);
    prop_assert_eq!(
        sorted(&reply["inventories"]),
        sorted(&Value::Array(expected)),
        "{} {}",
        query.resource.name,
        &text
    );
    let schema = reply["schema"].as_object().unwrap();
    for (index, inventory) in reply["inventories"].as_array().unwrap().iter().enumerate() {
        prop_assert_eq!(&schema[&format!("inventories[{index}]")], &json!(query.resource.class));
        for (name, list) in inventory.as_object().unwrap() {
            let inventories = list.as_array().into_iter().flatten().filter(|item| item.is_object());
            for place in 0..inventories.count() {
                let path = format!("inventories[{index}].{name}[{place}]");
                prop_assert!(schema.contains_key(&path), "{}", path);
            }
        }
    }
    let count = ask(&written(query, &[("count", "true")])).unwrap();
    prop_assert_eq!(count, json!({ "total": total }));
    Ok(total)
}

#[test]
fn a_query_finds_what_the_conventions_say() {
    ask_many(400, |tables| vec![(View::Operator, tables)]);
}

#[test]
fn to_an_account_what_it_does_not_see_is_not_there() {
    ask_many(300, |tables| {
        let view = |account| View::Account(uuid(account).parse().unwrap());
        ACCOUNTS[..2].iter().map(|account| (view(*account), tables.seen_by(&uuid(*account)))).collect()
    });
}

/// Asks random inventories that many queries each, with the eyes of those who see only a part of what there is.
fn ask_many(queries: u32, views: impl Fn(Tables) -> Vec<(View, Tables)>) {
    let mut found_something = 0;
    let config = ProptestConfig { cases: queries, failure_persistence: None, ..ProptestConfig::default() };
    for seed in 0..8 {
        let connection = database();
        let views = views(fill(&connection, seed));
        let mut runner = proptest::test_runner::TestRunner::new(config.clone());
        let found = std::cell::Cell::new(0);
        let result = runner.run(&choices(), |choices| {
            let query = query(&choices);
            for (view, tables) in &views {
                if compare(&connection, *view, tables, &query)? > 0 && !query.conditions.is_empty() {
                    found.set(found.get() + 1);
                }
            }
            Ok(())
        });
        if let Err(error) = result {
            panic!("inventory {seed}: {error}");
        }
        found_something += found.get();
    }
    assert!(found_something > queries, "only {found_something} queries with conditions found anything");
}

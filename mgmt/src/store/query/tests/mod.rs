//! Queries against what a reader of the conventions would answer by hand, on random data of every declared resource.

mod hostile;
mod indexes;
mod naive;
mod random;

use rusqlite::Connection;
use serde_json::Value;

use crate::{
    api::parse_query_string,
    failure::Failure,
    query::{self, Query, View},
    resource::{Declaration, by_name},
    store::{Tx, migrations},
};

/// A new, empty inventory in memory. References are not checked: random rows refer to whatever they like.
fn database() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "foreign_keys", "OFF").unwrap();
    migrations::run(&mut connection).unwrap();
    super::equip(&connection).unwrap();
    connection
}

fn resource(name: &str) -> &'static Declaration {
    by_name(name).unwrap()
}

/// What a caller is answered who asks with this query string.
fn ask(connection: &Connection, resource: &'static Declaration, query_string: &str) -> Result<Value, Failure> {
    ask_as(connection, View::Operator, resource, query_string)
}

/// The same, where the caller sees with these eyes.
fn ask_as(
    connection: &Connection,
    view: View,
    resource: &'static Declaration,
    query_string: &str,
) -> Result<Value, Failure> {
    let query = Query::parse(&parse_query_string(query_string))?;
    query::run_as(&Tx { connection, account: None }, resource, &query, view)
}

/// A query string of these pairs.
fn query_string<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

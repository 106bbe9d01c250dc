//! Random requests: whatever the bytes, the parsers answer, and a query that is taken runs.
//!
//! `GANTRY_FUZZ_INPUTS` says how many (20,000 unless set); `make fuzz` tries ten million. A failure names its input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that meets the unexpected ends")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use gantry_mgmt::{
    api::{Method, RawRequest, Router, check, parse_body, parse_query_string},
    operations,
    query::{self, Plan, Query, View},
    resource,
    store::Store,
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// Of queries that are taken, one in so many is run: that takes much longer than reading it.
const RUN_ONE_IN: usize = 200;

fn inputs() -> usize {
    std::env::var("GANTRY_FUZZ_INPUTS").map_or(20_000, |text| text.parse().expect("GANTRY_FUZZ_INPUTS: a number"))
}

/// Hands `try_one` as many random inputs as were asked for, on all processors, and names the one that makes it panic.
fn fuzz(words: &[String], try_one: impl Fn(&mut StdRng, &[u8]) + Sync) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let each = inputs().div_ceil(threads);
    thread::scope(|scope| {
        for seed in 0..threads as u64 {
            let try_one = &try_one;
            scope.spawn(move || {
                let mut rng = StdRng::seed_from_u64(seed);
                for number in 0..each {
                    let input = random_input(&mut rng, words);
                    let tried = catch_unwind(AssertUnwindSafe(|| try_one(&mut rng, &input)));
                    assert!(tried.is_ok(), "input {number} of seed {seed}: {:?}", String::from_utf8_lossy(&input));
                }
            });
        }
    });
}

/// Words in a row, with some of the bytes changed: mostly what a parser reads far into, seldom what it drops at once.
fn random_input(rng: &mut StdRng, words: &[String]) -> Vec<u8> {
    let mut input = Vec::new();
    for _ in 0..rng.random_range(1..24) {
        input.extend_from_slice(words.choose(rng).unwrap().as_bytes());
    }
    for _ in 0..rng.random_range(0..3) {
        let place = rng.random_range(0..=input.len());
        match rng.random_range(0..3) {
            0 => input.insert(place, rng.random()),
            1 => input.truncate(place),
            _ => {
                if let Some(byte) = input.get_mut(place) {
                    *byte ^= 1 << rng.random_range(0..8);
                }
            }
        }
    }
    input
}

fn words(more: impl IntoIterator<Item = String>) -> Vec<String> {
    let values = [
        "",
        "null",
        "true",
        "1",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "1e9",
        "8aef7e3a53b34eedaa05027a919156d9",
        "Running",
        "Enabled",
        "Aug 20, 2015 5:46:16 PM",
        "+262142-12-31 23:59:59",
        "10.0.0.7",
        "%25",
        "%00",
        "%",
        "_",
        "\\",
        "'",
        "é",
        "💥",
        "a,b",
        ",",
        "\u{202e}",
    ];
    values.into_iter().map(str::to_owned).chain(more).collect()
}

#[test]
fn no_query_string_makes_the_node_panic_or_its_database_fail() {
    let names = resource::ALL.iter().flat_map(|declaration| {
        let columns = declaration.columns.iter().map(|column| column.json.clone());
        columns.chain(declaration.relations.iter().map(|relation| format!("{}.", relation.name)))
    });
    let parts = [
        "q=",
        "&q=",
        "&condition=",
        "&limit=",
        "&start=",
        "&count=true",
        "&replyWithCount=true",
        "&sort=+",
        "&sort=-",
        "&sortBy=",
        "&sortDirection=desc",
        "&fields=",
        "&groupBy=",
        "&",
        "=",
        "!=",
        ">=",
        "<=",
        "!?=",
        "!~=",
        "~=",
        "?=",
        ">",
        "<",
        " is null",
        "+not+null",
        "__systemTag__",
        "__userTag__",
        ".",
        "..",
        "q.0=",
    ];
    // What follows a relation is often asked, and a query begins with a condition as a rule.
    let words = words(names.chain(parts.map(str::to_owned)).chain(vec!["&q=".to_owned(); 40]));
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("db")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    fuzz(&words, |rng, input| {
        let pairs = parse_query_string(&String::from_utf8_lossy(input));
        let Ok(query) = Query::parse(&pairs) else { return };
        let declaration = *resource::ALL.choose(rng).unwrap();
        if Plan::new(declaration, &query, View::Operator).is_ok() && rng.random_range(0..RUN_ONE_IN) == 0 {
            runtime.block_on(store.read(move |tx| query::answer(tx, declaration, &query, View::Operator))).unwrap();
        }
    });
}

#[test]
fn no_request_makes_the_parameter_check_panic() {
    let operations = operations::all();
    let router = Router::new(&operations);
    let names = operations.iter().flat_map(|operation| {
        let declaration = operation.declaration;
        let parameters = declaration.parameters.iter().map(|parameter| parameter.name.clone());
        parameters.chain(declaration.body_keys.iter().cloned()).map(|name| format!("\"{name}\":"))
    });
    let parts = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\\u0000",
        "\\ud800",
        "{\"",
        "\"}",
        "[[[[[[[[",
        "{\"a\":{\"a\":",
        "\"systemTags\":[\"",
        "\"userTags\":[",
        "{\"params\":{",
        "}}",
        "\"session\":",
        "1.5",
        "-0",
        "1e400",
        "\n",
    ];
    let words = words(names.chain(parts.map(str::to_owned)));
    fuzz(&words, |rng, input| {
        let operation = operations.choose(rng).unwrap();
        let declaration = operation.declaration;
        let path = declaration.paths.choose(rng).unwrap();
        let query = parse_query_string(&String::from_utf8_lossy(input));
        // The same bytes as they are, and as the parameters of an operation that takes them.
        let mut wrapped = input.to_vec();
        if let Some(key) = declaration.body_keys.first() {
            wrapped = [format!("{{\"{key}\":{{").as_bytes(), input, b"}}"].concat();
        }
        for body in [input, &wrapped] {
            let Ok(body) = parse_body(body) else { continue };
            for method in [Method::Get, Method::Post, Method::Put, Method::Delete] {
                let Ok((found, parameters)) = router.find(method, path, &body) else { continue };
                let request = RawRequest { path: parameters, query: query.clone(), body: body.clone() };
                let _ = check(found.declaration, request);
            }
        }
        let _ = router.find(Method::Get, &String::from_utf8_lossy(input), &serde_json::Map::new());
        // Lists and maps in the query string, for whatever takes them.
        let _ = check(declaration, RawRequest { path: Vec::new(), query, body: serde_json::Map::new() });
    });
}

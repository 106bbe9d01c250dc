//! Values made to break out of their place, names that do not exist, and queries of every size.

use proptest::prelude::*;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::{ask, database, query_string, resource};
use crate::query::{MOST_CONDITIONS, MOST_RELATIONS};

fn uuid(number: usize) -> String {
    format!("{number:032x}")
}

fn zones(connection: &Connection, names: &[&str]) {
    for (number, name) in names.iter().enumerate() {
        connection
            .execute(
                "INSERT INTO zone (uuid, name, description, state, kind, create_date, last_op_date) VALUES (?1, ?2, ?2, 'Enabled', 'zstack', 0, 0)",
                params![uuid(number), name],
            )
            .unwrap();
    }
}

fn names(reply: &Value) -> Vec<&str> {
    reply["inventories"].as_array().unwrap().iter().map(|inventory| inventory["name"].as_str().unwrap()).collect()
}

fn zones_where(connection: &Connection, condition: &str) -> Vec<String> {
    let reply = ask(connection, resource("Zone"), &query_string([("q", condition)])).unwrap();
    names(&reply).into_iter().map(str::to_owned).collect()
}

#[test]
fn a_hostile_value_finds_itself_and_nothing_else() {
    let long = "ab%".repeat(40_000);
    let hostile = [
        "x' OR '1'='1",
        "'; DROP TABLE zone; --",
        "\" OR \"\"=\"",
        "a\0b",
        "a",
        "\0",
        "%",
        "_",
        "\\",
        "100%",
        "100\\%",
        "?1",
        ":name",
        "$1",
        "名前",
        "é",
        "e\u{301}",
        "\u{202e}evil",
        "💥",
        "null ",
        " is null",
        "1; PRAGMA user_version = 9",
        "(SELECT 1)",
        long.as_str(),
    ];
    let connection = database();
    zones(&connection, &hostile);
    for name in hostile {
        assert_eq!(zones_where(&connection, &format!("name={name}")), [name]);
        assert_eq!(zones_where(&connection, &format!("name!={name}")).len(), hostile.len() - 1);
        assert_eq!(zones_where(&connection, &format!("name?=other,{name}")), [name]);
        let literal: String = name.chars().flat_map(|c| ['\\', c]).collect();
        assert_eq!(zones_where(&connection, &format!("name~={literal}")), [name]);
        assert_eq!(zones_where(&connection, &format!("name!~={literal}")).len(), hostile.len() - 1);
        assert!(zones_where(&connection, &format!("__userTag__={name}")).is_empty());
        assert!(zones_where(&connection, &format!("cluster.name={name}")).is_empty());
        for place in ["sort", "groupBy", "fields", "limit", "start", "count"] {
            let query = query_string([(place, name)]);
            // `%` and the like are no names of fields, and no numbers either.
            assert!(ask(&connection, resource("Zone"), &query).is_err(), "{query}");
        }
    }
    let count: i64 = connection.query_row("SELECT count(*) FROM zone", [], |row| row.get(0)).unwrap();
    assert_eq!(count as usize, hostile.len());
}

#[test]
fn a_wildcard_in_a_stored_value_is_no_wildcard() {
    let connection = database();
    zones(&connection, &["100%", "100 percent", "a_b", "axb"]);
    assert_eq!(zones_where(&connection, "name~=100%"), ["100%", "100 percent"]);
    assert_eq!(zones_where(&connection, r"name~=100\%"), ["100%"]);
    assert_eq!(zones_where(&connection, r"name~=a\_b"), ["a_b"]);
    assert_eq!(zones_where(&connection, "name~=A_B"), ["a_b", "axb"]);
    assert_eq!(zones_where(&connection, "name!~=a_b"), ["100%", "100 percent"]);
}

#[test]
fn a_relation_asks_for_one_that_passes_and_a_tag_for_none_that_does_not() {
    let connection = database();
    zones(&connection, &["none", "one", "both"]);
    let cluster = |number: usize, name: &str, zone: usize| {
        connection
            .execute(
                "INSERT INTO cluster VALUES (?1, ?2, NULL, 'Enabled', 'KVM', ?3, 'zstack', 0, 0)",
                params![uuid(number), name, uuid(zone)],
            )
            .unwrap();
        connection
            .execute(
                "INSERT INTO user_tag VALUES (?1, ?2, 'ZoneVO', ?3, 'User', 0, 0)",
                params![uuid(number), uuid(zone), name],
            )
            .unwrap();
    };
    cluster(10, "a", 1);
    cluster(11, "a", 2);
    cluster(12, "b", 2);
    assert_eq!(zones_where(&connection, "cluster.name=a"), ["one", "both"]);
    assert_eq!(zones_where(&connection, "cluster.name!=a"), ["both"]);
    assert_eq!(zones_where(&connection, "cluster.name!?=a,b"), Vec::<String>::new());
    assert_eq!(zones_where(&connection, "__userTag__=a"), ["one", "both"]);
    assert_eq!(zones_where(&connection, "__userTag__!=a"), ["none"]);
    assert_eq!(zones_where(&connection, "__userTag__!=b"), ["none", "one"]);
    assert_eq!(zones_where(&connection, "__userTag__!~=_"), ["none"]);
    assert_eq!(zones_where(&connection, "__userTag__ is null"), ["none"]);
    assert_eq!(zones_where(&connection, "cluster.zone.__userTag__=b"), ["both"]);
}

#[test]
fn the_largest_query_that_is_taken_runs() {
    let connection = database();
    zones(&connection, &["a"]);
    let hops = "cluster.l2Network.".repeat(MOST_RELATIONS / 2 - 1) + "cluster.zone.";
    let condition = format!("{hops}name=a");
    let query = vec![("q", condition.as_str()); MOST_CONDITIONS];
    assert_eq!(ask(&connection, resource("Zone"), &query_string(query)).unwrap()["inventories"], json!([]));
    let more = vec![("q", "name=a"); MOST_CONDITIONS + 1];
    let failure = ask(&connection, resource("Zone"), &query_string(more)).unwrap_err();
    assert!(failure.details.contains("at most 100 are allowed"), "{}", failure.details);
    let deeper = format!("cluster.zone.{condition}");
    let failure = ask(&connection, resource("Zone"), &query_string([("q", deeper.as_str())])).unwrap_err();
    assert!(failure.details.contains("at most 12 are allowed"), "{}", failure.details);
    let many = format!("name?=a{}", ",b".repeat(100_000));
    assert_eq!(zones_where(&connection, &many), ["a"]);
}

#[test]
fn what_is_wrong_with_a_query_is_said_with_what_would_be_right() {
    let connection = database();
    for (resource_name, query, expected) in [
        (
            "Zone",
            "q=colour%3Dred",
            "Zone has no field 'colour': it has uuid, name, description, state, type, createDate, lastOpDate, __systemTag__, __userTag__, and the relations cluster, host,",
        ),
        ("Zone", "q=moon.name%3Dx", "Zone has no relation 'moon': it has cluster, host, vmInstance,"),
        (
            "Zone",
            "q=cluster%3Dx",
            "cluster of Zone is a relation: ask for a field of what it leads to, such as cluster.uuid",
        ),
        ("Zone", "q=cluster.moon.name%3Dx", "Cluster has no relation 'moon'"),
        ("Zone", "q=state%3DRunning", "Zone.state 'Running' is not usable: allowed are Enabled, Disabled,"),
        ("Zone", "q=state?%3DEnabled,x", "Zone.state 'x' is not usable: allowed are Enabled,"),
        (
            "Zone",
            "q=state%3EEnabled",
            "Zone.state is one of fixed values, so > cannot be used on it: use = != ?= !?= ~= !~= and",
        ),
        (
            "Zone",
            "q=uuid%3Dx",
            "Zone.uuid 'x' is not usable: a uuid of 32 hexadecimal characters without hyphens is needed",
        ),
        ("Zone", "q=createDate%3Eyesterday", "Zone.createDate 'yesterday' is not usable: a date such as"),
        ("VmInstance", "q=cpuNum%3Dtwo", "VmInstance.cpuNum 'two' is not usable: a whole number is needed"),
        (
            "VmInstance",
            "q=cpuNum~%3D2%25",
            "VmInstance.cpuNum is a number, so ~= cannot be used on it: use = != > < >= <= ?= !?= and",
        ),
        ("Volume", "q=isShareable%3Dmaybe", "Volume.isShareable 'maybe' is not usable: true or false is needed"),
        (
            "Volume",
            "q=isShareable%3E0",
            "Volume.isShareable is true or false, so > cannot be used on it: use = != ?= !?= and",
        ),
        ("Volume", "q=hostUuid is null", "Volume has no field 'hostUuid'"),
        (
            "VmInstance",
            "fields=uuid,vmNics",
            "fields 'vmNics' is not usable: VmInstance has no such field of its own; it has uuid, name,",
        ),
        ("VmInstance", "sort=%2B__userTag__", "sort '__userTag__' is not usable"),
        ("VmInstance", "groupBy=cluster.name", "groupBy 'cluster.name' is not usable"),
        ("VmInstance", "sort=name", "write + (upwards) or - (downwards)"),
        ("VmInstance", "sortBy=name&sortDirection=up", "sortDirection 'up' is not usable: asc or desc is needed"),
        ("VmInstance", "limit=-1", "limit '-1' is not usable: a whole number from 0 on is needed"),
        (
            "ImageBackupStorageRef",
            "q=__userTag__%3Dx",
            "ImageBackupStorageRef has no field '__userTag__': it has imageUuid,",
        ),
        (
            "NetworkServiceProvider",
            "q=networkServiceTypes%3Dx",
            "is a document, so = cannot be used on it: use ' is null', ' not null'",
        ),
    ] {
        let failure = ask(&connection, resource(resource_name), query).unwrap_err();
        assert!(failure.details.contains(expected), "{query}: {}", failure.details);
        assert_eq!(failure.kind.status(), 400, "{query}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_finds_exactly_itself(name in any::<String>(), other in any::<String>()) {
        prop_assume!(name != other && name != "null");
        let connection = database();
        zones(&connection, &[&name, &other]);
        prop_assert_eq!(zones_where(&connection, &format!("name={name}")), vec![name.clone()]);
        prop_assert_eq!(zones_where(&connection, &format!("name!={name}")), vec![other.clone()]);
        let wanted = if name.contains(',') { vec![] } else { vec![name.clone()] };
        let found = zones_where(&connection, &format!("name?={name}"));
        // A comma parts the values of a list: the other name may be one of them.
        prop_assert!(found == wanted || name.split(',').any(|part| part == other));
    }

    #[test]
    fn no_query_string_gets_past_the_plan_to_fail_in_the_database(text in "(q|condition|fields|sort|groupBy|limit|start|count)=[ -~\\PC]{0,40}") {
        let connection = database();
        if let Err(failure) = ask(&connection, resource("VmInstance"), &text) {
            prop_assert_eq!(failure.kind.status(), 400, "{}", failure.details);
        }
    }
}

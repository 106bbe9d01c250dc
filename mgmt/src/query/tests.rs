use serde_json::json;

use super::*;
use crate::{
    clock::Timestamp,
    failure::Failure,
    resource::{AdminState, Cluster, Zone},
    store::{Store, Tx},
};

fn zone(name: &str) -> Zone {
    Zone {
        uuid: gantry_common::id::ZoneUuid::random(),
        name: name.to_owned(),
        description: None,
        state: AdminState::Enabled,
        kind: "zstack".to_owned(),
        create_date: Timestamp::from_millis(1_440_092_776_000),
        last_op_date: Timestamp::from_millis(1_440_092_776_000),
    }
}

async fn answer(store: &Store, pairs: &[(&str, &str)]) -> Result<serde_json::Value, Failure> {
    let pairs: Vec<(String, String)> = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    store.read(move |tx| run(tx, Zone::declaration(), &Query::parse(&pairs)?)).await
}

async fn store_with(names: &[&str]) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db")).unwrap();
    let zones: Vec<Zone> = names.iter().map(|name| zone(name)).collect();
    store
        .write(move |tx: &Tx<'_>| {
            for zone in &zones {
                tx.insert(zone)?;
                tx.insert(&Cluster {
                    uuid: gantry_common::id::ClusterUuid::random(),
                    name: format!("cluster of {}", zone.name),
                    description: None,
                    state: AdminState::Enabled,
                    hypervisor_type: "KVM".to_owned(),
                    zone_uuid: zone.uuid,
                    kind: "zstack".to_owned(),
                    create_date: zone.create_date,
                    last_op_date: zone.last_op_date,
                })?;
            }
            Ok::<_, Failure>(())
        })
        .await
        .unwrap();
    (dir, store)
}

fn names(reply: &serde_json::Value) -> Vec<&str> {
    reply["inventories"].as_array().unwrap().iter().map(|inventory| inventory["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_page_is_sorted_bounded_and_counted() {
    let (_dir, store) = store_with(&["a", "b", "c", "d"]).await;
    let reply =
        answer(&store, &[("sort", "-name"), ("start", "1"), ("limit", "2"), ("replyWithCount", "true")]).await.unwrap();
    assert_eq!(names(&reply), ["c", "b"]);
    assert_eq!(reply["total"], json!(4));
    assert_eq!(reply["schema"]["inventories[0]"], json!("org.zstack.header.zone.ZoneInventory"));
    assert_eq!(answer(&store, &[("count", "true")]).await.unwrap(), json!({ "total": 4 }));
}

#[tokio::test]
async fn a_condition_follows_relations() {
    let (_dir, store) = store_with(&["a", "b"]).await;
    assert_eq!(names(&answer(&store, &[("q", "cluster.name=cluster of b")]).await.unwrap()), ["b"]);
    assert_eq!(names(&answer(&store, &[("q", "cluster.zone.name?=a,x")]).await.unwrap()), ["a"]);
}

#[tokio::test]
async fn hostile_values_are_only_values() {
    let (_dir, store) = store_with(&["a", "x' OR '1'='1"]).await;
    assert_eq!(names(&answer(&store, &[("q", "name=x' OR '1'='1")]).await.unwrap()), ["x' OR '1'='1"]);
    assert!(names(&answer(&store, &[("q", "name=a'; DROP TABLE zone; --")]).await.unwrap()).is_empty());
    assert_eq!(answer(&store, &[("count", "true")]).await.unwrap(), json!({ "total": 2 }));
}

#[tokio::test]
async fn an_unknown_field_is_refused_with_the_list_of_those_there_are() {
    let (_dir, store) = store_with(&[]).await;
    let failure = answer(&store, &[("q", "colour=red")]).await.unwrap_err();
    assert!(failure.details.contains("Zone has no field 'colour': it has uuid, name,"), "{}", failure.details);
    let failure = answer(&store, &[("q", "moon.name=x")]).await.unwrap_err();
    assert!(failure.details.contains("Zone has no relation 'moon': it has cluster, host,"), "{}", failure.details);
    assert!(answer(&store, &[("fields", "uuid,colour")]).await.is_err());
    assert!(answer(&store, &[("sort", "name")]).await.is_err());
}

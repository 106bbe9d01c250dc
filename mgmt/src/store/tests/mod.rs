mod image_cache;
mod promises;

use std::collections::BTreeSet;

use super::*;
use crate::resource;

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db")).unwrap();
    (dir, store)
}

#[tokio::test]
async fn every_declared_resource_has_exactly_its_columns_in_the_database() {
    let (_dir, store) = open();
    store
        .read(|tx| {
            for declaration in resource::ALL.iter() {
                let mut statement = tx.connection.prepare("SELECT name, \"notnull\" FROM pragma_table_info(?)")?;
                let stored: BTreeSet<(String, bool)> = statement
                    .query_map([declaration.table], |row| Ok((row.get(0)?, row.get::<_, bool>(1)?)))?
                    .collect::<Result<_, _>>()?;
                let declared: BTreeSet<(String, bool)> =
                    declaration.columns.iter().map(|c| (c.name.to_owned(), !c.nullable)).collect();
                let key = declaration.key().name;
                let without_key = |set: &BTreeSet<(String, bool)>| {
                    set.iter().filter(|(name, _)| name != key).cloned().collect::<BTreeSet<_>>()
                };
                // A view's columns are not said to hold anything.
                let is_view = "SELECT count(*) FROM sqlite_schema WHERE type = 'view' AND name = ?";
                let is_view: bool = tx.connection.query_row(is_view, [declaration.table], |row| row.get(0))?;
                let names =
                    |set: BTreeSet<(String, bool)>| set.into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
                if is_view {
                    assert_eq!(names(declared), names(stored), "{}", declaration.name);
                } else {
                    assert_eq!(without_key(&declared), without_key(&stored), "{}", declaration.name);
                }
                for relation in declaration.relations {
                    let target = resource::by_name(relation.target).expect(relation.target);
                    let has = |columns: &[resource::Column], name| columns.iter().any(|column| column.name == name);
                    assert!(has(&declaration.columns, relation.local), "{}.{}", declaration.name, relation.name);
                    assert!(has(&target.columns, relation.remote), "{}.{}", declaration.name, relation.name);
                    if let Some(via) = &relation.via {
                        tx.connection.prepare(&format!("SELECT {}, {} FROM {}", via.local, via.remote, via.table))?;
                    }
                }
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_change_that_fails_leaves_nothing_and_harms_no_other() {
    let (_dir, store) = open();
    let good = store.write(|tx| tx.set_node_fact("good", "1"));
    let bad = store.write(|tx| {
        tx.set_node_fact("bad", "1")?;
        Err::<(), _>(StoreError::Closed)
    });
    let (good, bad) = tokio::join!(good, bad);
    assert!(good.is_ok() && bad.is_err());
    let facts = store.read(|tx| Ok::<_, StoreError>((tx.node_fact("good")?, tx.node_fact("bad")?))).await.unwrap();
    assert_eq!(facts, (Some("1".to_owned()), None));
}

#[tokio::test]
async fn a_change_that_meets_a_fault_of_the_program_is_taken_back_and_others_go_on() {
    let (_dir, store) = open();
    let faulty = store.write(|tx| {
        tx.set_node_fact("faulty", "1")?;
        if tx.node_fact("faulty")?.is_some() {
            panic!("a fault of the test's change");
        }
        Ok(())
    });
    assert!(matches!(faulty.await, Err(StoreError::Fault)));
    store.write(|tx| tx.set_node_fact("next", "1")).await.unwrap();
    let facts = store.read(|tx| Ok::<_, StoreError>((tx.node_fact("faulty")?, tx.node_fact("next")?))).await.unwrap();
    assert_eq!(facts, (None, Some("1".to_owned())));
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let (dir, store) = open();
    store.write(|tx| tx.set_node_fact("uuid", "x")).await.unwrap();
    drop(store);
    let again = Store::open(&dir.path().join("db")).unwrap();
    assert_eq!(again.read(|tx| tx.node_fact("uuid")).await.unwrap(), Some("x".to_owned()));
}

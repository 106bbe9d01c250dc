//! Callers who meet: several deletions at once, making what is being deleted, cancelling.

use std::sync::atomic::Ordering;

use gantry_common::{error::ErrorKind, id::JobUuid};
use gantry_mgmt::{
    failure::Failure,
    job,
    resource::{Cluster, Image, VmInstance, Zone},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{
    hosts::MACHINES,
    inventory::{Shape, Target, VmShape, any_shape},
    property::Bench,
};

const NOBODY: [bool; MACHINES] = [false; MACHINES];

/// One zone with a cluster of two hosts, each with a running VM.
fn two_hosts() -> Shape {
    let vm = |host| VmShape { host, storage: 0, state: 4, nics: vec![0], data: 1 };
    Shape {
        zones: 1,
        clusters: vec![0],
        hosts: vec![0, 0],
        l2s: vec![(0, 1)],
        l3s: vec![(0, true)],
        ranges: vec![0],
        storages: vec![(0, 1)],
        stores: vec![],
        images: vec![],
        vms: vec![vm(0), vm(1)],
        volumes: vec![],
        accounts: 1,
        owners: vec![1],
    }
}

fn target<'a>(targets: &'a [Target], api: &str) -> &'a Target {
    targets.iter().find(|target| target.api == api).unwrap()
}

#[test]
fn the_same_deletion_twice_is_done_once_and_finds_nothing_then() {
    let mut bench = Bench::new();
    let built = bench.set_up(&two_hosts(), NOBODY);
    let zone = target(&built.targets, "DeleteZone");
    let jobs: Vec<JobUuid> = (0..2).map(|_| bench.delete(zone, "Permissive")).collect();
    bench.life().end_of(jobs[0]).unwrap();
    let second = bench.life().end_of(jobs[1]).unwrap_err();
    assert_eq!(second["code"], "SYS.1009", "{second}");
    bench.inventory.is_whole();
}

#[test]
fn deletions_of_what_belongs_together_wait_for_each_other_and_all_end() {
    let bench = std::cell::RefCell::new(Bench::new());
    let config = Config { cases: 24, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let picks = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 2..6);
    let result = TestRunner::new(config).run(&(any_shape(), picks), |(shape, picks)| {
        let mut bench = bench.borrow_mut();
        let built = bench.set_up(&shape, NOBODY);
        let begin = |(index, enforcing): &(prop::sample::Index, bool)| {
            let target = index.get(&built.targets);
            (target, bench.delete(target, if *enforcing { "Enforcing" } else { "Permissive" }))
        };
        let jobs: Vec<(&Target, JobUuid)> = picks.iter().map(begin).collect();
        for (target, job) in jobs {
            if bench.life().end_of(job).is_ok() {
                assert!(!bench.inventory.has(target), "{target:?}");
            }
        }
        bench.inventory.is_whole();
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn nothing_new_comes_into_a_zone_that_is_being_deleted() {
    let mut bench = Bench::new();
    let built = bench.set_up(&two_hosts(), NOBODY);
    for host in bench.hosts.uuids() {
        bench.hosts.limit(host, 0, true);
    }
    let deletion = bench.delete(target(&built.targets, "DeleteZone"), "Permissive");
    bench.life().until(|_| bench.hosts.is_any_held().then_some(()));
    let zone = bench.life().read(|tx| Ok(tx.all::<Zone>()?.remove(0)));
    let late = [("zoneUuid", zone.uuid.to_string()), ("name", "late".to_owned()), ("hypervisorType", "KVM".to_owned())];
    let late = bench.life().call("CreateCluster", &late);
    // What locks nothing is refused at once.
    let refused = bench.life().block_on(bench.life().node.store.write(move |tx| {
        let known = tx.all::<Cluster>()?.remove(0);
        tx.insert(&Cluster { uuid: gantry_common::id::ClusterUuid::random(), ..known }).map_err(Failure::from)
    }));
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::StateForbids, "{refused}");
    assert!(refused.details.contains("is being deleted"), "{refused}");
    // The double that was held keeps its command: only another agent's word would end it.
    for agent in &bench.hosts.agents {
        agent.double.release(u64::MAX);
    }
    bench.life().end_of(deletion).unwrap();
    let late = bench.life().end_of(late).unwrap_err();
    assert_eq!(late["code"], "SYS.1009", "{late}");
    bench.inventory.is_whole();
}

#[test]
fn a_store_whose_machine_refuses_half_way_has_no_image_that_is_nowhere() {
    let mut bench = Bench::new();
    let shape = Shape { stores: vec![(0, 1)], images: vec![1, 1, 1], ..two_hosts() };
    let built = bench.set_up(&shape, NOBODY);
    for host in bench.hosts.uuids() {
        bench.hosts.limit(host, 1, false);
    }
    let store = target(&built.targets, "DeleteBackupStorage");
    let error = bench.life().end_of(bench.delete(store, "Permissive")).unwrap_err();
    bench.inventory.is_whole();
    let left = bench.life().read(|tx| Ok(tx.all::<Image>()?.len()));
    assert_eq!(left, 2);
    let (done, open) = error["details"].as_str().unwrap().split_once("Left: ").unwrap();
    assert_eq!((done.matches("image 'image' (").count(), open.matches("image 'image' (").count()), (1, 2), "{error}");
}

#[test]
fn a_deletion_that_is_cancelled_ends_between_two_parts_and_says_how_far_it_came() {
    let mut bench = Bench::new();
    let built = bench.set_up(&two_hosts(), NOBODY);
    let [first, second, ..] = bench.hosts.uuids()[..] else { panic!("there are two hosts") };
    bench.hosts.limit(first, 0, true);
    let deletion = bench.delete(target(&built.targets, "DeleteZone"), "Permissive");
    // The other host's VM goes meanwhile.
    let life = bench.life();
    life.until(|life| {
        let vms = life.read(|tx| Ok(tx.all::<VmInstance>()?));
        (bench.hosts.is_any_held() && vms.len() == 1).then_some(())
    });
    life.block_on(job::cancel(&life.node, deletion, life.node.admin)).unwrap();
    let double = &bench.hosts.agents.iter().find(|agent| agent.host == first).unwrap().double;
    assert!(double.held.load(Ordering::SeqCst));
    double.release(u64::MAX);
    let error = life.end_of(deletion).unwrap_err();
    assert_eq!(error["code"], "SYS.1013", "{error}");
    let details = error["details"].as_str().unwrap();
    assert!(details.contains("Done: VM 'vm'") && details.contains("zone 'zone'"), "{details}");
    bench.inventory.is_whole();
    // Nothing is in the way of another attempt.
    bench.life().end_of(bench.delete(target(&built.targets, "DeleteZone"), "Permissive")).unwrap();
    bench.inventory.is_whole();
    let _ = second;
}

//! Random inventories, random deletions: with hosts away, with hosts that refuse, with the node killed in the middle.

use std::cell::RefCell;

use gantry_common::id::JobUuid;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::Value;

use super::{
    double::Thing,
    hosts::{Hosts, MACHINES},
    invariants::{Inventory, expected},
    inventory::{Built, Shape, Target, any_shape, build},
    life::{Life, PATIENCE},
};

/// Everything that a case needs, kept over all cases.
pub struct Bench {
    data: tempfile::TempDir,
    pub life: Option<Life>,
    pub hosts: Hosts,
    pub inventory: Inventory,
}

impl Bench {
    pub fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let life = Life::begin(data.path());
        let hosts = Hosts::start(&life.node.authority);
        let inventory = Inventory::open(data.path());
        Self { data, life: Some(life), hosts, inventory }
    }

    pub fn life(&self) -> &Life {
        self.life.as_ref().unwrap()
    }

    /// Kills the node, if it lives, and starts it again.
    pub fn restart(&mut self) {
        if let Some(life) = self.life.take() {
            life.kill();
        }
        self.life = Some(Life::begin(self.data.path()));
    }

    /// Makes the inventory from scratch and connects the hosts that are there.
    pub fn set_up(&mut self, shape: &Shape, away: [bool; MACHINES]) -> Built {
        let uuids = self.hosts.uuids();
        let forgotten = uuids.clone();
        let life = self.life();
        life.block_on(async {
            for host in forgotten {
                life.node.fleet.forget(host).await;
            }
        });
        self.inventory.empty();
        let ports: Vec<u16> = (0..MACHINES).map(|index| self.hosts.port(index)).collect();
        let (wanted, machines) = (shape.clone(), uuids);
        let built = self.life().write(move |tx| build(tx, &wanted, &machines, &ports, &away));
        self.hosts.reset(&built.things);
        for index in (0..MACHINES).filter(|index| !away[*index]) {
            self.hosts.connect(self.life(), index);
        }
        built
    }

    pub fn delete(&self, target: &Target, mode: &str) -> JobUuid {
        let mut parameters = target.parameters.clone();
        if target.api.starts_with("Delete") {
            parameters.push(("deleteMode", mode.to_owned()));
        }
        self.life().call(target.api, &parameters)
    }

    /// The machines that were away come back, and do what they owe.
    fn come_back(&self, away: [bool; MACHINES]) {
        for index in (0..MACHINES).filter(|index| away[*index]) {
            let machine = self.hosts.agents[index].host;
            let is_known = self.life().read(move |tx| Ok(tx.get::<gantry_mgmt::resource::Machine>(machine)?.is_some()));
            if is_known {
                self.hosts.connect(self.life(), index);
            }
        }
    }

    /// Nothing is on a machine that the inventory does not know, and nothing is missing.
    fn hosts_are_right(&self, away: [bool; MACHINES]) {
        for (index, is_away) in away.into_iter().enumerate() {
            let (machine, look) = (self.hosts.agents[index].host, &self.hosts);
            // What agents say of VMs is taken in after the job's end, and a farewell's last word as well.
            let right = |life: &Life| {
                let mut wanted = life.read(move |tx| expected(tx, machine));
                let has = look.things(index);
                // A network's services come with the next VM that starts there.
                wanted.retain(|thing| !matches!(thing, Thing::Network(_)) || has.contains(thing));
                (has == wanted).then_some(()).ok_or((has, wanted))
            };
            if self.inventory.count("SELECT count(*) FROM gc_job WHERE status <> 'Done'") > 0 && is_away {
                continue;
            }
            let begun = std::time::Instant::now();
            while let Err((has, wanted)) = right(self.life()) {
                let (more, less): (Vec<&Thing>, Vec<&Thing>) =
                    (has.difference(&wanted).collect(), wanted.difference(&has).collect());
                assert!(begun.elapsed() < PATIENCE, "machine {index} has {more:?} too much and lacks {less:?}");
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    }
}

fn details(error: &Value) -> &str {
    error["details"].as_str().unwrap_or_default()
}

fn run(cases: u32, test: impl Fn(&mut Bench, Case)) {
    let bench = RefCell::new(Bench::new());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let result = TestRunner::new(config).run(&any_case(), |case| {
        let mut bench = bench.borrow_mut();
        if bench.life.is_none() {
            bench.restart();
        }
        test(&mut bench, case);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[derive(Debug, Clone)]
struct Case {
    shape: Shape,
    target: prop::sample::Index,
    enforcing: bool,
    away: [bool; MACHINES],
    removes: u64,
}

impl Case {
    fn mode(&self) -> &'static str {
        if self.enforcing { "Enforcing" } else { "Permissive" }
    }
}

fn any_case() -> impl Strategy<Value = Case> {
    let away = prop::array::uniform3(prop::bool::weighted(0.2));
    (any_shape(), any::<prop::sample::Index>(), any::<bool>(), away, 0..8_u64)
        .prop_map(|(shape, target, enforcing, away, removes)| Case { shape, target, enforcing, away, removes })
}

#[test]
fn what_is_deleted_leaves_nothing_and_what_cannot_be_deleted_is_not_touched() {
    run(64, |bench, case| {
        let built = bench.set_up(&case.shape, case.away);
        let target = case.target.get(&built.targets);
        let before = bench.inventory.digest();
        let ended = bench.life().end_of(bench.delete(target, case.mode()));
        bench.inventory.is_whole();
        match &ended {
            Ok(_) => assert!(!bench.inventory.has(target), "{target:?} is still there"),
            Err(error) => {
                assert!(!case.enforcing || target.api.starts_with("Detach"), "{target:?}: {error}");
                assert!(details(error).contains("nothing was touched"), "{error}");
                assert_eq!(bench.inventory.digest(), before, "something was touched");
            }
        }
        bench.hosts_are_right(case.away);
        bench.come_back(case.away);
        bench.inventory.is_whole();
        bench.hosts_are_right([false; MACHINES]);
        // The same once more.
        if ended.is_ok() {
            let again = bench.life().end_of(bench.delete(target, case.mode())).unwrap_err();
            assert_eq!(again["code"], "SYS.1009", "{again}");
        }
    });
}

#[test]
fn a_deletion_that_is_cut_off_comes_to_the_same_end() {
    run(32, |bench, case| {
        let nobody = [false; MACHINES];
        let built = bench.set_up(&case.shape, nobody);
        let target = case.target.get(&built.targets).clone();
        let ended = bench.life().end_of(bench.delete(&target, case.mode()));
        let straight = bench.inventory.digest();

        bench.set_up(&case.shape, nobody);
        for host in bench.hosts.uuids() {
            bench.hosts.limit(host, case.removes, true);
        }
        let job = bench.delete(&target, case.mode());
        let was_held = bench.life().until(|life| {
            let has_ended = life.read(move |tx| Ok(tx.job(job)?.is_none_or(|job| job.phase.has_ended())));
            if bench.hosts.is_any_held() { Some(true) } else { has_ended.then_some(false) }
        });
        if was_held {
            bench.life.take().unwrap().kill();
            for host in bench.hosts.uuids() {
                bench.hosts.limit(host, u64::MAX, false);
            }
            bench.restart();
        }
        let resumed = bench.life().end_of(job);
        assert_eq!(resumed.is_ok(), ended.is_ok(), "{resumed:?}");
        bench.inventory.is_whole();
        bench.hosts_are_right(nobody);
        assert_eq!(bench.inventory.digest(), straight, "it came to another end");
    });
}

#[test]
fn a_host_that_refuses_ends_a_permissive_deletion_and_no_enforced_one() {
    run(32, |bench, case| {
        let nobody = [false; MACHINES];
        let built = bench.set_up(&case.shape, nobody);
        let target = case.target.get(&built.targets).clone();
        for host in bench.hosts.uuids() {
            bench.hosts.limit(host, case.removes, false);
        }
        let ended = bench.life().end_of(bench.delete(&target, case.mode()));
        bench.inventory.is_whole();
        match ended {
            Ok(_) => assert!(!bench.inventory.has(&target)),
            Err(error) => {
                assert!(!case.enforcing || target.api.starts_with("Detach"), "{target:?}: {error}");
                let told = details(&error).contains("Done: ") && details(&error).contains("Left: ");
                assert!(told || details(&error).contains("nothing was touched"), "{error}");
            }
        }
        // Once the hosts do as they are told, everything is cleaned up, and what is left can be deleted.
        for host in bench.hosts.uuids() {
            bench.hosts.limit(host, u64::MAX, false);
            bench.life().block_on(gantry_mgmt::cleanup::settle(&bench.life().node, host)).unwrap();
        }
        bench.hosts_are_right(nobody);
        if bench.inventory.has(&target) {
            let again = bench.life().end_of(bench.delete(&target, "Enforcing"));
            assert!(again.is_ok() || details(again.as_ref().unwrap_err()).contains("nothing was touched"), "{again:?}");
            bench.inventory.is_whole();
            bench.hosts_are_right(nobody);
        }
    });
}

//! Placement on random fleets, compared with what a reader of the rules would say of each host.

mod fleet;
mod oracle;

use gantry_common::id::HostUuid;
use proptest::prelude::*;

use self::{
    fleet::{Case, any_case},
    oracle::{Opinion, opinion, ranks},
};
use super::{Strategy, *};
use crate::{resource::AffinityPolicy, store};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_host_takes_the_vm_exactly_where_the_rules_say_so(case in any_case()) {
        store::in_memory(|tx| {
            let placed = case.record(tx);
            let demand = case.demand(&placed);
            let survey = survey(tx, &demand).unwrap();
            let opinions: Vec<Opinion> = (0..case.hosts.len()).map(|host| opinion(&case, host)).collect();
            let is_admitted = |host: HostUuid| survey.places.iter().any(|place| place.host == host);
            let reason = |host: HostUuid| survey.refusals.iter().find(|one| one.host.uuid == host).map(|one| &one.reason);
            // Volumes that go on no storage together may still be spread, so that such a host may be the least used one.
            let is_strict = case.strict && matches!(case.strategy, Strategy::MinimumCpu | Strategy::MinimumMemory);
            let ranks = ranks(&case).unwrap_or_default();
            let takers = opinions.iter().zip(&ranks).filter(|(opinion, _)| **opinion == Opinion::Takes);
            let least = takers.map(|(_, rank)| *rank).min();
            let is_open = is_strict && opinions.contains(&Opinion::MaySpread);
            for (number, opinion) in opinions.iter().enumerate() {
                let host = placed.hosts[number];
                let is_least = !is_strict || Some(ranks[number]) == least;
                match opinion {
                    Opinion::NotAsked => prop_assert!(!is_admitted(host) && reason(host).is_none()),
                    Opinion::Takes if is_open => prop_assert!(is_admitted(host) || reason(host).is_some()),
                    Opinion::Takes => prop_assert_eq!(is_admitted(host), is_least, "{:?}", reason(host)),
                    Opinion::Refuses(word) => {
                        let reason = reason(host);
                        prop_assert!(!is_admitted(host), "{} was expected to refuse: {}", number, word);
                        prop_assert!(reason.is_some_and(|reason| reason.contains(word)), "{:?} lacks '{}'", reason, word);
                    }
                    Opinion::MaySpread => prop_assert!(is_admitted(host) || reason(host).is_some()),
                }
            }
            for place in &survey.places {
                let host = placed.hosts.iter().position(|host| *host == place.host).unwrap();
                prop_assert!(oracle::storages_hold(&case, &placed, host, &place.storages), "{:?}", place);
            }
            Ok(())
        })?;
    }

    #[test]
    fn the_best_host_is_away_from_the_group_then_the_strategys(case in any_case()) {
        store::in_memory(|tx| {
            let placed = case.record(tx);
            let places = survey(tx, &case.demand(&placed)).unwrap().places;
            let key = |place: &Place| {
                let host = placed.hosts.iter().position(|host| *host == place.host).unwrap();
                let (on, waiting) = case.crowd(host);
                let rank = ranks(&case).map_or(0, |ranks| ranks[host]);
                (on, waiting, !(case.strategy == Strategy::LastHost && case.last_host == Some(host)), rank)
            };
            let keys: Vec<_> = places.iter().map(key).collect();
            prop_assert!(keys.is_sorted(), "{:?}", keys);
            Ok(())
        })?;
    }

    #[test]
    fn vms_of_a_hard_group_never_meet(case in any_case(), vms in 1..8usize) {
        store::in_memory(|tx| {
            let mut case = case;
            case.affinity = Some((AffinityPolicy::AntiHard, Vec::new()));
            let placed = case.record(tx);
            let mut taken: Vec<HostUuid> = Vec::new();
            for _ in 0..vms {
                let mut demand = case.demand(&placed);
                demand.runs = true;
                demand.affinity = Some(fleet::affinity(AffinityPolicy::AntiHard, &taken));
                match place(tx, &demand) {
                    Ok(place) => {
                        prop_assert!(!taken.contains(&place.host));
                        taken.push(place.host);
                    }
                    Err(failure) => {
                        let text = failure.details;
                        let named = |host: &HostUuid| {
                            let number = placed.hosts.iter().position(|known| known == host).unwrap();
                            text.contains(&format!("(10.0.0.{number})"))
                        };
                        prop_assert!(taken.iter().all(named), "the hosts of the group's VMs are not named: {}", text);
                        break;
                    }
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn a_refusal_names_every_blocker_and_groups_equal_reasons() {
    store::in_memory(|tx| {
        let mut case = Case::plain(3);
        case.hosts[1].connected = false;
        case.hosts[2].connected = false;
        case.affinity = Some((AffinityPolicy::AntiHard, vec![Some(0)]));
        let placed = case.record(tx);
        let failure = place(tx, &case.demand(&placed)).unwrap_err();
        assert!(failure.details.contains("host-0 (10.0.0.0): VM 'vm-0' ("), "{}", failure.details);
        assert!(failure.details.contains("of its affinity group 'apart' (antiHard) is on it"), "{}", failure.details);
        let both = [
            "host-1 (10.0.0.1), host-2 (10.0.0.2): it is Disconnected",
            "host-2 (10.0.0.2), host-1 (10.0.0.1): it is Disconnected",
        ];
        assert!(both.iter().any(|text| failure.details.contains(text)), "{}", failure.details);
        let cause = serde_json::to_value(failure.cause.unwrap()).unwrap();
        assert_eq!(cause["opaque"]["hosts"].as_array().unwrap().len(), 3);
    });
}

#[test]
fn a_soft_group_gives_way_where_there_is_no_other_host() {
    store::in_memory(|tx| {
        let mut case = Case::plain(2);
        case.affinity = Some((AffinityPolicy::AntiSoft, vec![Some(0)]));
        let placed = case.record(tx);
        assert_eq!(place(tx, &case.demand(&placed)).unwrap().host, placed.hosts[1]);
        case.hosts[1].enabled = false;
        let host = crate::resource::Host {
            state: crate::resource::AdminState::Disabled,
            ..tx.get(placed.hosts[1]).unwrap().unwrap()
        };
        tx.save(&host).unwrap();
        assert_eq!(place(tx, &case.demand(&placed)).unwrap().host, placed.hosts[0]);
    });
}

#[test]
fn a_vm_that_is_off_waits_on_its_own_host_and_others_stay_away_from_it() {
    store::in_memory(|tx| {
        let case = Case::plain(2);
        let placed = case.record(tx);
        let mut demand = case.demand(&placed);
        let mut affinity = fleet::affinity(AffinityPolicy::AntiHard, &[]);
        affinity.others = fleet::affinity(AffinityPolicy::AntiHard, &[placed.hosts[0]]).others;
        affinity.others[0].home = affinity.others[0].on.take();
        demand.affinity = Some(affinity);
        assert_eq!(place(tx, &demand).unwrap().host, placed.hosts[1], "it is off, and will run there");
        demand.target = Target::Host(placed.hosts[0]);
        assert_eq!(place(tx, &demand).unwrap().host, placed.hosts[0], "it is off, and forbids nothing");
    });
}

//! What a caller is told where no host can take a VM: the operator which hosts they are, an account how many.

use gantry_common::error::ErrorKind;
use serde_json::json;

use super::{Demand, HostRefusal};
use crate::{failure::Failure, store::Tx};

/// How many hosts the text names for one reason, and how many reasons it gives. All are in the cause, up to a limit.
const NAMED_HOSTS: usize = 10;
const GIVEN_REASONS: usize = 50;
const LISTED_HOSTS: usize = 1000;

/// No host can take the VM, and why.
pub fn no_host(tx: &Tx<'_>, demand: &Demand, refusals: &[HostRefusal]) -> Result<Failure, Failure> {
    let asked = if demand.runs {
        format!("a host with {} CPUs and {} bytes of memory is needed", demand.cpu_num, demand.memory_bytes)
    } else {
        "a host is needed".to_owned()
    };
    if refusals.is_empty() {
        return Ok(Failure::new(
            ErrorKind::NoHostCapacity,
            format!("{asked}, and no host is in the place that was asked for"),
        ));
    }
    let alone = if demand.home.is_some() {
        "; its volumes are on the local storage of that host, so that it runs nowhere else"
    } else {
        ""
    };
    let mut failure = Failure::new(
        ErrorKind::NoHostCapacity,
        format!("{asked}, and no host can take it: {}{alone}", reasons(tx, refusals)?),
    );
    if !tx.is_operators()? {
        return Ok(failure);
    }
    let mut cause = failure.to_wire();
    let by_host: Vec<_> = refusals
        .iter()
        .take(LISTED_HOSTS)
        .map(|refusal| json!({ "hostUuid": refusal.host.uuid, "reason": refusal.reason }))
        .collect();
    cause.opaque = Some(json!({ "hosts": by_host }));
    failure.cause = Some(Box::new(cause));
    Ok(failure)
}

/// The reasons, each with the hosts it holds for.
pub fn reasons(tx: &Tx<'_>, refusals: &[HostRefusal]) -> Result<String, Failure> {
    let called = if tx.is_operators()? { names } else { number };
    let mut reasons: Vec<(&str, Vec<&HostRefusal>)> = Vec::new();
    for refusal in refusals {
        match reasons.iter().position(|(reason, _)| *reason == refusal.reason) {
            Some(known) => reasons[known].1.push(refusal),
            None if reasons.len() < GIVEN_REASONS => reasons.push((&refusal.reason, vec![refusal])),
            None => {}
        }
    }
    let mut texts: Vec<String> = Vec::new();
    let mut told = 0;
    for (reason, hosts) in reasons {
        told += hosts.len();
        texts.push(format!("{}: {reason}", called(&hosts)));
    }
    if told < refusals.len() {
        texts.push(format!("{} more hosts, for other reasons", refusals.len() - told));
    }
    Ok(texts.join("; "))
}

fn names(refusals: &[&HostRefusal]) -> String {
    let named = refusals.iter().take(NAMED_HOSTS);
    let mut names: Vec<String> = named.map(|one| format!("{} ({})", one.host.name, one.host.management_ip)).collect();
    if refusals.len() > NAMED_HOSTS {
        names.push(format!("{} more", refusals.len() - NAMED_HOSTS));
    }
    names.join(", ")
}

fn number(refusals: &[&HostRefusal]) -> String {
    match refusals.len() {
        1 => "1 host".to_owned(),
        hosts => format!("{hosts} hosts"),
    }
}

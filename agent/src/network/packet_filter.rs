//! The host's packet filter for guests: the nftables table `bridge gantry`.
//!
//! The rules are fixed and look things up in sets; a VM that starts or ends changes the sets only. Interfaces are named,
//! so that their rules are in force before they exist.

use std::fmt::Write as _;

use gantry_common::agent::{AgentError, Network, Nic};

use super::{anti_spoofing, isolation, paths::NetworkPaths, program};

const TABLE: &str = "bridge gantry";

/// One element of one of the table's sets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Element {
    set: &'static str,
    value: String,
}

impl Element {
    pub(super) fn new(set: &'static str, value: String) -> Self {
        Self { set, value }
    }
}

/// Everything the table holds on account of an interface.
pub(super) fn nic_elements(nic: &Nic, network: &Network) -> Vec<Element> {
    let mut elements = isolation::nic_elements(nic, network);
    elements.extend(anti_spoofing::elements(nic));
    elements
}

/// The table with these elements, replacing the one there is in one step.
pub(super) async fn replace(paths: &NetworkPaths, mut elements: Vec<Element>) -> Result<(), AgentError> {
    elements.sort();
    elements.dedup();
    // Naming the table first makes the removal succeed where there is none.
    let mut script = format!("table {TABLE}\ndelete table {TABLE}\n");
    if !elements.is_empty() {
        let _ = write!(script, "table {TABLE} {{\n{}{}}}\n", anti_spoofing::RULES, isolation::RULES);
        write_elements(&mut script, "add", &elements);
    }
    nft(paths, &script).await
}

/// Adds and removes elements in one step.
pub(super) async fn change(paths: &NetworkPaths, added: &[Element], removed: &[Element]) -> Result<(), AgentError> {
    let mut script = String::new();
    // Adding first makes the removal succeed where there is no such element.
    write_elements(&mut script, "add", removed);
    write_elements(&mut script, "delete", removed);
    write_elements(&mut script, "add", added);
    if script.is_empty() { Ok(()) } else { nft(paths, &script).await }
}

/// Whether the table is there: another program may have flushed the whole rule set.
pub(super) async fn is_loaded(paths: &NetworkPaths) -> Result<bool, AgentError> {
    let tables = program::run(paths, "nft", &["list", "tables", "bridge"]).await?;
    Ok(tables.lines().any(|line| line == "table bridge gantry"))
}

fn write_elements(script: &mut String, verb: &str, elements: &[Element]) {
    for Element { set, value } in elements {
        let _ = writeln!(script, "{verb} element {TABLE} {set} {{ {value} }}");
    }
}

async fn nft(paths: &NetworkPaths, script: &str) -> Result<(), AgentError> {
    program::feed(paths, "nft", &["-f", "-"], script).await
}

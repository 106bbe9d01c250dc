//! What there is: in the inventory, on the hosts, and of capacity. Two of them that are equal mean that what happened
//! between them has left nothing.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use crate::{Client, Lab, text};

const COLLECTIONS: [&str; 8] = [
    "/hosts",
    "/backup-storage",
    "/images",
    "/vm-instances",
    "/vm-instances/nics",
    "/volumes",
    "/system-tags",
    "/user-tags",
];

/// What there is, by lines that people can read.
#[derive(Clone, PartialEq, Eq)]
pub struct Footprint {
    lines: BTreeMap<String, String>,
}

impl Footprint {
    /// Looks at the inventory and at every host of the lab.
    pub fn take(client: &Client, lab: &Lab) -> Self {
        let mut lines = BTreeMap::new();
        for path in COLLECTIONS {
            for inventory in client.query(path, &[]) {
                let uuid = text(&inventory, "uuid");
                lines.insert(format!("{path}/{uuid}"), states(&inventory));
            }
        }
        for host in lab.hosts() {
            let address = host.address();
            for domain in host.domains() {
                lines.insert(format!("{address} domain {domain}"), String::new());
            }
            // A cached image stays for the next VM.
            let kept = |file: &String| !file.contains("/imagecache/");
            let interfaces = host.run("ls /sys/class/net");
            let taps = interfaces.split_whitespace().filter(|name| name.starts_with("vnic")).map(str::to_owned);
            for thing in host.files("/var/lib/gantry").into_iter().filter(kept).chain(taps) {
                lines.insert(format!("{address} {thing}"), String::new());
            }
        }
        Self { lines }
    }

    /// What is in only one of the two.
    pub fn difference(&self, other: &Self) -> Vec<String> {
        let only = |sign: &str, mine: &Self, theirs: &Self| -> Vec<String> {
            let differs = |key: &String, value: &String| theirs.lines.get(key) != Some(value);
            let lines = mine.lines.iter().filter(|(key, value)| differs(key, value));
            lines.map(|(key, value)| format!("{sign} {key} {value}")).collect()
        };
        [only("-", self, other), only("+", other, self)].concat()
    }
}

impl fmt::Debug for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.lines).finish()
    }
}

/// What of a record would show that something was left half-made, or that capacity was lost.
fn states(inventory: &Value) -> String {
    ["state", "status", "availableCpuCapacity", "availableMemoryCapacity"]
        .iter()
        .filter_map(|field| inventory.get(field).map(|value| format!("{field}={value}")))
        .collect::<Vec<_>>()
        .join(" ")
}

//! How a host is chosen among those that can take a VM.

use crate::{failure::Failure, resource::Host};

/// How a host is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The one with the fewest VMs.
    LeastVm,
    /// The one it last ran on, else the one with the fewest VMs.
    LastHost,
    /// Any.
    Random,
    /// The one with the smallest part of its processors promised.
    MinimumCpu,
    /// The one with the smallest part of its memory promised.
    MinimumMemory,
    /// One that runs fewer VMs than the instance offering allows, of these the one with the fewest.
    MaxInstances,
}

impl Strategy {
    /// The strategies by their published names; two have two.
    pub const NAMES: [(&str, Self); 8] = [
        ("LeastVmPreferredHostAllocatorStrategy", Self::LeastVm),
        ("LastHostPreferredHostAllocatorStrategy", Self::LastHost),
        ("LastHostPreferredAllocatorStrategy", Self::LastHost),
        ("DefaultHostAllocatorStrategy", Self::Random),
        ("DesignatedHostAllocatorStrategy", Self::Random),
        ("MinimumCPUUsageHostAllocatorStrategy", Self::MinimumCpu),
        ("MinimumMemoryUsageHostAllocatorStrategy", Self::MinimumMemory),
        ("MaxInstancePerHostHostAllocatorStrategy", Self::MaxInstances),
    ];

    /// The strategy by its published name.
    pub fn parse(name: &str) -> Result<Self, Failure> {
        let found = Self::NAMES.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, strategy)| strategy).ok_or_else(|| {
            let allowed = Self::NAMES.map(|(name, _)| name).join(", ");
            Failure::argument("allocatorStrategy", name, format!("allowed are {allowed}"))
        })
    }
}

/// The system tag of an instance offering that says how many VMs a host may run at the most, this one included.
const MAX_INSTANCES: &str = "maxInstancePerHost::";
/// The system tags of an instance offering that say how strictly the least used host is taken: `soft` or `hard`.
const CPU_MODE: &str = "minimumCPUUsageHostAllocatorStrategyMode::";
const MEMORY_MODE: &str = "minimumMemoryUsageHostAllocatorStrategyMode::";

/// What the system tags that bear on the choice begin with. A VM takes them over from its instance offering.
pub const CHOICE_TAGS: [&str; 3] = [MAX_INSTANCES, CPU_MODE, MEMORY_MODE];

/// A strategy with what the instance offering's system tags add to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The strategy.
    pub strategy: Strategy,
    /// Whether only the least used of the hosts that can take the VM is admitted.
    pub strict: bool,
    /// How many VMs the host may run at the most, this one included.
    pub max_vms: Option<u64>,
}

impl Choice {
    /// The choice that a strategy's name and the tags of an instance offering, or of a VM made from it, come to.
    pub fn of(strategy: &str, tags: &[String]) -> Result<Self, Failure> {
        let name = strategy;
        let strategy = Strategy::parse(strategy)?;
        let value = |prefix: &str| tags.iter().find_map(|tag| tag.strip_prefix(prefix));
        let max_vms = value(MAX_INSTANCES).and_then(|number| number.parse().ok());
        if strategy == Strategy::MaxInstances && max_vms.is_none() {
            let remedy =
                "the instance offering needs the system tag maxInstancePerHost::<number>: add it with CreateSystemTag";
            return Err(Failure::argument("allocatorStrategy", name, remedy));
        }
        let mode = match strategy {
            Strategy::MinimumCpu => value(CPU_MODE),
            Strategy::MinimumMemory => value(MEMORY_MODE),
            _ => None,
        };
        Ok(Self { strategy, strict: mode == Some("hard"), max_vms })
    }

    /// Whether the number of VMs on each host matters.
    pub fn counts_vms(&self) -> bool {
        self.max_vms.is_some()
            || matches!(self.strategy, Strategy::LeastVm | Strategy::LastHost | Strategy::MaxInstances)
    }

    /// Where a host stands among those that can take the VM: the smaller, the better.
    pub fn rank(&self, host: &Host, vms: u64) -> u64 {
        match self.strategy {
            Strategy::LeastVm | Strategy::LastHost | Strategy::MaxInstances => vms,
            Strategy::Random => rand::random(),
            Strategy::MinimumCpu => promised_parts(host.total_cpu_capacity, host.available_cpu_capacity),
            Strategy::MinimumMemory => promised_parts(host.total_memory_capacity, host.available_memory_capacity),
        }
    }

    /// Why a host of this rank is not admitted where another one has the rank `least`.
    pub fn refuse_used(&self, rank: u64, least: u64) -> Option<String> {
        let (what, tag) = match self.strategy {
            Strategy::MinimumCpu => ("processors", CPU_MODE),
            Strategy::MinimumMemory => ("memory", MEMORY_MODE),
            _ => return None,
        };
        (self.strict && rank > least).then(|| {
            format!(
                "{} % of its {what} are promised and {} % of those of the least used host, which {tag}hard takes alone",
                rank / PARTS_PER_PERCENT,
                least / PARTS_PER_PERCENT,
            )
        })
    }
}

const PARTS_PER_PERCENT: u64 = 10_000;

/// How much of a capacity is promised, in millionths.
fn promised_parts(total: u64, available: u64) -> u64 {
    let promised = u128::from(total.saturating_sub(available));
    let parts = (promised * 1_000_000).checked_div(u128::from(total)).unwrap_or(1_000_000);
    u64::try_from(parts).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    #[test]
    fn a_limit_on_vms_must_be_said_where_the_strategy_goes_by_it() {
        let name = "MaxInstancePerHostHostAllocatorStrategy";
        assert!(Choice::of(name, &[]).unwrap_err().details.contains("maxInstancePerHost::<number>"));
        assert_eq!(Choice::of(name, &tags(&["maxInstancePerHost::3"])).unwrap().max_vms, Some(3));
        let other = Choice::of("LeastVmPreferredHostAllocatorStrategy", &tags(&["maxInstancePerHost::3"])).unwrap();
        assert_eq!(other.max_vms, Some(3), "the limit holds whatever the strategy is");
    }

    #[test]
    fn a_mode_is_that_of_its_own_strategy() {
        let both = tags(&[
            "minimumCPUUsageHostAllocatorStrategyMode::hard",
            "minimumMemoryUsageHostAllocatorStrategyMode::soft",
        ]);
        assert!(Choice::of("MinimumCPUUsageHostAllocatorStrategy", &both).unwrap().strict);
        assert!(!Choice::of("MinimumMemoryUsageHostAllocatorStrategy", &both).unwrap().strict);
        assert!(!Choice::of("DefaultHostAllocatorStrategy", &both).unwrap().strict);
    }

    #[test]
    fn usage_is_the_part_that_is_promised() {
        assert_eq!(promised_parts(8, 6), 250_000);
        assert_eq!(promised_parts(0, 0), 1_000_000, "a host that has nothing is full");
        assert_eq!(promised_parts(u64::MAX, 0), 1_000_000);
    }
}

//! The system tag `vmCpuPinning`: which processors of its host a VM's processors run on.

use std::{fmt, str::FromStr};

use gantry_common::{agent::CpuPin, cpu_set::CpuSet};

/// A policy may be this long: enough to pin each processor of the largest VM by itself.
const LIMIT_CHARACTERS: usize = 16 * 1024;

/// How much of an entry an error shows.
const SHOWN_CHARACTERS: usize = 40;

/// A pinning policy such as `1:3;1-3:4-7,^6`: entries of the VM's processors, counted from 0, and the host's processors that
/// these run on. Where entries name the same processor of the VM, the last one of them holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuPinning(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    vcpus: CpuSet,
    cpus: CpuSet,
}

/// The text is no pinning policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCpuPinning {
    /// One of its entries is none.
    #[error(
        "'{0}' in it is not <the VM's processors>:<the host's processors>, both numbers up to {highest} such as 1 or 4-7,^6; \
         write vmCpuPinning::<entry>;<entry>, such as vmCpuPinning::1:3;1-3:4-7,^6",
        highest = CpuSet::HIGHEST
    )]
    Entry(String),
    /// It is too long.
    #[error("a pinning policy may have {LIMIT_CHARACTERS} characters at the most: write ranges")]
    TooLong,
}

impl CpuPinning {
    /// What it comes to for a VM of so many processors. Entries for processors that the VM does not have wait until it has
    /// them.
    pub fn pins(&self, cpu_num: u32) -> Vec<CpuPin> {
        let last_for = |vcpu| self.0.iter().rev().find(|entry| entry.vcpus.contains(vcpu));
        (0..cpu_num).filter_map(|vcpu| Some(CpuPin { vcpu, cpus: last_for(vcpu)?.cpus.clone() })).collect()
    }

    /// The processors that the host of a VM of that size must have.
    pub fn cpus(&self, cpu_num: u32) -> CpuSet {
        let mut all = CpuSet::default();
        self.pins(cpu_num).iter().for_each(|pin| all.add(&pin.cpus));
        all
    }
}

impl FromStr for CpuPinning {
    type Err = InvalidCpuPinning;

    fn from_str(text: &str) -> Result<Self, InvalidCpuPinning> {
        if text.len() > LIMIT_CHARACTERS {
            return Err(InvalidCpuPinning::TooLong);
        }
        let read = |text: &str| {
            let (vcpus, cpus) = text.split_once(':')?;
            let entry = Entry { vcpus: vcpus.parse().ok()?, cpus: cpus.parse().ok()? };
            (!entry.vcpus.is_empty() && !entry.cpus.is_empty()).then_some(entry)
        };
        let invalid = |text: &str| InvalidCpuPinning::Entry(text.chars().take(SHOWN_CHARACTERS).collect());
        text.split(';').map(|text| read(text).ok_or_else(|| invalid(text))).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for CpuPinning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<String> = self.0.iter().map(|entry| format!("{}:{}", entry.vcpus, entry.cpus)).collect();
        f.write_str(&entries.join(";"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn policy(text: &str) -> CpuPinning {
        text.parse().unwrap()
    }

    fn pins(text: &str, cpu_num: u32) -> Vec<(u32, String)> {
        policy(text).pins(cpu_num).into_iter().map(|pin| (pin.vcpu, pin.cpus.to_string())).collect()
    }

    fn pinned(vcpu: u32, cpus: &str) -> (u32, String) {
        (vcpu, cpus.to_owned())
    }

    #[test]
    fn the_last_entry_for_a_processor_holds() {
        let published = "1:3;1-3:4-7,^6";
        assert_eq!(pins(published, 4), [pinned(1, "4-5,7"), pinned(2, "4-5,7"), pinned(3, "4-5,7")]);
        assert_eq!(pins("1-3:4-7,^6;1:3", 4), [pinned(1, "3"), pinned(2, "4-5,7"), pinned(3, "4-5,7")]);
        assert_eq!(policy(published).cpus(4).to_string(), "4-5,7", "3 is named by an entry that does not hold");
    }

    #[test]
    fn processors_that_the_vm_does_not_have_are_left_out() {
        assert_eq!(pins("0:1;7:2", 2), [pinned(0, "1")]);
        assert_eq!(policy("0:1;7:2").cpus(2).to_string(), "1");
        assert_eq!(policy("0:1;7:2").cpus(8).to_string(), "1-2");
        assert!(CpuPinning::default().pins(8).is_empty());
    }

    #[test]
    fn what_is_no_policy_is_refused_with_the_entry_that_is_none() {
        for (text, entry) in [
            ("", ""),
            ("1", "1"),
            ("0:1;", ""),
            ("0:1;1:", "1:"),
            (":1", ":1"),
            ("0:1:2", "0:1:2"),
            ("0:5,^5", "0:5,^5"),
            ("0:0-4294967295", "0:0-4294967295"),
            ("0-9999:1", "0-9999:1"),
        ] {
            assert_eq!(text.parse::<CpuPinning>(), Err(InvalidCpuPinning::Entry(entry.to_owned())), "{text}");
        }
        assert_eq!("0-8191:0-8191;".repeat(2000).parse::<CpuPinning>(), Err(InvalidCpuPinning::TooLong));
    }

    fn any_set() -> impl Strategy<Value = CpuSet> {
        vec((0..=CpuSet::HIGHEST, 0..40u32), 1..5).prop_map(|ranges| {
            let range = |(first, more): (u32, u32)| format!("{first}-{}", (first + more).min(CpuSet::HIGHEST));
            ranges.into_iter().map(range).collect::<Vec<_>>().join(",").parse().unwrap()
        })
    }

    proptest! {
        #[test]
        fn a_policy_is_read_as_it_was_written(entries in vec((any_set(), any_set()), 1..6)) {
            let written = CpuPinning(entries.into_iter().map(|(vcpus, cpus)| Entry { vcpus, cpus }).collect());
            prop_assert_eq!(policy(&written.to_string()), written);
        }

        #[test]
        fn no_text_is_too_much(text in "[-0-9,^:; ]{0,60}|.{0,60}") {
            if let Ok(read) = text.parse::<CpuPinning>() {
                prop_assert_eq!(policy(&read.to_string()), read);
            }
        }
    }
}

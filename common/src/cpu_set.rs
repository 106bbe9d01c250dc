//! Processors by their numbers.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Processors of one machine by number, written as the kernel and libvirt write them: `0-3,8`. What stands behind a `^` is
/// taken out of what stands before it: `4-7,^6` is `4-5,7`. Nothing at all is the empty set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuSet(BTreeSet<u32>);

/// The text names no processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("processors are named by numbers up to {}, such as 0-3,8 or 4-7,^6", CpuSet::HIGHEST)]
pub struct InvalidCpuSet;

impl CpuSet {
    /// The highest number that a processor can have: Linux counts no further on x86.
    pub const HIGHEST: u32 = 8191;

    /// So many processors, numbered from 0 without gaps.
    pub fn first(count: u32) -> Self {
        Self((0..=Self::HIGHEST).take(count as usize).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this one is among them.
    pub fn contains(&self, number: u32) -> bool {
        self.0.contains(&number)
    }

    /// Takes all of another set in.
    pub fn add(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// Those that another set does not have.
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).copied().collect())
    }
}

impl FromStr for CpuSet {
    type Err = InvalidCpuSet;

    fn from_str(text: &str) -> Result<Self, InvalidCpuSet> {
        let mut set = Self::default();
        if text.trim().is_empty() {
            return Ok(set);
        }
        for item in text.split(',').map(str::trim) {
            if let Some(excluded) = item.strip_prefix('^') {
                set.0.remove(&number(excluded)?);
                continue;
            }
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let range = number(first)?..=number(last)?;
            if range.is_empty() {
                return Err(InvalidCpuSet);
            }
            set.0.extend(range);
        }
        Ok(set)
    }
}

fn number(text: &str) -> Result<u32, InvalidCpuSet> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_plain && *number <= CpuSet::HIGHEST).ok_or(InvalidCpuSet)
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = self.0.iter().copied().peekable();
        let mut comma = "";
        while let Some(first) = numbers.next() {
            let mut last = first;
            while let Some(next) = numbers.next_if_eq(&(last + 1)) {
                last = next;
            }
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

impl Serialize for CpuSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CpuSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    fn set(text: &str) -> CpuSet {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_lists_and_exclusions_are_read_in_their_order() {
        for (text, meaning) in [
            ("3", "3"),
            ("4-7,^6", "4-5,7"),
            ("^6,4-7", "4-7"),
            ("1, 0 ,2", "0-2"),
            ("0-3,8,10-11\n", "0-3,8,10-11"),
            ("5,^5", ""),
            ("8191", "8191"),
            ("", ""),
        ] {
            assert_eq!(set(text).to_string(), meaning, "{text}");
        }
        assert_eq!((set("0-3,8").len(), set("").len()), (5, 0));
    }

    #[test]
    fn what_names_no_processors_is_refused() {
        for text in ["x", "1,", ",1", "3-1", "1-", "-1", "+1", "^", "^1-2", "1-2-3", "0-4294967295", "8192", "1;2"] {
            assert_eq!(text.parse::<CpuSet>(), Err(InvalidCpuSet), "{text}");
        }
    }

    #[test]
    fn sets_are_counted_joined_and_compared() {
        assert_eq!((CpuSet::first(4), CpuSet::first(0)), (set("0-3"), set("")));
        assert_eq!(CpuSet::first(u32::MAX), set("0-8191"));
        assert_eq!(set("4-7,9").without(&set("0-5")), set("6-7,9"));
        let mut both = set("1");
        both.add(&set("0,3"));
        assert_eq!(both, set("0-1,3"));
        assert!(both.contains(3) && !both.contains(2));
    }

    proptest! {
        #[test]
        fn a_set_is_read_as_it_was_written(numbers in btree_set(0..=CpuSet::HIGHEST, 0..40)) {
            let written = CpuSet(numbers);
            prop_assert_eq!(&set(&written.to_string()), &written);
            let json = serde_json::to_string(&written).unwrap();
            prop_assert_eq!(serde_json::from_str::<CpuSet>(&json).unwrap(), written);
        }

        #[test]
        fn no_text_is_too_much(text in "[-0-9,^ x]{0,40}|.{0,40}") {
            if let Ok(read) = text.parse::<CpuSet>() {
                prop_assert!(read.0.iter().all(|number| *number <= CpuSet::HIGHEST));
                prop_assert_eq!(set(&read.to_string()), read);
            }
        }
    }
}

//! The kinds of values that settings have: how each is written, what it may be, and what the program reads.

use std::{ops::RangeInclusive, time::Duration};

use crate::{text_enum, vm::Strategy};

/// A kind of value.
pub trait Kind {
    /// What the program reads.
    type Value: Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static;
    /// What bounds it.
    type Limits;

    /// What a number of it counts; empty where that says nothing.
    const UNIT: &str;

    /// The value that a text stands for, if the limits allow it.
    fn parse(text: &str, limits: &Self::Limits) -> Option<Self::Value>;

    /// What may be written, for people.
    fn allowed(limits: &Self::Limits) -> String;
}

/// A whole number of seconds.
pub struct Seconds;

impl Kind for Seconds {
    type Value = Duration;
    type Limits = RangeInclusive<u64>;
    const UNIT: &str = "seconds";

    fn parse(text: &str, limits: &Self::Limits) -> Option<Duration> {
        text.parse().ok().filter(|seconds| limits.contains(seconds)).map(Duration::from_secs)
    }

    fn allowed(limits: &Self::Limits) -> String {
        format!("{} to {}", limits.start(), limits.end())
    }
}

/// A whole number.
pub struct Count;

impl Kind for Count {
    type Value = u32;
    type Limits = RangeInclusive<u32>;
    const UNIT: &str = "";

    fn parse(text: &str, limits: &Self::Limits) -> Option<u32> {
        text.parse().ok().filter(|number| limits.contains(number))
    }

    fn allowed(limits: &Self::Limits) -> String {
        format!("{} to {}", limits.start(), limits.end())
    }
}

/// A number of bytes, which may be written with K, M, G or T for powers of 1024.
pub struct Bytes;

impl Kind for Bytes {
    type Value = u64;
    type Limits = RangeInclusive<u64>;
    const UNIT: &str = "";

    fn parse(text: &str, limits: &Self::Limits) -> Option<u64> {
        parse_bytes(text).filter(|bytes| limits.contains(bytes))
    }

    fn allowed(limits: &Self::Limits) -> String {
        format!("{} to {} bytes, also written as 512M or 2G", limits.start(), limits.end())
    }
}

/// Reads `1073741824`, `1G` or `1GB`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let power = match unit.to_ascii_uppercase().trim_end_matches('B') {
        "" if unit.len() < 2 => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << power)
}

/// A ratio.
pub struct Ratio;

impl Kind for Ratio {
    type Value = f64;
    type Limits = RangeInclusive<f64>;
    const UNIT: &str = "";

    fn parse(text: &str, limits: &Self::Limits) -> Option<f64> {
        text.parse().ok().filter(|ratio| limits.contains(ratio))
    }

    fn allowed(limits: &Self::Limits) -> String {
        format!("{} to {}", limits.start(), limits.end())
    }
}

/// `true` or `false`.
pub struct Switch;

impl Kind for Switch {
    type Value = bool;
    type Limits = ();
    const UNIT: &str = "";

    fn parse(text: &str, _limits: &()) -> Option<bool> {
        text.parse().ok()
    }

    fn allowed(_limits: &()) -> String {
        "true, false".to_owned()
    }
}

impl Kind for Strategy {
    /// Its published name.
    type Value = &'static str;
    type Limits = ();
    const UNIT: &str = "";

    fn parse(text: &str, _limits: &()) -> Option<&'static str> {
        Self::NAMES.into_iter().map(|(name, _)| name).find(|name| *name == text)
    }

    fn allowed(_limits: &()) -> String {
        Self::NAMES.map(|(name, _)| name).join(", ")
    }
}

text_enum! {
    /// What becomes of something that was deleted and can be recovered.
    DeletionPolicy {
        /// It is expunged at once.
        Direct = "Direct",
        /// It is expunged when it is old enough.
        Delay = "Delay",
        /// It stays until somebody expunges it.
        Never = "Never",
    }
}

text_enum! {
    /// Where on its host a VM's VNC console listens.
    VncListen {
        /// Nowhere: it is reached through the node alone.
        Nowhere = "none",
        /// On the host's management address.
        ManagementIp = "managementIp",
    }
}

/// Enums whose values are written by their texts.
macro_rules! choices {
    ($($type:ty),*) => {$(
        impl Kind for $type {
            type Value = Self;
            type Limits = ();
            const UNIT: &str = "";

            fn parse(text: &str, _limits: &()) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }

            fn allowed(_limits: &()) -> String {
                Self::TEXTS.join(", ")
            }
        }
    )*};
}

choices!(DeletionPolicy, VncListen);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_with_and_without_their_unit() {
        for text in ["1073741824", "1073741824B", "1048576K", "1024M", "1024mb", "1G", "1GB"] {
            assert_eq!(parse_bytes(text), Some(1 << 30), "{text}");
        }
        for text in ["", "G", "1.5G", "-1", "1X", "1BB", "99999999999T"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn a_ratio_that_is_no_number_is_none() {
        assert_eq!(Ratio::parse("1.5", &(0.01..=1000.0)), Some(1.5));
        for text in ["NaN", "inf", "0", "one"] {
            assert_eq!(Ratio::parse(text, &(0.01..=1000.0)), None, "{text}");
        }
    }
}

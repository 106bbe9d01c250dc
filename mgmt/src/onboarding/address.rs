//! Where a host is reached.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An IPv4 address, an IPv6 address, or a host name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostAddress {
    /// An address that can be that of one machine.
    Ip(IpAddr),
    /// A DNS name, in lower case.
    Name(String),
}

/// The text is no address of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{address}' is not the address of a host: {reason}; use an IPv4 address, an IPv6 address or a host name")]
pub struct InvalidAddress {
    address: String,
    reason: &'static str,
}

impl FromStr for HostAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = |reason| Err(InvalidAddress { address: text.to_owned(), reason });
        if let Ok(ip) = text.parse::<IpAddr>() {
            let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
            return if ip.is_unspecified() || ip.is_multicast() || broadcast {
                invalid("it does not name one machine")
            } else {
                Ok(Self::Ip(ip))
            };
        }
        // RFC 1123: labels of letters, digits and hyphens. A last label of digits alone is a mistyped IPv4 address.
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            invalid("it is empty")
        } else if name.len() > 253 {
            invalid("it is longer than 253 characters")
        } else if !name.split('.').all(label) {
            invalid("a name's parts are 1 to 63 letters, digits and hyphens")
        } else if name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
            invalid("it looks like an IPv4 address and is none")
        } else {
            Ok(Self::Name(name.to_ascii_lowercase()))
        }
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => fmt::Display::fmt(ip, f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl Serialize for HostAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_accepted() {
        for (text, shown) in [
            ("192.0.2.7", "192.0.2.7"),
            ("2001:DB8::7", "2001:db8::7"),
            ("KVM1.Example.org.", "kvm1.example.org"),
            ("host-7", "host-7"),
            ("7host", "7host"),
        ] {
            assert_eq!(text.parse::<HostAddress>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_names_no_single_machine_is_refused() {
        let long = "a".repeat(64);
        for text in [
            "",
            ".",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "192.0.2.256",
            "192.0.2",
            "1234",
            "host_1",
            "-host",
            "host-",
            "a..b",
            "host;reboot",
            "$(reboot)",
            "root@host",
            "host:22",
            "[::1]",
            "fe80::1%eth0",
            " host",
            "hoſt",
            &long,
        ] {
            assert!(text.parse::<HostAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_error_names_the_text_and_what_would_do() {
        let error = "192.0.2.256".parse::<HostAddress>().unwrap_err().to_string();
        assert!(error.contains("'192.0.2.256'") && error.contains("use an IPv4 address"), "{error}");
    }
}

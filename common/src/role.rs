//! Who is at the other end of a connection, by the name in its certificate.

use std::fmt;

use crate::id::HostUuid;

const MANAGEMENT: &str = "management.gantry";
const HOST_SUFFIX: &str = ".host.gantry";

/// The holder of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The management node.
    Management,
    /// The agent of a host.
    Host(HostUuid),
}

impl Role {
    /// The role that the DNS name of a certificate stands for.
    pub fn from_dns_name(name: &str) -> Option<Self> {
        if name == MANAGEMENT {
            return Some(Self::Management);
        }
        name.strip_suffix(HOST_SUFFIX)?.parse().ok().map(Self::Host)
    }

    /// The DNS name in the certificate.
    pub fn dns_name(self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Management => f.write_str(MANAGEMENT),
            Self::Host(host) => write!(f, "{host}{HOST_SUFFIX}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_from_the_name_it_writes() {
        for role in [Role::Management, Role::Host(HostUuid::random())] {
            assert_eq!(Role::from_dns_name(&role.dns_name()), Some(role));
        }
    }

    #[test]
    fn names_that_only_resemble_a_role_are_none() {
        let host = HostUuid::random();
        for name in [
            "gantry".to_owned(),
            "x.management.gantry".to_owned(),
            "management.gantry.example.org".to_owned(),
            ".host.gantry".to_owned(),
            format!("{host}.host.gantry.example.org"),
            format!("a{host}.host.gantry"),
            format!("{}.host.gantry", host.hyphenated()),
        ] {
            assert_eq!(Role::from_dns_name(&name), None, "{name}");
        }
    }
}

//! The system tags of CreateVmInstance: `staticIp`, `customMac`, `userdata`, `sshkey`, `hostname`,
//! `affinityGroupUuid`, `vmCpuPinning`.

use std::{collections::HashMap, net::Ipv4Addr};

use base64::{Engine, engine::general_purpose::STANDARD};
use gantry_common::{
    agent::GuestData,
    id::{AffinityGroupUuid, L3NetworkUuid},
    net::MacAddress,
};

use super::{CpuPinning, InvalidCpuPinning};
use crate::failure::Failure;

/// What a VM's system tags ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VmTags {
    /// The address on an L3 network: `staticIp::<l3 uuid>::<ip>`.
    pub static_ips: HashMap<L3NetworkUuid, Ipv4Addr>,
    /// The Ethernet address on an L3 network: `customMac::<l3 uuid>::<mac>`.
    pub custom_macs: HashMap<L3NetworkUuid, MacAddress>,
    /// The affinity group that the VM joins: `affinityGroupUuid::<uuid>`.
    pub affinity_group: Option<AffinityGroupUuid>,
    /// The host's processors that its own run on: `vmCpuPinning::<policy>`.
    pub cpu_pinning: CpuPinning,
    /// What the guest is told: `userdata::<base64>`, `sshkey::<public key>`, `hostname::<name>`.
    pub guest_data: GuestData,
}

/// User data may be this long, decoded.
const USERDATA_LIMIT_BYTES: usize = 64 * 1024;

impl VmTags {
    /// Reads the tags. Those of other kinds are left alone.
    pub fn parse(tags: &[String]) -> Result<Self, Failure> {
        let mut parsed = Self::default();
        for tag in tags {
            let refuse = |remedy: &str| Failure::argument("systemTags", shorten(tag), remedy);
            let Some((kind, value)) = tag.split_once("::") else { continue };
            match kind {
                "staticIp" => {
                    let (l3, ip) =
                        pair(value).ok_or_else(|| refuse("staticIp::<L3 network uuid>::<IPv4 address> is needed"))?;
                    if parsed.static_ips.insert(l3, ip).is_some() {
                        return Err(refuse("each L3 network takes one staticIp"));
                    }
                }
                "customMac" => {
                    let (l3, mac) = pair(value)
                        .ok_or_else(|| refuse("customMac::<L3 network uuid>::<unicast MAC address> is needed"))?;
                    if parsed.custom_macs.insert(l3, mac).is_some() {
                        return Err(refuse("each L3 network takes one customMac"));
                    }
                }
                "affinityGroupUuid" => {
                    let group =
                        value.parse().map_err(|_| refuse("affinityGroupUuid::<affinity group uuid> is needed"))?;
                    if parsed.affinity_group.replace(group).is_some() {
                        return Err(refuse("a VM is in one affinity group at the most"));
                    }
                }
                "vmCpuPinning" => {
                    parsed.cpu_pinning =
                        value.parse().map_err(|error: InvalidCpuPinning| refuse(&error.to_string()))?;
                }
                "userdata" => {
                    let text = decode(value).ok_or_else(|| refuse("userdata::<base64 of UTF-8 text> is needed"))?;
                    if text.len() > USERDATA_LIMIT_BYTES {
                        return Err(refuse("user data may have 65536 bytes at the most"));
                    }
                    parsed.guest_data.userdata = Some(text);
                }
                "sshkey" => {
                    if value.trim().is_empty() || value.contains(char::is_control) {
                        return Err(refuse("sshkey::<public key on one line> is needed"));
                    }
                    parsed.guest_data.ssh_keys.push(value.trim().to_owned());
                }
                "hostname" => {
                    if !is_hostname(value) {
                        return Err(refuse(
                            "hostname::<name> takes labels of letters, digits and '-', 63 characters each",
                        ));
                    }
                    parsed.guest_data.hostname = Some(value.to_owned());
                }
                _ => {}
            }
        }
        Ok(parsed)
    }
}

fn pair<T: std::str::FromStr>(value: &str) -> Option<(L3NetworkUuid, T)> {
    let (l3, rest) = value.split_once("::")?;
    Some((l3.parse().ok()?, rest.parse().ok()?))
}

fn decode(value: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()
}

fn is_hostname(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

fn shorten(tag: &str) -> String {
    if tag.chars().count() <= 100 {
        tag.to_owned()
    } else {
        format!("{}…", tag.chars().take(100).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const L3: &str = "8aef7e3a53b34eedaa05027a919156d9";

    #[test]
    fn the_tags_are_read() {
        let tags = [
            format!("staticIp::{L3}::10.0.0.9"),
            format!("customMac::{L3}::fa:00:00:00:00:09"),
            "userdata::IyEvYmluL3NoCg==".to_owned(),
            "hostname::web-1".to_owned(),
            "sshkey::ssh-ed25519 AAAA me".to_owned(),
            "vmCpuPinning::1:3;1-3:4-7,^6".to_owned(),
            "somethingElse".to_owned(),
        ];
        let parsed = VmTags::parse(&tags).unwrap();
        assert_eq!(parsed.static_ips[&L3.parse().unwrap()].to_string(), "10.0.0.9");
        assert_eq!(parsed.custom_macs[&L3.parse().unwrap()].to_string(), "fa:00:00:00:00:09");
        assert_eq!(parsed.cpu_pinning.to_string(), "1:3;1-3:4-5,7");
        assert_eq!(parsed.guest_data.userdata.as_deref(), Some("#!/bin/sh\n"));
        assert_eq!(parsed.guest_data.hostname.as_deref(), Some("web-1"));
        assert_eq!(parsed.guest_data.ssh_keys, ["ssh-ed25519 AAAA me"]);
    }

    #[test]
    fn a_malformed_tag_is_refused_with_its_form() {
        for tag in
            ["staticIp::10.0.0.9", "hostname::-a", "hostname::a b", "userdata::***", "sshkey::", "vmCpuPinning::0"]
        {
            assert!(VmTags::parse(&[tag.to_owned()]).is_err(), "{tag}");
        }
    }
}

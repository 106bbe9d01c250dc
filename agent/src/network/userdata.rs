//! What a guest is told about itself at 169.254.169.254, in the two forms that cloud-init reads: EC2's tree of names
//! and NoCloud's three files.

use std::{net::Ipv4Addr, path::PathBuf};

use gantry_common::{
    agent::{AgentError, GuestData, Nic},
    id::{L3NetworkUuid, VmUuid},
    net::MacAddress,
};
use serde::{Deserialize, Serialize};

use super::{
    paths::NetworkPaths,
    record::{self, make_directory},
};

/// The versions of EC2's tree that are served; the trees are the same. cloud-init asks for the first.
const EC2_VERSIONS: [&str; 3] = ["2009-04-04", "2016-09-02", "latest"];
/// The name of a guest's keys, which EC2's tree wants.
const KEY_NAME: &str = "gantry";

/// A guest as one of its interfaces sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Guest {
    vm: VmUuid,
    mac: MacAddress,
    ip: Ipv4Addr,
    guest_data: GuestData,
}

fn file(paths: &NetworkPaths, l3_network: L3NetworkUuid, address: Ipv4Addr) -> PathBuf {
    paths.guests(l3_network).join(format!("{address}.json"))
}

/// Lets the guest ask from the interface's address.
pub(super) fn add(paths: &NetworkPaths, vm: VmUuid, nic: &Nic, guest_data: &GuestData) -> Result<(), AgentError> {
    make_directory(&paths.guests(nic.l3_network), record::Readers::Root)?;
    let guest = Guest { vm, mac: nic.mac, ip: nic.ip, guest_data: guest_data.clone() };
    record::store(&file(paths, nic.l3_network, nic.ip), &guest)
}

/// Ends what [`add`] began. An address that is another guest's by now is left alone.
pub(super) fn remove(paths: &NetworkPaths, nic: &Nic) -> Result<(), AgentError> {
    match find(paths, nic.l3_network, nic.ip)? {
        Some(guest) if guest.mac != nic.mac => Ok(()),
        _ => record::remove(&file(paths, nic.l3_network, nic.ip)),
    }
}

/// The guest with that address.
pub(super) fn find(
    paths: &NetworkPaths,
    l3_network: L3NetworkUuid,
    address: Ipv4Addr,
) -> Result<Option<Guest>, AgentError> {
    record::load(&file(paths, l3_network, address))
}

/// The answer to `GET path`; `None` where there is nothing of that name.
pub(super) fn answer(guest: &Guest, path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [] => Some(EC2_VERSIONS.join("\n")),
        ["meta-data"] => Some(nocloud_metadata(guest)),
        ["user-data"] => Some(guest.guest_data.userdata.clone().unwrap_or_default()),
        ["vendor-data"] => Some(String::new()),
        [version, rest @ ..] if EC2_VERSIONS.contains(version) => ec2(guest, rest),
        _ => None,
    }
}

fn hostname(guest: &Guest) -> String {
    guest.guest_data.hostname.clone().unwrap_or_else(|| format!("vm-{}", &guest.vm.to_string()[..8]))
}

fn nocloud_metadata(guest: &Guest) -> String {
    // A JSON string is a YAML string, whatever is in it.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut text =
        format!("instance-id: {}\nlocal-hostname: {}\n", quoted(&guest.vm.to_string()), quoted(&hostname(guest)));
    if !guest.guest_data.ssh_keys.is_empty() {
        text.push_str("public-keys:\n");
        for key in &guest.guest_data.ssh_keys {
            text.push_str(&format!("- {}\n", quoted(key.trim())));
        }
    }
    text
}

fn ec2(guest: &Guest, path: &[&str]) -> Option<String> {
    let keys = &guest.guest_data.ssh_keys;
    Some(match path {
        [] if guest.guest_data.userdata.is_some() => "meta-data/\nuser-data".to_owned(),
        [] => "meta-data/".to_owned(),
        ["user-data"] => guest.guest_data.userdata.clone()?,
        ["meta-data"] => {
            let mut names = vec!["hostname", "instance-id", "local-hostname", "local-ipv4", "mac", "placement/"];
            if !keys.is_empty() {
                names.push("public-keys/");
            }
            names.join("\n")
        }
        ["meta-data", "instance-id"] => guest.vm.to_string(),
        ["meta-data", "hostname" | "local-hostname"] => hostname(guest),
        ["meta-data", "local-ipv4"] => guest.ip.to_string(),
        ["meta-data", "mac"] => guest.mac.to_string(),
        ["meta-data", "placement"] => "availability-zone".to_owned(),
        ["meta-data", "placement", "availability-zone"] => "gantry".to_owned(),
        ["meta-data", "public-keys"] if !keys.is_empty() => {
            let lines: Vec<_> = (0..keys.len()).map(|number| format!("{number}={KEY_NAME}-{number}")).collect();
            lines.join("\n")
        }
        ["meta-data", "public-keys", number] => {
            number.parse::<usize>().ok().and_then(|number| keys.get(number))?;
            "openssh-key".to_owned()
        }
        ["meta-data", "public-keys", number, "openssh-key"] => {
            number.parse::<usize>().ok().and_then(|number| keys.get(number))?.trim().to_owned()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest() -> Guest {
        Guest {
            vm: "8aef7e3a53b34eedaa05027a919156d9".parse().unwrap(),
            mac: "fa:00:00:00:00:01".parse().unwrap(),
            ip: Ipv4Addr::new(10, 9, 1, 9),
            guest_data: GuestData {
                hostname: Some("web \"1\"".to_owned()),
                userdata: Some("#cloud-config\r\n\tü\n".to_owned()),
                ssh_keys: vec!["ssh-ed25519 AAAA a@b\n".to_owned(), "ssh-rsa BBBB".to_owned()],
            },
        }
    }

    #[test]
    fn ec2_names_lead_to_values_for_every_version() {
        let guest = guest();
        for version in EC2_VERSIONS {
            let ask = |path: &str| answer(&guest, &format!("/{version}{path}"));
            let listing = ask("/meta-data/").unwrap();
            for name in listing.lines() {
                assert!(ask(&format!("/meta-data/{name}")).is_some(), "{name}");
            }
            assert_eq!(ask("/meta-data/instance-id").unwrap(), "8aef7e3a53b34eedaa05027a919156d9");
            assert_eq!(ask("/meta-data/local-ipv4").unwrap(), "10.9.1.9");
            assert_eq!(ask("/meta-data/public-keys/").unwrap(), "0=gantry-0\n1=gantry-1");
            assert_eq!(ask("/meta-data/public-keys/0/openssh-key").unwrap(), "ssh-ed25519 AAAA a@b");
            assert_eq!(ask("/user-data").unwrap(), "#cloud-config\r\n\tü\n");
        }
    }

    #[test]
    fn what_a_guest_does_not_have_is_not_found() {
        let bare = Guest { guest_data: GuestData::default(), ..guest() };
        for path in [
            "/latest/user-data",
            "/latest/meta-data/public-keys/",
            "/latest/meta-data/public-keys/0/openssh-key",
            "/latest/meta-data/none",
            "/2018-09-24/meta-data/instance-id",
            "/network-config",
            "/../../etc/passwd",
        ] {
            assert_eq!(answer(&bare, path), None, "{path}");
        }
        assert_eq!(answer(&guest(), "/latest/meta-data/public-keys/2"), None);
        assert_eq!(answer(&bare, "/user-data").unwrap(), "");
        assert_eq!(answer(&bare, "/latest/meta-data/hostname").unwrap(), "vm-8aef7e3a");
    }

    #[test]
    fn nocloud_metadata_is_yaml_whatever_the_values_hold() {
        assert_eq!(
            answer(&guest(), "/meta-data").unwrap(),
            "instance-id: \"8aef7e3a53b34eedaa05027a919156d9\"\nlocal-hostname: \"web \\\"1\\\"\"\npublic-keys:\n\
             - \"ssh-ed25519 AAAA a@b\"\n- \"ssh-rsa BBBB\"\n"
        );
        assert_eq!(answer(&guest(), "/vendor-data").unwrap(), "");
    }

    #[test]
    fn an_address_that_went_to_another_guest_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let paths = NetworkPaths { run_dir: directory.path().to_owned() };
        let first = Nic {
            uuid: gantry_common::id::NicUuid::random(),
            device_id: 0,
            l3_network: L3NetworkUuid::random(),
            tap: "vnic1.0".to_owned(),
            mac: "fa:00:00:00:00:01".parse().unwrap(),
            ip: Ipv4Addr::new(10, 9, 1, 9),
            is_default: true,
            anti_spoofing: true,
        };
        let second = Nic { mac: "fa:00:00:00:00:02".parse().unwrap(), ..first.clone() };
        let vm = VmUuid::random();
        add(&paths, vm, &second, &GuestData::default()).unwrap();
        remove(&paths, &first).unwrap();
        assert!(find(&paths, first.l3_network, first.ip).unwrap().is_some());
        remove(&paths, &second).unwrap();
        assert!(find(&paths, first.l3_network, first.ip).unwrap().is_none());
    }
}

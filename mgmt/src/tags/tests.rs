use super::*;
use crate::store::in_memory;

/// As the operator may.
fn admit(resource: &str, tag: &str, later: bool) -> Result<&'static KnownTag, Failure> {
    in_memory(|tx| super::admit(tx, resource, tag, later))
}

#[test]
fn every_kind_can_be_told_from_every_other_of_its_resource() {
    for known in KNOWN {
        let same = KNOWN.iter().filter(|other| other.resource == known.resource && other.is(known.form));
        assert_eq!(same.count(), 1, "{} {}", known.resource, known.form);
        assert!(resource::by_name(known.resource).is_some_and(is_taggable), "{}", known.resource);
    }
}

#[test]
fn an_unknown_tag_is_refused_with_what_its_resource_can_have() {
    let failure = admit("VmInstance", "colour::red", false).unwrap_err();
    assert!(failure.details.contains("'colour::red'"), "{failure}");
    for form in ["hostname::{name}", "staticIp::{l3NetworkUuid}::{ip}", "userdata::{base64}"] {
        assert!(failure.details.contains(form), "{failure}");
    }
    assert!(!failure.details.contains("pciDevice"), "{failure}");
    assert!(admit("BackupStorage", "x", false).unwrap_err().details.contains("takes no system tags"));
    assert!(kind_of("VmInstance", "hostname").is_err());
}

#[test]
fn what_this_node_does_not_have_is_refused_and_not_forgotten() {
    for tag in ["pciDevice::634b48a7bca139d9944a0f95b0c2dddf", "ha::NeverStop", "consolePassword::123456"] {
        assert_eq!(admit("VmInstance", tag, false).unwrap_err().kind, ErrorKind::NotSupported, "{tag}");
    }
    assert!(admit("VmInstance", "vmConsoleMode::spice", false).is_err());
    assert!(admit("VmInstance", "vmConsoleMode::vnc", false).is_ok());
    assert!(admit("VmInstance", "usbRedirect::true", false).is_err());
}

#[test]
fn a_malformed_tag_is_refused_with_its_form() {
    for (resource, tag) in [
        ("Host", "reservedMemory::much"),
        ("Host", "reservedMemory::"),
        ("Image", "md5::abc"),
        ("Image", "bootMode::BIOS"),
        ("VmInstance", "hostname::a b"),
        ("VmInstance", "staticIp::10.0.0.9"),
        ("VmInstance", "vmCpuPinning::0:9999"),
    ] {
        assert_eq!(admit(resource, tag, false).unwrap_err().kind, ErrorKind::InvalidArgument, "{tag}");
    }
    assert!(admit("Host", "reservedMemory::1G", true).is_ok());
    assert!(admit("Cluster", "host::reservedMemory::512M", true).is_ok());
}

#[test]
fn some_tags_come_only_with_the_resource_and_some_only_from_the_node() {
    let mac = "customMac::81a21a81cde84c1084c191354053a3b5::fa:00:37:ee:9f:00";
    assert!(admit("VmInstance", mac, false).is_ok());
    assert!(admit("VmInstance", mac, true).is_err());
    assert!(admit("Host", "os::kernel::6.1", true).is_err());
}

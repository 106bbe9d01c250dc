//! Whether what varies in a system tag can be used.

use gantry_common::id::{HostUuid, PrimaryStorageUuid};

use super::QEMU_GUEST_AGENT;
use crate::{failure::Failure, settings::parse_bytes, vm::VmTags};

fn refuse(tag: &str, remedy: &str) -> Failure {
    Failure::argument("tag", tag, remedy)
}

/// The part after the last `::`.
fn value(tag: &str) -> &str {
    tag.rsplit_once("::").map_or("", |(_, value)| value)
}

pub fn nothing(_tag: &str) -> Result<(), Failure> {
    Ok(())
}

pub fn vm(tag: &str) -> Result<(), Failure> {
    VmTags::parse(&[tag.to_owned()]).map(drop)
}

pub fn boot_mode(tag: &str) -> Result<(), Failure> {
    let allowed = ["UEFI", "Legacy"].iter().any(|mode| mode.eq_ignore_ascii_case(value(tag)));
    if allowed { Ok(()) } else { Err(refuse(tag, "allowed are bootMode::UEFI and bootMode::Legacy")) }
}

pub fn guest_agent(tag: &str) -> Result<(), Failure> {
    if tag == QEMU_GUEST_AGENT { Ok(()) } else { Err(refuse(tag, "the tag is qemuga, without anything after it")) }
}

pub fn console_mode(tag: &str) -> Result<(), Failure> {
    if value(tag) == "vnc" { Ok(()) } else { Err(refuse(tag, "consoles of this node are vmConsoleMode::vnc")) }
}

pub fn usb_redirect(tag: &str) -> Result<(), Failure> {
    match value(tag) {
        "false" => Ok(()),
        "true" => Err(refuse(tag, "this node redirects no USB devices: usbRedirect::false is what it has")),
        _ => Err(refuse(tag, "usbRedirect::true or usbRedirect::false is needed")),
    }
}

pub fn local_storage_host(tag: &str) -> Result<(), Failure> {
    match value(tag).parse::<HostUuid>() {
        Ok(_) => Ok(()),
        Err(_) => Err(refuse(tag, "localStorage::hostUuid::<host uuid> is needed")),
    }
}

pub fn shareable(tag: &str) -> Result<(), Failure> {
    Err(refuse(tag, "local storage, which one host has, shares no volume between VMs: leave it out"))
}

pub fn max_instances(tag: &str) -> Result<(), Failure> {
    match value(tag).parse::<u64>() {
        Ok(1..) => Ok(()),
        _ => Err(refuse(tag, "a whole number from 1 on is needed at its end")),
    }
}

pub fn mode(tag: &str) -> Result<(), Failure> {
    if matches!(value(tag), "soft" | "hard") { Ok(()) } else { Err(refuse(tag, "soft or hard is needed at its end")) }
}

pub fn uuid(tag: &str) -> Result<(), Failure> {
    match value(tag).parse::<PrimaryStorageUuid>() {
        Ok(_) => Ok(()),
        Err(error) => Err(refuse(tag, &error.to_string())),
    }
}

/// `…::userTag::<tag>` or `…::userTag::<tag>::required`.
pub fn user_tag(tag: &str) -> Result<(), Failure> {
    let named = tag.split_once("userTag::").map(|(_, named)| named.strip_suffix("::required").unwrap_or(named));
    if named.is_some_and(|named| !named.trim().is_empty()) {
        return Ok(());
    }
    Err(refuse(
        tag,
        "a primary storage's user tag is needed after userTag::, and ::required after that if it must be there",
    ))
}

pub fn bytes(tag: &str) -> Result<(), Failure> {
    let fits = parse_bytes(value(tag)).is_some();
    if fits {
        Ok(())
    } else {
        Err(refuse(tag, "a number of bytes is needed at its end, such as 1073741824, 512M or 2G"))
    }
}

pub fn md5(tag: &str) -> Result<(), Failure> {
    digest(tag, 32)
}

pub fn sha256(tag: &str) -> Result<(), Failure> {
    digest(tag, 64)
}

fn digest(tag: &str, length: usize) -> Result<(), Failure> {
    let hex = value(tag);
    if hex.len() == length && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(refuse(tag, &format!("the digest must have {length} hexadecimal characters")))
}

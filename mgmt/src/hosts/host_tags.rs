//! What is known of a host beyond its inventory's fields: shown as inherent system tags.

use gantry_common::{
    agent::{Acceleration, ForeignDomain, HostFacts},
    id::{HostUuid, TagUuid},
};

use crate::{
    clock::Timestamp,
    failure::Failure,
    resource::{Host, SystemTag},
    store::{SqlValue, Tx},
};

const RESOURCE_TYPE: &str = "HostVO";

/// A domain that Gantry did not make and leaves alone.
const FOREIGN: &str = "foreignDomain::";

/// Brings a host's tags up to date with what it said of itself.
pub fn set_fact_tags(tx: &Tx<'_>, host: HostUuid, facts: &HostFacts) -> Result<(), Failure> {
    let acceleration = match facts.acceleration {
        Acceleration::Kvm => "kvm",
        Acceleration::Emulation => "emulation",
    };
    let tags = [
        ("hostname::", facts.hostname.as_str()),
        ("os::distribution::", &facts.operating_system),
        ("os::kernel::", &facts.kernel),
        ("cpu::model::", &facts.cpu_model),
        ("libvirt::version::", &facts.libvirt_version),
        ("qemu::version::", &facts.qemu_version),
        ("agent::version::", &facts.agent_version),
        ("acceleration::", acceleration),
    ];
    for (kind, value) in tags {
        let wanted: Vec<String> =
            Some(value).filter(|value| !value.is_empty()).map(|value| format!("{kind}{value}")).into_iter().collect();
        set_tags(tx, host, kind, &wanted)?;
    }
    Ok(())
}

/// Brings the tags of the domains that Gantry did not make up to date.
pub fn set_foreign_tags(tx: &Tx<'_>, host: HostUuid, domains: &[ForeignDomain]) -> Result<(), Failure> {
    let wanted: Vec<String> =
        domains.iter().map(|domain| format!("{FOREIGN}{}::{}", domain.uuid, domain.name)).collect();
    set_tags(tx, host, FOREIGN, &wanted)
}

/// Makes `wanted` the host's only inherent tags that begin with `kind`.
fn set_tags(tx: &Tx<'_>, host: HostUuid, kind: &str, wanted: &[String]) -> Result<(), Failure> {
    if tx.get::<Host>(host)?.is_none() {
        return Ok(());
    }
    let there = tx.find::<SystemTag>(&[("resource_uuid", host.to_string().to_sql())])?;
    let there: Vec<SystemTag> = there.into_iter().filter(|tag| tag.inherent && tag.tag.starts_with(kind)).collect();
    for tag in there.iter().filter(|tag| !wanted.contains(&tag.tag)) {
        tx.delete::<SystemTag>(tag.uuid)?;
    }
    let now = Timestamp::now();
    for tag in wanted.iter().filter(|wanted| !there.iter().any(|tag| tag.tag == **wanted)) {
        if kind == FOREIGN {
            tracing::warn!(%host, domain = tag, "a domain that Gantry did not make runs on the host; it is left alone");
        }
        tx.insert(&SystemTag {
            uuid: TagUuid::random(),
            resource_uuid: host.to_string(),
            resource_type: RESOURCE_TYPE.to_owned(),
            tag: tag.clone(),
            kind: "System".to_owned(),
            inherent: true,
            create_date: now,
            last_op_date: now,
        })?;
    }
    Ok(())
}

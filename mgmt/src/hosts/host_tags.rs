//! What is known of a host beyond its inventory's fields: shown as inherent system tags.

use gantry_common::{
    agent::{Acceleration, ForeignDomain, HostFacts},
    id::HostUuid,
};

use crate::{
    failure::Failure,
    notification::Notice,
    resource::{Host, NotificationType},
    settings::Values,
    store::Tx,
    tags,
};

/// A domain that Gantry did not make and leaves alone.
const FOREIGN: &str = "foreignDomain::";

/// One of a host's facts, as text.
type Fact = fn(&HostFacts) -> &str;

/// What is shown of a host's facts, by what its tags begin with.
const FACTS: [(&str, Fact); 8] = [
    ("hostname::", |facts| &facts.hostname),
    ("os::distribution::", |facts| &facts.operating_system),
    ("os::kernel::", |facts| &facts.kernel),
    ("cpu::model::", |facts| &facts.cpu_model),
    ("libvirt::version::", |facts| &facts.libvirt_version),
    ("qemu::version::", |facts| &facts.qemu_version),
    ("agent::version::", |facts| &facts.agent_version),
    ("acceleration::", |facts| match facts.acceleration {
        Acceleration::Kvm => "kvm",
        Acceleration::Emulation => "emulation",
    }),
];

/// Brings a host's tags up to date with what it said of itself.
pub fn set_fact_tags(tx: &Tx<'_>, host: HostUuid, facts: &HostFacts) -> Result<(), Failure> {
    for (kind, fact) in FACTS {
        let value = fact(facts);
        let wanted: Vec<String> =
            Some(value).filter(|value| !value.is_empty()).map(|value| format!("{kind}{value}")).into_iter().collect();
        set_tags(tx, host, kind, &wanted)?;
    }
    Ok(())
}

/// Brings the tags of the domains that Gantry did not make up to date.
pub fn set_foreign_tags(
    tx: &Tx<'_>,
    settings: &Values,
    host: HostUuid,
    domains: &[ForeignDomain],
) -> Result<(), Failure> {
    let wanted: Vec<String> =
        domains.iter().map(|domain| format!("{FOREIGN}{}::{}", domain.uuid, domain.name)).collect();
    for tag in set_tags(tx, host, FOREIGN, &wanted)? {
        tracing::warn!(%host, domain = tag, "a domain that Gantry did not make runs on the host; it is left alone");
        Notice::new(
            NotificationType::Warning,
            "a domain that Gantry did not make runs on host %s and is left alone: %s",
            [host.to_string(), tag.trim_start_matches(FOREIGN).to_owned()],
        )
        .about::<Host>(host)
        .record(tx, settings)?;
    }
    Ok(())
}

/// Makes `wanted` the host's only tags of the node's own that begin with `kind`. Answers those that are new.
fn set_tags(tx: &Tx<'_>, host: HostUuid, kind: &str, wanted: &[String]) -> Result<Vec<String>, Failure> {
    if tx.get::<Host>(host)?.is_none() {
        return Ok(Vec::new());
    }
    tags::set_inherent(tx, Host::declaration(), &host.to_string(), kind, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_gives_only_tags_that_it_knows() {
        for kind in FACTS.iter().map(|(kind, _)| *kind).chain([FOREIGN]) {
            assert_eq!(tags::kind_of("Host", kind).unwrap().giver, tags::Giver::Node, "{kind}");
        }
    }
}

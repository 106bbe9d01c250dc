//! The classes that answers are named by. Clients look replies up by them.

use std::{collections::HashMap, sync::LazyLock};

use super::message::Message;
use crate::api::Answer;

/// The published operations by the package their messages are in.
const PACKAGES: &str = include_str!("packages.txt");

/// The answers that are not named after their message, or are not in its package.
const NAMED_OTHERWISE: [(&str, &str); 20] = [
    ("AddCephBackupStorage", "org.zstack.header.storage.backup.APIAddBackupStorageEvent"),
    ("AddCephPrimaryStorage", "org.zstack.header.storage.primary.APIAddPrimaryStorageEvent"),
    ("AddKVMHost", "org.zstack.header.host.APIAddHostEvent"),
    ("AddLocalPrimaryStorage", "org.zstack.header.storage.primary.APIAddPrimaryStorageEvent"),
    ("AddNfsPrimaryStorage", "org.zstack.header.storage.primary.APIAddPrimaryStorageEvent"),
    ("AddSharedMountPointPrimaryStorage", "org.zstack.header.storage.primary.APIAddPrimaryStorageEvent"),
    ("CreateL2NoVlanNetwork", "org.zstack.header.network.l2.APICreateL2NetworkEvent"),
    ("CreateVirtualRouterOffering", "org.zstack.header.configuration.APICreateInstanceOfferingEvent"),
    ("GetCandidateLdapEntryForBinding", "org.zstack.ldap.APIGetLdapEntryReply"),
    ("GetInterdependentL3NetworksImages", "org.zstack.header.vm.APIGetInterdependentL3NetworkImageReply"),
    (
        "LocalStorageGetVolumeMigratableHosts",
        "org.zstack.storage.primary.local.APILocalStorageGetVolumeMigratableReply",
    ),
    ("LogInByAccount", "org.zstack.header.identity.APILogInReply"),
    ("LogInByUser", "org.zstack.header.identity.APILogInReply"),
    ("QueryCephBackupStorage", "org.zstack.header.storage.backup.APIQueryBackupStorageReply"),
    ("QueryCephPrimaryStorage", "org.zstack.header.storage.primary.APIQueryPrimaryStorageReply"),
    ("QueryVirtualRouterVm", "org.zstack.appliancevm.APIQueryApplianceVmReply"),
    (
        "RefreshSharedblockDeviceCapacity",
        "org.zstack.storage.primary.sharedblock.APIRefreshSharedBlockDeviceCapacityEvent",
    ),
    ("ReloadLicense", "org.zstack.license.APIReloadLicenseReply"),
    ("UpdateKVMHost", "org.zstack.header.host.APIUpdateHostEvent"),
    ("UpdateVirtualRouterOffering", "org.zstack.header.configuration.APIUpdateInstanceOfferingEvent"),
];

/// Where an operation that is in no published package is said to be.
const NO_PACKAGE: &str = "org.zstack.header";

/// Package and name of the published operations, by their names in lower case: clients and the reference differ there.
static PUBLISHED: LazyLock<HashMap<String, (&str, &str)>> = LazyLock::new(|| {
    let lines = PACKAGES.lines().filter_map(|line| line.split_once(": "));
    let names = lines.flat_map(|(package, names)| names.split(' ').map(move |name| (package, name)));
    names.map(|(package, name)| (name.to_lowercase(), (package, name))).collect()
});

/// The class of the answer to a message: in the package that the caller knows the message in.
pub fn answer(message: &Message, answer: Answer) -> String {
    named_otherwise(&message.name).map_or_else(|| class(&message.package, &message.name, answer), str::to_owned)
}

/// The class of the event that a job ends with.
pub fn event(operation: &str) -> String {
    let (package, name) = PUBLISHED.get(&operation.to_lowercase()).copied().unwrap_or((NO_PACKAGE, operation));
    named_otherwise(name).map_or_else(|| class(package, name, Answer::Job), str::to_owned)
}

fn named_otherwise(name: &str) -> Option<&'static str> {
    NAMED_OTHERWISE.iter().find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, class)| *class)
}

fn class(package: &str, name: &str, answer: Answer) -> String {
    let kind = match answer {
        Answer::Sync => "Reply",
        Answer::Job => "Event",
    };
    let dot = if package.is_empty() { "" } else { "." };
    format!("{package}{dot}API{name}{kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_their_published_classes() {
        assert_eq!(event("CreateVmInstance"), "org.zstack.header.vm.APICreateVmInstanceEvent");
        assert_eq!(event("AddKVMHost"), "org.zstack.header.host.APIAddHostEvent");
        assert_eq!(event("SetNicQoS"), "org.zstack.header.vm.APISetNicQosEvent");
        assert_eq!(event("CreateL2NoVlanNetwork"), "org.zstack.header.network.l2.APICreateL2NetworkEvent");
        assert_eq!(event("PaintThing"), "org.zstack.header.APIPaintThingEvent");
    }

    #[test]
    fn each_line_is_a_package_and_names() {
        let whole = |line: &str| {
            line.split_once(": ").is_some_and(|(package, names)| {
                package.starts_with("org.zstack.")
                    && names.split(' ').all(|name| name.chars().all(char::is_alphanumeric))
            })
        };
        let wrong: Vec<&str> = PACKAGES.lines().filter(|line| !whole(line)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

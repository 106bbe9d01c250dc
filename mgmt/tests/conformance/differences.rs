//! Where Gantry differs from the reference on purpose, and why.

use gantry_mgmt::api::{ReplyField, ReplyType};

/// Served names of operations, and the reference's: the published client's are served.
pub const RENAMED: &[(&str, &str)] = &[("LogInByAccount", "LoginByAccount"), ("LogInByUser", "LoginByUser")];

/// Served operations that the reference does not have.
pub const ADDED: &[&str] = &["CancelJob", "QueryAudit"];

/// Parameters whose names the scanned reference has wrong: operation, as scanned, as the published client sends it.
pub const MISREAD: &[(&str, &str, &str)] = &[
    ("GetVmAttachableL3Network", "vmlInstanceUuid", "vmInstanceUuid"),
    ("GetIpAddressCapacity", "zoneUids", "zoneUuids"),
    ("GetIpAddressCapacity", "l3NetworkUids", "l3NetworkUuids"),
    ("GetIpAddressCapacity", "ipRangeUids", "ipRangeUuids"),
    ("AddSecurityGroupRule", "remoteSecurityGroupUids", "remoteSecurityGroupUuids"),
    ("AttachL3NetworksToIPsecConnection", "l3NetworkUids", "l3NetworkUuids"),
    ("ShareResource", "resourceUids", "resourceUuids"),
    ("ShareResource", "accountUids", "accountUuids"),
    ("AddUserToGroup", "userId", "userUuid"),
    ("AttachPoliciesToUser", "policyUids", "policyUuids"),
    ("RenewSession", "sessionId", "sessionUuid"),
    ("GetTaskProgress", "apild", "apiId"),
    ("GetCpuMemoryCapacity", "zoneUids", "zoneUuids"),
    ("GetCpuMemoryCapacity", "clusterUids", "clusterUuids"),
    ("GetCpuMemoryCapacity", "hostUids", "hostUuids"),
    ("DeleteLicense", "managementNodeId", "managementNodeUuid"),
    ("ReloadLicense", "managementNodeUids", "managementNodeUuids"),
    ("UpdateLicense", "managementNodeId", "managementNodeUuid"),
    ("RevertVolumeFromVolumeBackup", "卷备份uuid", "uuid"),
];

/// Parameters that the published client sends and the reference lacks.
pub const CLIENT_ONLY: &[(&str, &str)] = &[
    ("DetachL3NetworkFromVm", "vmNicUuid"),
    ("GetEventData", "offsetAheadOfCurrentTime"),
    ("GetEventData", "conditions"),
    ("SubscribeEvent", "name"),
    ("GetAuditData", "conditions"),
    ("GetLoginCaptcha", "captchaUuid"),
    ("DetachPolicyFromUserGroup", "groupUuid"),
    ("DetachPolicyFromUser", "userUuid"),
    ("RecoverDatabaseFromBackup", "extParams"),
];

/// Parameters of the reference that are not served: a page break gave them to the wrong operation.
pub const UNSERVED_PARAMETERS: &[(&str, &str)] = &[
    ("DetachPciDeviceFromVm", "vendorId"),
    ("DetachPciDeviceFromVm", "deviceId"),
    ("DetachPciDeviceFromVm", "subvendorId"),
    ("DetachPciDeviceFromVm", "subdeviceId"),
    ("DetachPciDeviceFromVm", "pciDeviceAddress"),
    ("DetachPciDeviceFromVm", "ordinal"),
    ("DetachPciDeviceFromVm", "metaData"),
    ("DetachPciDeviceFromVm", "key"),
    ("DetachPciDeviceFromVm", "value"),
    ("DetachPciDeviceFromVm", "pciDeviceOfferingUuid"),
    ("DetachPolicyFromUserGroup", "userId"),
    ("DetachPolicyFromUser", "groupUuid"),
    // The image is named in the path, by `imageUuid`.
    ("ExpungeImage", "Uuid"),
];

/// Paths of the reference that are not served: they are another operation's.
pub const UNSERVED_PATHS: &[(&str, &str)] = &[
    ("UpdateIscsiServer", "/storage-devices/iscsi/servers"),
    ("DeleteLoadBalancer", "/load-balancers/listeners/{}"),
    ("DetachPolicyFromUser", "/accounts/groups/{}/policies/{}"),
];

/// Methods of the reference that are not served: those of other operations at the same path.
pub const UNSERVED_METHODS: &[(&str, &str)] = &[("AddMonToCephBackupStorage", "DELETE"), ("UpdateIscsiServer", "POST")];

/// Body keys that the scan has cut.
pub const CUT_BODY_KEYS: &[&str] = &["syncBackupFromImageSt"];

/// Parameters that the reference requires and the published client leaves out.
pub const OPTIONAL: &[(&str, &str)] = &[
    ("AddCephPrimaryStorage", "url"),
    ("AddSharedBlockGroupPrimaryStorage", "url"),
    ("AddCephBackupStorage", "url"),
    ("CreateL2VxlanNetworkPool", "physicalInterface"),
    ("CreateL2VxlanNetwork", "zoneUuid"),
    ("CreateL2VxlanNetwork", "physicalInterface"),
    ("AddStackTemplate", "templateContent"),
    ("CreateResourceStack", "parameters"),
    ("CheckStackTemplateParameters", "uuid"),
    ("AddLdapServer", "description"),
    ("CreateDatabaseBackup", "description"),
    ("DeleteDatabaseBackup", "backupStorageUuids"),
];

/// Parameters with limits that the reference does not have: their other values cannot mean anything here.
pub const LIMITED: &[(&str, &str)] = &[
    ("AddImage", "format"),
    ("AddKVMHost", "username"),
    ("AttachNetworkServiceToL3Network", "networkServices"),
    ("CheckIpAvailability", "ip"),
    ("CreateInstanceOffering", "type"),
    ("CreateL3Network", "dnsDomain"),
    ("DetachNetworkServiceFromL3Network", "networkServices"),
    ("GetFreeIp", "limit"),
    ("LogInByAccount", "accountName"),
    ("LogInByAccount", "password"),
    ("UpdateImage", "format"),
    ("UpdateImage", "mediaType"),
    // The published client's, which a misread name lost.
    ("AddSecurityGroupRule", "remoteSecurityGroupUuids"),
    ("AttachPoliciesToUser", "policyUuids"),
    ("ReloadLicense", "managementNodeUuids"),
    ("ShareResource", "resourceUuids"),
];

/// Operations whose reply the reference has wrong or leaves half out, with what is right.
pub const REPLIES_OTHERWISE: &[(&str, &str)] = &[
    ("ExportImageFromBackupStorage", "the reference lists the error among the fields"),
    ("GetFreeIp", "`inventories`: several addresses are asked for"),
    ("GetL3NetworkDhcpIpAddress", "the reference lists the error's fields among the reply's"),
    ("GetTaskProgress", "`taskUuid` and `taskId`: the reference's example and its table differ"),
    ("IsReadyToGo", "`managementNodeId`, which the reference shows only in its example"),
];

/// A field that any reply with a list of candidates may have besides the published ones: what the list leaves out, and why.
pub const EXCLUSIONS: ReplyField =
    ReplyField { name: "details", holds: ReplyType::List(&ReplyType::Inventory("Exclusion")) };

/// Fields of inventories that are not shown; `*` stands for every inventory.
pub const UNSERVED_FIELDS: &[(&str, &str)] = &[
    // Secrets.
    ("*", "password"),
    ("*", "sshPassword"),
    ("*", "chapUserPassword"),
    ("*", "authKey"),
    // Network services are those of L3 networks.
    ("NetworkServiceProvider", "attachedL2NetworkUuids"),
    // A notification has nothing beside its arguments.
    ("Notification", "opaque"),
    // A page break in one of seven replies.
    ("IPsecPeerCidr", "l3NetworkUuid"),
];

/// A field's name where the scan has it wrong: `I` and `l` look alike, and so do others.
pub fn right_field(scanned: &str) -> String {
    let name = scanned.strip_prefix("I3").map_or(scanned.to_owned(), |rest| format!("l3{rest}"));
    let name = name.strip_suffix("lp").map_or(name.clone(), |rest| format!("{rest}Ip"));
    match name.as_str() {
        "apild" => "apiId".to_owned(),
        "userId" => "userUuid".to_owned(),
        "nextHop" => "nexthop".to_owned(),
        "attachedClusterUids" => "attachedClusterUuids".to_owned(),
        "managedCpuNumlong" => "managedCpuNum".to_owned(),
        _ => name,
    }
}

//! Where Gantry differs from the reference on purpose, and why.

/// Served names of operations, and the reference's: the published client's are served.
pub const RENAMED: &[(&str, &str)] = &[("LogInByAccount", "LoginByAccount"), ("LogInByUser", "LoginByUser")];

/// Served operations that the reference does not have.
pub const ADDED: &[&str] = &["CancelJob"];

/// Parameters whose names the scanned reference has wrong: operation, as scanned, as the published client sends it.
pub const MISREAD: &[(&str, &str, &str)] = &[];

/// Parameters that the published client sends and the reference lacks.
pub const CLIENT_ONLY: &[(&str, &str)] = &[];

/// Parameters of the reference that are not served: a page break gave them to the wrong operation.
pub const UNSERVED_PARAMETERS: &[(&str, &str)] = &[];

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
pub const OPTIONAL: &[(&str, &str)] = &[];

/// Parameters with limits of Gantry's own: their other values cannot mean anything here, or would be secrets in a log.
pub const LIMITED: &[(&str, &str)] = &[];

/// Operations whose reply the reference has wrong or leaves half out, with what is right.
pub const REPLIES_OTHERWISE: &[(&str, &str)] = &[];

/// Fields of inventories that are not shown; `*` stands for every inventory.
pub const UNSERVED_FIELDS: &[(&str, &str)] = &[
    // Secrets.
    ("*", "password"),
    ("*", "sshPassword"),
    ("*", "chapUserPassword"),
    ("*", "authKey"),
    // Images are not exported yet.
    ("Image", "exportUrl"),
    ("Image", "exportMd5Sum"),
    // Network services are those of L3 networks.
    ("NetworkServiceProvider", "attachedL2NetworkUuids"),
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

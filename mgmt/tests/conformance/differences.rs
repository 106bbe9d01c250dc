//! Where Gantry differs from the reference on purpose, and why.

/// Served names of operations, and the reference's: the published client's are served.
pub const RENAMED: &[(&str, &str)] = &[("LogInByAccount", "LoginByAccount"), ("LogInByUser", "LoginByUser")];

/// Parameters whose names the scanned reference has wrong: operation, as scanned, as the published client sends it.
pub const MISREAD: &[(&str, &str, &str)] = &[];

/// Parameters that the published client sends and the reference lacks.
pub const CLIENT_ONLY: &[(&str, &str)] = &[];

/// Parameters of the reference that are not served: a page break gave them to the wrong operation.
pub const UNSERVED_PARAMETERS: &[(&str, &str)] = &[];

/// Paths of the reference that are not served: they are another operation's.
pub const UNSERVED_PATHS: &[(&str, &str)] = &[
    ("DeleteLoadBalancer", "/load-balancers/listeners/{}"),
    ("DetachPolicyFromUser", "/accounts/groups/{}/policies/{}"),
];

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
];

/// A field's name where the scan has it wrong: `I` and `l` look alike, and so do others.
pub fn right_field(scanned: &str) -> String {
    let name = scanned.strip_prefix("I3").map_or(scanned.to_owned(), |rest| format!("l3{rest}"));
    let name = name.strip_suffix("lp").map_or(name.clone(), |rest| format!("{rest}Ip"));
    match name.as_str() {
        "apild" => "apiId".to_owned(),
        "taskId" => "taskUuid".to_owned(),
        "attachedClusterUids" => "attachedClusterUuids".to_owned(),
        "managedCpuNumlong" => "managedCpuNum".to_owned(),
        _ => name,
    }
}

//! The error shape of the API and the one table of its codes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of every error: `{"error": {…}}` holds one of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorCode {
    /// The stable code, such as `SYS.1007`.
    pub code: String,
    /// What the code means, the same for every error of that code.
    pub description: String,
    /// What was asked, what stood in the way, and what to do about it.
    pub details: String,
    /// What led to this error, where something did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<Box<ErrorCode>>,
    /// Machine-readable facts about the error.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub opaque: Option<Value>,
}

macro_rules! error_table {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $description:literal;)*) => {
        /// Every kind of error the API answers with. The code is stable, the status follows from it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorKind {
            $($(#[$doc])* $name,)*
        }

        impl ErrorKind {
            /// All kinds, in the order of the table.
            pub const ALL: &[ErrorKind] = &[$(Self::$name,)*];

            /// The stable code that clients match on.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status of a direct answer with this error. A failed job always answers 503.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// What the code means.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$name => $description,)* }
            }
        }
    };
}

error_table! {
    /// A fault of the node itself.
    Internal = "SYS.1000", 500, "An internal error of the management node";
    /// A deadline passed.
    Timeout = "SYS.1001", 503, "An operation did not end in time";
    /// The operation, or the way it is asked for, is not supported.
    NotSupported = "SYS.1002", 503, "The operation is not supported by this management node";
    /// The node is starting or has too much to do.
    Busy = "SYS.1003", 503, "The management node cannot take the request now";
    /// The query names what does not exist.
    InvalidQuery = "SYS.1006", 400, "The query is not valid";
    /// A parameter is missing or has a value it may not have.
    InvalidArgument = "SYS.1007", 400, "An argument is not valid";
    /// Something else depends on the resource.
    ResourceInUse = "SYS.1008", 503, "The resource is in use";
    /// A named resource does not exist.
    ResourceNotFound = "SYS.1009", 503, "The resource does not exist";
    /// The resource is not in a state that allows the operation.
    StateForbids = "SYS.1010", 503, "The resource's state does not allow the operation";
    /// The operation was refused by a rule other than state or use.
    Refused = "SYS.1011", 503, "The operation was refused";
    /// The same thing exists already.
    Duplicate = "SYS.1012", 503, "The resource exists already";
    /// The path is unknown.
    UnknownPath = "SYS.1404", 404, "There is no such API path";
    /// The path exists for other methods.
    WrongMethod = "SYS.1405", 405, "The path does not take this HTTP method";
    /// A body did not arrive in time.
    RequestTimeout = "SYS.1408", 408, "The request did not arrive in time";
    /// A body is larger than bodies may be.
    BodyTooLarge = "SYS.1413", 413, "The body of the request is too large";
    /// The operation was cancelled.
    Cancelled = "SYS.1013", 503, "The operation was cancelled";
    /// The operation is declared but not carried out yet. Clients expect 503 of an operation that failed.
    NotYet = "SYS.1014", 503, "This version does not carry out the operation yet";

    /// Wrong name or password.
    Authentication = "ID.1000", 503, "Authentication failed";
    /// An unknown or expired session.
    InvalidSession = "ID.1001", 503, "The session is unknown or expired";
    /// The call carries no session.
    MissingSession = "ID.1003", 400, "The call carries no session";
    /// The session's account may not do this.
    PermissionDenied = "ID.1002", 503, "The account may not do this";

    /// No host can take the VM.
    NoHostCapacity = "HOST_ALLOCATION.1001", 503, "No host can take the VM";
    /// The host's stream is down.
    HostDisconnected = "HOST.1000", 503, "The host is not connected";
    /// SSH to the host failed.
    HostUnreachable = "HOST.1001", 503, "The host cannot be reached";
    /// SSH login failed.
    HostLogin = "HOST.1002", 503, "The login on the host failed";
    /// The host lacks what a KVM host needs.
    HostUnfit = "HOST.1003", 503, "The host does not meet the requirements";
    /// The host's SSH key is not the one seen before.
    HostKeyChanged = "HOST.1004", 503, "The host's SSH key has changed";
    /// Another management node runs the host.
    HostOwned = "HOST.1005", 503, "The host belongs to another management node";
    /// A step of setting up the host failed.
    HostSetup = "HOST.1006", 503, "Setting up the host failed";
    /// The agent refused or failed a command.
    HostCommand = "HOST.1007", 503, "The host could not carry out the operation";

    /// No address left or the asked one taken.
    NoAddress = "L3.1000", 503, "No IP address could be allocated";
    /// No storage has the room.
    NoStorageCapacity = "PS.1000", 503, "No primary storage has the capacity";
    /// An image could not be added.
    ImageDownload = "IMAGE.1000", 503, "The image could not be added";
}

impl ErrorKind {
    /// The wire form with its details.
    pub fn with(self, details: impl Into<String>) -> ErrorCode {
        ErrorCode {
            code: self.code().to_owned(),
            description: self.description().to_owned(),
            details: details.into(),
            cause: None,
            opaque: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_stands_once_in_the_table() {
        let codes: HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
    }
}

//! Commands about the connection itself. The transport answers them, the same for every [`super::HostAgent`].

use serde::{Deserialize, Serialize};

use super::Command;
use crate::id::OperationId;

/// Cancels the command with this id, if it still runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CancelOperation {
    /// The command to cancel.
    pub target: OperationId,
}

impl Command for CancelOperation {
    const NAME: &'static str = "cancel_operation";
    type Reply = ();
}

/// Asks for a signing request for the host's next certificate. The key is made on the host and stays there.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RequestCertificate {}

/// A signing request (PKCS #10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRequest {
    /// The request in PEM.
    pub csr_pem: String,
}

impl Command for RequestCertificate {
    const NAME: &'static str = "request_certificate";
    type Reply = CertificateRequest;
}

/// Replaces the host's certificate by one that answers its last [`RequestCertificate`]. Connections made afterwards
/// use it; those that exist go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InstallCertificate {
    /// The host's certificate in PEM.
    pub certificate_pem: String,
    /// The certificates of the authorities the host trusts, in PEM.
    pub ca_pem: String,
}

impl Command for InstallCertificate {
    const NAME: &'static str = "install_certificate";
    type Reply = ();
}

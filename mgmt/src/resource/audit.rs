//! Who called what.

use gantry_common::id::{AccountUuid, AuditUuid, JobUuid};

use super::Declaration;
use crate::{clock::Timestamp, resource, text_enum};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] = &[AuditedCall::declaration];

text_enum! {
    /// What became of a call.
    AuditState {
        /// Its job has not ended.
        Running = "Running",
        /// It was carried out.
        Succeeded = "Succeeded",
        /// It failed, and nothing of it is left.
        Failed = "Failed",
        /// It was not admitted.
        Refused = "Refused",
    }
}

resource! {
    /// A call that changes something, or that was refused.
    AuditedCall, table "audit", class "", account "account_uuid" {
        /// Its id.
        uuid: AuditUuid,
        /// Whose call it was; nobody's where nobody had logged in.
        account_uuid: Option<AccountUuid>,
        /// Tells the calls of one session from those of others. It is made from the session's id and is none itself.
        session_mark: Option<String>,
        /// The operation.
        api_name: String,
        /// The ids of what it was about and of what it made, with commas between them.
        resource_uuids: Option<String>,
        /// Where it came from; from nowhere where the node itself began it for the account, as long jobs are.
        client_address: Option<String>,
        /// Its job, where it has one.
        job_uuid: Option<JobUuid>,
        /// What became of it.
        state: AuditState,
        /// The code of its error.
        error_code: Option<String>,
        /// How long it took, in milliseconds.
        duration: Option<u64>,
        /// When it was accepted or refused.
        create_date: Timestamp,
        /// When this last changed.
        last_op_date: Timestamp,
    }
    hidden {
        /// Whether its reply names what it made.
        makes: bool,
    }
    relations {
        "account" => Account(account_uuid = uuid);
    }
}

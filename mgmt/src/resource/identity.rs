//! Accounts and sessions.

use gantry_common::id::{AccountUuid, SessionUuid, UserUuid};

use super::Declaration;
use crate::{clock::Timestamp, resource};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] = &[Account::declaration, Session::declaration];

resource! {
    /// Who owns resources.
    Account, table "account", class "org.zstack.header.identity.AccountInventory" {
        /// Its id.
        uuid: AccountUuid,
        /// Its name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// `SystemAdmin` or `Normal`.
        kind as "type": String,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    hidden {
        /// The Argon2 hash of what clients send as the password.
        password_hash: String,
    }
}

resource! {
    /// A login.
    Session, table "session", class "org.zstack.header.identity.SessionInventory" {
        /// Its id, which callers show.
        uuid: SessionUuid,
        /// Whose it is.
        account_uuid: AccountUuid,
        /// The account's user; the account itself where it has none.
        user_uuid: UserUuid,
        /// When it ends unless it is used.
        expired_date: Timestamp,
        /// When it began.
        create_date: Timestamp,
    }
}

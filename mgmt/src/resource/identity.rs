//! Accounts and sessions.

use gantry_common::id::{AccountUuid, ResourceUuid, SessionUuid, UserUuid};

use super::Declaration;
use crate::{clock::Timestamp, resource, text_enum};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] =
    &[Account::declaration, Session::declaration, AccountResourceRef::declaration, SharedResource::declaration];

text_enum! {
    /// What an account may do.
    AccountType {
        /// Everything, with everything that is there.
        SystemAdmin = "SystemAdmin",
        /// What accounts may do, with what is its own.
        Normal = "Normal",
    }
}

resource! {
    /// Who owns resources.
    Account, table "account", class "org.zstack.header.identity.AccountInventory", account "uuid" {
        /// Its id.
        uuid: AccountUuid,
        /// Its name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// What it may do.
        kind as "type": AccountType,
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
    Session, table "session", class "org.zstack.header.identity.SessionInventory", account "account_uuid" {
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

resource! {
    /// An account owns a resource.
    AccountResourceRef, table "account_resource_ref", class "org.zstack.header.identity.AccountResourceRefInventory",
        account "account_uuid" {
        /// The resource.
        resource_uuid: ResourceUuid,
        /// The account.
        account_uuid: AccountUuid,
        /// The resource's type, such as `VmInstanceVO`.
        resource_type: String,
        /// Since when it owns something there.
        create_date: Timestamp,
        /// When the resource last changed hands.
        last_op_date: Timestamp,
    }
    relations {
        "account" => Account(account_uuid = uuid);
    }
}

resource! {
    /// A resource is shared with an account, or with all.
    SharedResource, table "shared_resource", class "org.zstack.header.identity.SharedResourceInventory",
        account "owner_account_uuid" "receiver_account_uuid" {
        /// The resource.
        resource_uuid: ResourceUuid,
        /// Whose it is.
        owner_account_uuid: AccountUuid,
        /// Who may use it; nobody in particular where it is for all.
        receiver_account_uuid: Option<AccountUuid>,
        /// Whether all may use it.
        to_public: bool,
        /// The resource's type, such as `ImageVO`.
        resource_type: String,
        /// When it was shared.
        create_date: Timestamp,
        /// When this last changed.
        last_op_date: Timestamp,
    }
}

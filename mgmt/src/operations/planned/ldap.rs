//! 9.4: LDAP.

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
    /// Adds an LDAP server.
    AddLdapServer, "9.4.1", Post "/ldap/servers", Job -> LdapServer; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its address.
        url: String, max_length 1024;
        /// The distinguished name that searches begin at.
        base: String, max_length 1024;
        /// The user.
        username: String, max_length 1024;
        /// The password.
        password: Secret, max_length 1024;
        /// How the connection is encrypted.
        encryption: String, values &["None", "TLS"], max_length 1024;
    }

    /// Deletes an LDAP server.
    DeleteLdapServer, "9.4.2", Delete "/ldap/servers/{uuid}", Job; {
        /// The server.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries LDAP servers.
    QueryLdapServer, "9.4.3", Get "/ldap/servers" | "/ldap/servers/{uuid}", Sync -> [LdapServer]; {}

    /// Updates an LDAP server.
    UpdateLdapServer, "9.4.4", Put "/ldap/servers/{ldapServerUuid}", Job -> LdapServer; {
        /// The LDAP server.
        ldap_server_uuid: Uuid, max_length 32;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its address.
        url: Option<String>, max_length 1024;
        /// The distinguished name that searches begin at.
        base: Option<String>, max_length 1024;
        /// The user.
        username: Option<String>, max_length 1024;
        /// The password.
        password: Option<Secret>, max_length 1024;
        /// How the connection is encrypted.
        encryption: Option<String>, values &["None", "TLS"], max_length 1024;
    }

    /// Binds an LDAP entry to an account.
    CreateLdapBinding, "9.4.5", Post "/ldap/bindings", Job -> LdapAccountRef; {
        /// The unique id of the LDAP entry.
        ldap_uid: String, max_length 255;
        /// The account.
        account_uuid: Uuid, max_length 32;
    }

    /// Deletes a binding of an LDAP entry to an account.
    DeleteLdapBinding, "9.4.6", Delete "/ldap/bindings/{uuid}", Job; {
        /// The binding.
        uuid: Uuid, max_length 32;
    }

    /// Queries bindings of LDAP entries to accounts.
    QueryLdapBinding, "9.4.7", Get "/ldap/bindings" | "/ldap/bindings/{uuid}", Sync -> [LdapAccountRef]; {}

    /// Deletes the bindings whose LDAP entries are gone.
    CleanInvalidLdapBinding, "9.4.8", Put "/ldap/bindings/actions", Job -> [LdapAccountRef]; {}

    /// Begins the session of an account that is bound to an LDAP entry.
    LoginByLdap, "9.4.9",
        Put "/ldap/login",
        Sync -> {
            success: bool, inventory: Session, accountInventory: Account,
        }, open true, body_keys &["logInByLdap"]; {
        /// The user's unique id in LDAP.
        uid: String;
        /// The password.
        password: Secret;
        /// A captcha's id.
        captcha_uuid: Option<Uuid>;
        /// The answer to the captcha.
        verify_code: Option<Secret>;
    }

    /// Lists the entries of the LDAP server.
    GetLdapEntry, "9.4.10", Get "/ldap/entry", Sync -> { inventories: [Json] }; {
        /// The LDAP filter.
        ldap_filter: String;
        /// How many at the most.
        limit: Option<i32>, range 1..=2_147_483_647;
    }

    /// Lists the LDAP entries that can be bound to an account.
    GetCandidateLdapEntryForBinding, "9.4.11", Get "/ldap/entries/candidates", Sync -> { inventories: [Json] }; {
        /// The LDAP filter.
        ldap_filter: String;
        /// How many at the most.
        limit: Option<i32>, range 1..=2_147_483_647;
    }
}

inventories! {
    /// An LDAP server.
    LdapServer {
        uuid: Uuid, name: String, description: String, url: String, base: String, username: String,
        encryption: String, createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// An LDAP entry is bound to an account.
    LdapAccountRef {
        uuid: Uuid, ldapUid: String, ldapServerUuid: Uuid, accountUuid: Uuid, createDate: Timestamp,
        lastOpDate: Timestamp, name: String, description: String, type: String,
    }
}

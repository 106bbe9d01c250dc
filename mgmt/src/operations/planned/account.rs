//! 9.1: accounts, sharing, quotas and sessions.

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
    /// Creates an account.
    CreateAccount, "9.1.1", Post "/accounts", Job -> Account; {
        /// Its name.
        name: String, max_length 255;
        /// The SHA-512 digest of its password.
        password: Secret, max_length 255;
        /// Its type.
        kind as "type": Option<String>, values &["SystemAdmin", "Normal"];
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes an account.
    DeleteAccount, "9.1.2", Delete "/accounts/{uuid}", Job; {
        /// The account.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries accounts.
    QueryAccount, "9.1.3", Get "/accounts" | "/accounts/{uuid}", Sync -> [Account]; {}

    /// Updates an account.
    UpdateAccount, "9.1.4", Put "/accounts/{uuid}", Job -> Account; {
        /// The account.
        uuid: Uuid;
        /// The SHA-512 digest of the new password.
        password: Option<Secret>, max_length 255;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Makes a captcha for a login.
    GetLoginCaptcha, "9.1.6",
        Get "/login/control/captcha", Sync -> { captchaUuid: Uuid, captcha: String, success: bool }, open true; {
        /// The account's or user's name.
        resource_name: String;
        /// The kind of login.
        login_type: String;
        /// A captcha's id.
        captcha_uuid: Option<Uuid>;
    }

    /// Replaces a captcha by another one.
    RefreshCaptcha, "9.1.7",
        Get "/captcha/refresh", Sync -> { captchaUuid: Uuid, captcha: String, success: bool }, open true; {
        /// The captcha.
        uuid: Uuid;
    }

    /// Reads the secret from which the second factor of a login is made.
    GetTwoFactorAuthenticationSecret, "9.1.8",
        Get "/twofactorauthentication/secret", Sync -> TwoFactorAuthenticationSecret, open true; {
        /// Its name.
        name: String, nonempty true;
        /// The password.
        password: Secret, nonempty true;
        /// Its type.
        kind as "type": String, values &["account", "iam2"], nonempty true;
        /// A captcha's id.
        captcha_uuid: Option<Uuid>;
        /// The answer to the captcha.
        verify_code: Option<Secret>;
    }

    /// Reads whether logins need a second factor.
    GetTwoFactorAuthenticationState, "9.1.9",
        Get "/twofactorauthentication/state", Sync -> { state: String }, open true; {}

    /// Reads how much of its quota an account uses.
    GetAccountQuotaUsage, "9.1.10", Get "/accounts/quota/{uuid}/usages", Sync -> { usages: [QuotaUsage] }; {
        /// The account.
        uuid: Uuid;
    }

    /// Queries which account owns which resource.
    QueryAccountResourceRef, "9.1.11", Get "/accounts/resources/refs", Sync -> [AccountResourceRef]; {}

    /// Shares resources with accounts.
    ShareResource, "9.1.12", Put "/accounts/resources/actions", Job; {
        /// Whether it is for all accounts.
        to_public: Option<bool>;
        /// The resources.
        resource_uuids: Vec<Uuid>, nonempty true;
        /// The accounts.
        account_uuids: Option<Vec<Uuid>>;
    }

    /// Queries quotas.
    QueryQuota, "9.1.33", Get "/accounts/quotas", Sync -> [Quota]; {}

    /// Changes the quota of an account.
    UpdateQuota, "9.1.34", Put "/accounts/quotas/actions", Job -> Quota; {
        /// The account or user.
        identity_uuid: Uuid;
        /// The quota's name.
        name: String;
        /// The new limit.
        value: i64;
    }

    /// Reads the names of resources.
    GetResourceNames, "9.1.35", Get "/resources/names", Sync -> [ResourceName]; {
        /// The resources.
        uuids: Vec<Uuid>, nonempty true;
    }

    /// Queries which resources are shared with whom.
    QuerySharedResource, "9.1.36", Get "/accounts/resources", Sync -> [SharedResource]; {}

    /// Ends the sharing of resources.
    RevokeResourceSharing, "9.1.37", Put "/accounts/resources/actions", Job; {
        /// The resources.
        resource_uuids: Vec<Uuid>, nonempty true;
        /// Whether it is for all accounts.
        to_public: Option<bool>;
        /// The accounts.
        account_uuids: Option<Vec<Uuid>>;
        /// Whether all are meant.
        all: Option<bool>;
    }

    /// Gives a resource to another account.
    ChangeResourceOwner, "9.1.38", Post "/account/{accountUuid}/resources", Job -> AccountResourceRef; {
        /// The account.
        account_uuid: Uuid;
        /// The resource.
        resource_uuid: Uuid;
    }

    /// Reads which operations the caller may use.
    CheckApiPermission, "9.1.39", Put "/accounts/permissions/actions", Sync -> { inventory: (String) }; {
        /// The user.
        user_uuid: Option<Uuid>;
        /// The names of the operations.
        api_names: Vec<String>, nonempty true;
    }

    /// Makes a session last longer.
    RenewSession, "9.1.41", Put "/accounts/sessions/{sessionUuid}/renew", Job -> Session; {
        /// The session.
        session_uuid: Uuid;
        /// How long, in seconds.
        duration: Option<i64>, range 60..=31_536_000;
    }
}

inventories! {
    /// The secret from which the second factor of a login is made.
    TwoFactorAuthenticationSecret {
        uuid: Uuid, secret: String, resourceUuid: Uuid, resourceType: String, createDate: Timestamp,
        lastOpDate: Timestamp,
    }

    /// How much of a quota is used.
    QuotaUsage {
        name: String, total: i64, used: i64,
    }

    /// An account owns a resource.
    AccountResourceRef {
        accountUuid: Uuid, resourceUuid: Uuid, resourceType: String, createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// A quota.
    Quota {
        name: String, identityUuid: Uuid, identityType: String, value: i64, lastOpDate: Timestamp,
        createDate: Timestamp,
    }

    /// A resource's name.
    ResourceName {
        uuid: Uuid, resourceName: String, resourceType: String,
    }

    /// A resource is shared with an account.
    SharedResource {
        ownerAccountUuid: Uuid, receiverAccountUuid: Uuid, toPublic: bool, resourceType: String, resourceUuid: Uuid,
        lastOpDate: Timestamp, createDate: Timestamp,
    }
}

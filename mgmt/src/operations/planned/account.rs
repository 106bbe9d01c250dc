//! 9.1: accounts, sharing, quotas and sessions.

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
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

    /// Reads which operations the caller may use.
    CheckApiPermission, "9.1.39", Put "/accounts/permissions/actions", Sync -> { inventory: (String) }; {
        /// The user.
        user_uuid: Option<Uuid>;
        /// The names of the operations.
        api_names: Vec<String>, nonempty true;
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

    /// A quota.
    Quota {
        name: String, identityUuid: Uuid, identityType: String, value: i64, lastOpDate: Timestamp,
        createDate: Timestamp,
    }

    /// A resource's name.
    ResourceName {
        uuid: Uuid, resourceName: String, resourceType: String,
    }
}

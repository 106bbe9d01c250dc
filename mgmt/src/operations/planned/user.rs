//! 9.1: users, user groups and policies.

use uuid::Uuid;

use super::Object;
use crate::{inventories, planned, secret::Secret};

planned! {
    /// Creates a user group.
    CreateUserGroup, "9.1.13", Post "/accounts/groups", Job -> UserGroup; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a user group.
    DeleteUserGroup, "9.1.14", Delete "/accounts/groups/{uuid}", Job; {
        /// The user group.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries user groups.
    QueryUserGroup, "9.1.15", Get "/accounts/groups" | "/accounts/groups/{uuid}", Sync -> [UserGroup]; {}

    /// Updates a user group.
    UpdateUserGroup, "9.1.16", Put "/accounts/groups/actions", Job -> UserGroup; {
        /// The user group.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Puts a user into a user group.
    AddUserToGroup, "9.1.17", Post "/accounts/groups/{groupUuid}/users", Job; {
        /// The group.
        group_uuid: Uuid;
        /// The user.
        user_uuid: Uuid;
    }

    /// Attaches a policy to a user group.
    AttachPolicyToUserGroup, "9.1.18", Post "/accounts/groups/{groupUuid}/policies", Job; {
        /// The policy.
        policy_uuid: Uuid;
        /// The group.
        group_uuid: Uuid;
    }

    /// Detaches a policy from a user group.
    DetachPolicyFromUserGroup, "9.1.19", Delete "/accounts/groups/{groupUuid}/policies/{policyUuid}", Job; {
        /// The policy.
        policy_uuid: Uuid;
        /// The group.
        group_uuid: Uuid;
    }

    /// Takes a user out of a user group.
    RemoveUserFromGroup, "9.1.20", Delete "/accounts/groups/{groupUuid}/users/{userUuid}", Job; {
        /// The user.
        user_uuid: Uuid;
        /// The group.
        group_uuid: Uuid;
    }

    /// Creates a user.
    CreateUser, "9.1.21", Post "/accounts/users", Job -> User; {
        /// Its name.
        name: String, max_length 255;
        /// The SHA-512 digest of the password.
        password: Secret, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a user.
    DeleteUser, "9.1.22", Delete "/accounts/users/{uuid}", Job; {
        /// The user.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries users.
    QueryUser, "9.1.23", Get "/accounts/users" | "/accounts/users/{uuid}", Sync -> [User]; {}

    /// Updates a user.
    UpdateUser, "9.1.24", Put "/accounts/users/actions", Job -> User; {
        /// The user.
        uuid: Option<Uuid>;
        /// The SHA-512 digest of the new password.
        password: Option<Secret>, max_length 255;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Begins a user's session.
    LogInByUser, "9.1.25",
        Put "/accounts/users/login", Sync -> Session, open true, body_keys &["logInByUser", "loginByUser"]; {
        /// The account.
        account_uuid: Option<Uuid>;
        /// The account's name.
        account_name: Option<String>;
        /// The user.
        user_name: String;
        /// The SHA-512 digest of the password.
        password: Secret;
    }

    /// Attaches a policy to a user.
    AttachPolicyToUser, "9.1.26", Post "/accounts/users/{userUuid}/policies", Job; {
        /// The user.
        user_uuid: Uuid;
        /// The policy.
        policy_uuid: Uuid;
    }

    /// Detaches a policy from a user.
    DetachPolicyFromUser, "9.1.27", Delete "/accounts/users/{userUuid}/policies/{policyUuid}", Job; {
        /// The policy.
        policy_uuid: Uuid;
        /// The user.
        user_uuid: Uuid;
    }

    /// Attaches policies to a user.
    AttachPoliciesToUser, "9.1.28", Post "/accounts/users/{userUuid}/policy-collection", Job; {
        /// The user.
        user_uuid: Uuid;
        /// The policies.
        policy_uuids: Vec<Uuid>, nonempty true;
    }

    /// Detaches policies from a user.
    DetachPoliciesFromUser, "9.1.29", Delete "/accounts/users/{userUuid}/policies", Job; {
        /// The policies.
        policy_uuids: Vec<Uuid>;
        /// The user.
        user_uuid: Uuid;
    }

    /// Creates a policy.
    CreatePolicy, "9.1.30", Post "/accounts/policies", Job -> Policy; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// What it allows or denies.
        statements: Vec<Object>, nonempty true;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a policy.
    DeletePolicy, "9.1.31", Delete "/accounts/policies/{uuid}", Job; {
        /// The policy.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries policies.
    QueryPolicy, "9.1.32", Get "/accounts/policies" | "/accounts/policies/{uuid}", Sync -> [Policy]; {}
}

inventories! {
    /// A user group.
    UserGroup {
        uuid: Uuid, accountUuid: Uuid, name: String, description: String, createDate: Timestamp,
        lastOpDate: Timestamp,
    }

    /// A user.
    User {
        uuid: Uuid, accountUuid: Uuid, name: String, description: String, createDate: Timestamp,
        lastOpDate: Timestamp,
    }

    /// A policy.
    Policy {
        name: String, uuid: Uuid, accountUuid: Uuid, statements: [PolicyStatement],
    }

    /// What a policy allows or denies.
    PolicyStatement {
        name: String, principals: [String], actions: [String], resources: [String], effect: String,
    }
}

//! 11.2: tags.

use uuid::Uuid;

use crate::planned;

planned! {
    /// Puts a system tag on a resource.
    CreateSystemTag, "11.2.1", Post "/system-tags", Job -> SystemTag; {
        /// The type of the resource.
        resource_type: String;
        /// The resource.
        resource_uuid: Uuid;
        /// The tag.
        tag: String;
    }

    /// Changes a system tag.
    UpdateSystemTag, "11.2.3", Put "/system-tags/{uuid}/actions", Job -> SystemTag; {
        /// The tag.
        uuid: Uuid;
        /// The new tag.
        tag: String;
    }

    /// Puts a user tag on a resource.
    CreateUserTag, "11.2.4", Post "/user-tags", Job -> UserTag; {
        /// The type of the resource.
        resource_type: String;
        /// The resource.
        resource_uuid: Uuid;
        /// The tag.
        tag: String;
    }

    /// Deletes a tag.
    DeleteTag, "11.2.6", Delete "/tags/{uuid}", Job; {
        /// The tag.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

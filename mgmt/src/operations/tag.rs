//! 11.2: tags.

use gantry_common::id::TagUuid;
use serde_json::Value;

use super::making::made;
use crate::{
    api::{Operation, job, query},
    failure::Failure,
    job::{JobOperation, Step},
    operation,
    query::inventory_reply,
    resource::{SystemTag, UserTag},
    store::Tx,
    tags,
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<CreateSystemTag>(),
        query::<QuerySystemTag>(SystemTag::declaration),
        job::<UpdateSystemTag>(),
        job::<CreateUserTag>(),
        query::<QueryUserTag>(UserTag::declaration),
        job::<DeleteTag>(),
    ]
}

operation! {
    /// Gives a resource a tag that means something to the node.
    CreateSystemTag, "11.2.1", Post "/system-tags", Job -> SystemTag; {
        /// The resource's type, such as `HostVO`.
        resource_type: String;
        /// The resource.
        resource_uuid: String, own true;
        /// The tag, such as `reservedMemory::1G`.
        tag: String;
    }
}

impl JobOperation for CreateSystemTag {
    type State = Option<TagUuid>;

    fn locks(&self) -> Vec<String> {
        vec![self.resource_uuid.clone()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("give the tag", |tx, run| {
            let (params, settings) = (run.params, run.node.settings.now());
            let made = tags::create_system(tx, &settings, &params.resource_type, &params.resource_uuid, &params.tag)?;
            *run.state = Some(made);
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Self::State) -> Result<Value, Failure> {
        made::<SystemTag>(tx, *state)
    }
}

operation! {
    /// Queries system tags.
    QuerySystemTag, "11.2.2", Get "/system-tags" | "/system-tags/{uuid}", Sync -> [SystemTag]; {}
}

operation! {
    /// Changes what varies in a system tag.
    UpdateSystemTag, "11.2.3", Put "/system-tags/{uuid}/actions", Job -> SystemTag; {
        /// The tag.
        uuid: TagUuid;
        /// What it becomes; it stays of its kind.
        tag: String;
    }
}

impl JobOperation for UpdateSystemTag {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("change the tag", |tx, run| {
            tags::update_system(tx, &run.node.settings.now(), run.params.uuid, &run.params.tag)
        })]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        inventory_reply::<SystemTag>(tx, self.uuid)
    }
}

operation! {
    /// Gives a resource a tag that means something to its user.
    CreateUserTag, "11.2.4", Post "/user-tags", Job -> UserTag; {
        /// The resource's type, such as `DiskOfferingVO`.
        resource_type: String;
        /// The resource.
        resource_uuid: String, own true;
        /// The tag.
        tag: String;
    }
}

impl JobOperation for CreateUserTag {
    type State = Option<TagUuid>;

    fn locks(&self) -> Vec<String> {
        vec![self.resource_uuid.clone()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("give the tag", |tx, run| {
            let params = run.params;
            *run.state = Some(tags::create_user(tx, &params.resource_type, &params.resource_uuid, &params.tag)?);
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Self::State) -> Result<Value, Failure> {
        made::<UserTag>(tx, *state)
    }
}

operation! {
    /// Queries user tags.
    QueryUserTag, "11.2.5", Get "/user-tags" | "/user-tags/{uuid}", Sync -> [UserTag]; {}
}

operation! {
    /// Takes a system or user tag away.
    DeleteTag, "11.2.6", Delete "/tags/{uuid}", Job; {
        /// The tag.
        uuid: TagUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

impl JobOperation for DeleteTag {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("take the tag away", |tx, run| tags::delete(tx, &run.node.settings.now(), run.params.uuid))]
    }
}

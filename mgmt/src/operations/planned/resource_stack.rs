//! 8.2: resource stacks.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Adds a stack template.
    AddStackTemplate, "8.2.1", Post "/cloudformation/template", Job -> StackTemplate; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its type.
        kind as "type": Option<String>, values &["zstack"];
        /// The text of the template.
        template_content: Option<String>, max_length 4_194_304;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a stack template.
    DeleteStackTemplate, "8.2.2", Delete "/cloudformation/template/{uuid}", Job; {
        /// The stack template.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries stack templates.
    QueryStackTemplate, "8.2.3",
        Get "/cloudformation/template" | "/cloudformation/template/{uuid}", Sync -> [StackTemplate]; {}

    /// Updates a stack template.
    UpdateStackTemplate, "8.2.4", Put "/cloudformation/template/{uuid}/actions", Job -> StackTemplate; {
        /// The stack template.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The state.
        state: Option<bool>;
        /// The text of the template.
        template_content: Option<String>, max_length 4_194_304;
    }

    /// Lists the resources that stack templates can hold.
    GetSupportedCloudFormationResources, "8.2.5",
        Get "/cloudformation/resources", Sync -> { resources: [StackResourceType] }; {
        /// The version of the format.
        version: Option<String>, values &["v1"];
        /// Its type.
        kind as "type": Option<String>, values &["zstack"];
    }

    /// Creates a resource stack.
    CreateResourceStack, "8.2.6", Post "/cloudformation/stack", Job -> ResourceStack; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Its type.
        kind as "type": Option<String>, values &["zstack"];
        /// Whether everything is undone when a part fails.
        rollback: Option<bool>;
        /// The text of the template.
        template_content: Option<String>, max_length 4_194_304;
        /// The stack template.
        template_uuid: Option<Uuid>;
        /// The parameters.
        parameters: Option<String>, max_length 524_288;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Lists what a stack template would make.
    PreviewResourceStack, "8.2.7", Post "/cloudformation/stack/preview", Sync -> { preview: StackPreview }; {
        /// Its type.
        kind as "type": Option<String>, values &["zstack"];
        /// The text of the template.
        template_content: Option<String>, max_length 4_194_304;
        /// The stack template.
        uuid: Option<Uuid>;
        /// The parameters.
        parameters: Option<String>, max_length 524_288;
    }

    /// Deletes a resource stack.
    DeleteResourceStack, "8.2.8", Delete "/cloudformation/stack/{uuid}", Job; {
        /// The resource stack.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Updates a resource stack.
    UpdateResourceStack, "8.2.9", Put "/cloudformation/stack/{uuid}/actions", Job -> ResourceStack; {
        /// The resource stack.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Whether everything is undone when a part fails.
        rollback: Option<bool>;
        /// The text of the template.
        template_content: Option<String>, max_length 4_194_304;
        /// The parameters.
        parameters: Option<String>, max_length 524_288;
    }

    /// Queries resource stacks.
    QueryResourceStack, "8.2.10",
        Get "/cloudformation/stack" | "/cloudformation/stack/{uuid}", Sync -> [ResourceStack]; {}

    /// Lists the resources of a resource stack.
    GetResourceFromResourceStack, "8.2.11", Get "/cloudformation/stack/resources", Sync -> { resources: [Json] }; {
        /// The resource stack.
        uuid: Uuid;
    }

    /// Queries the events of resource stacks.
    QueryEventFromResourceStack, "8.2.12",
        Get "/cloudformation/event" | "/cloudformation/event/{uuid}", Sync -> [ResourceStackEvent]; {}

    /// Makes a failed resource stack anew.
    RestartResourceStack, "8.2.13", Put "/cloudformation/stack/{uuid}/actions", Job -> ResourceStack; {
        /// The resource stack.
        uuid: Uuid;
    }

    /// Lists the parameters of a stack template.
    CheckStackTemplateParameters, "8.2.14",
        Post "/cloudformation/stack/check", Sync -> { parametes: [StackParameter] }; {
        /// Its type.
        kind as "type": Option<String>, values &["zstack"];
        /// The text of the template.
        template_content: Option<String>, max_length 4_194_304;
        /// The stack template.
        uuid: Option<Uuid>;
    }
}

inventories! {
    /// A stack template.
    StackTemplate {
        uuid: Uuid, name: String, description: String, type: String, version: String, state: bool, content: String,
        md5sum: String, createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// A kind of resource that stack templates can hold.
    StackResourceType {
        name: String, type: String, actionName: String, resources: [StackResourceType],
    }

    /// A resource stack.
    ResourceStack {
        uuid: Uuid, name: String, description: String, version: String, type: String, templateContent: String,
        paramContent: String, status: String, reason: String, enableRollback: bool, createDate: Timestamp,
        lastOpDate: Timestamp,
    }

    /// What a stack template would make.
    StackPreview {
        actions: [StackAction],
    }

    /// A step of making a resource stack.
    StackAction {
        resourceName: String, actionName: String, round: i64, inDegree: [String], actions: Json,
    }

    /// An event of a resource stack.
    ResourceStackEvent {
        id: i64, description: String, action: String, content: String, resourceName: String, actionStatus: String,
        stackUuid: Uuid, duration: String, createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// A parameter of a stack template.
    StackParameter {
        paramName: String, type: String, defaultValue: String, description: String, noEcho: bool, label: String,
        constraintDescription: String, resourceType: String,
    }
}

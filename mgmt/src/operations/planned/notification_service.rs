//! 8.1.2: notification topics, platforms and endpoints.

use uuid::Uuid;

use crate::{inventories, planned, secret::Secret};

planned! {
    /// Creates a notification topic.
    CreateSNSTopic, "8.1.2.1", Post "/sns/topics", Job -> SNSTopic; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes a notification topic.
    DeleteSNSTopic, "8.1.2.2", Delete "/sns/topics/{uuid}", Job; {
        /// The topic.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Enables or disables a notification topic.
    ChangeSNSTopicState, "8.1.2.3", Put "/zwatch/topics/{uuid}/actions", Job -> SNSTopic; {
        /// The topic.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }

    /// Updates a notification topic.
    UpdateSNSTopic, "8.1.2.4", Put "/sns/topics/{uuid}/actions", Job -> SNSTopic; {
        /// The topic.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Queries notification topics.
    QuerySNSTopic, "8.1.2.5", Get "/sns/topics" | "/sns/topics/{uuid}", Sync -> [SNSTopic]; {}

    /// Creates an email platform.
    CreateSNSEmailPlatform, "8.1.2.6", Post "/sns/application-platforms/email", Job -> SNSApplicationPlatform; {
        /// The mail server.
        smtp_server: String;
        /// The mail server's port.
        smtp_port: i32, range 1..=65_535;
        /// The user.
        username: Option<String>;
        /// The password.
        password: Option<Secret>;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
        /// How the connection is encrypted.
        encrypt_type: Option<String>, values &["SSL", "STARTTLS", "NONE"];
    }

    /// Tests whether the mail server of an email platform can be used.
    ValidateSNSEmailPlatform, "8.1.2.7", Put "/sns/application-platforms/email/{uuid}/actions", Job; {
        /// The email platform.
        uuid: Uuid;
    }

    /// Deletes a notification platform.
    DeleteSNSApplicationPlatform, "8.1.2.8", Delete "/sns/application-platforms/{uuid}", Job; {
        /// The platform.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries email platforms.
    QuerySNSEmailPlatform, "8.1.2.9",
        Get "/sns/application-platforms/email" | "/sns/application-platforms/email/{uuid}",
        Sync -> [SNSEmailPlatform]; {}

    /// Updates a notification platform.
    UpdateSNSApplicationPlatform, "8.1.2.10",
        Put "/sns/application-platforms/{uuid}/actions", Job -> SNSApplicationPlatform; {
        /// The platform.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Queries notification platforms.
    QuerySNSApplicationPlatform, "8.1.2.11",
        Get "/sns/application-platforms" | "/sns/application-platforms/{uuid}", Sync -> [SNSApplicationPlatform]; {}

    /// Enables or disables a notification platform.
    ChangeSNSApplicationPlatformState, "8.1.2.12",
        Put "/sns/application-platforms/{uuid}/actions", Job -> SNSApplicationPlatform; {
        /// The platform.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }

    /// Creates an email endpoint.
    CreateSNSEmailEndpoint, "8.1.2.13", Post "/sns/application-endpoints/emails", Job -> SNSApplicationEndpoint; {
        /// The address.
        email: String, max_length 1024;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The platform.
        platform_uuid: Option<Uuid>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Queries email endpoints.
    QuerySNSEmailEndpoint, "8.1.2.14",
        Get "/sns/application-endpoints/emails" | "/sns/application-endpoints/emails/{uuid}",
        Sync -> [SNSEmailEndpoint]; {}

    /// Creates an HTTP endpoint.
    CreateSNSHttpEndpoint, "8.1.2.15", Post "/sns/application-endpoints/http", Job -> SNSHttpEndpoint; {
        /// Its address.
        url: String, max_length 2048;
        /// The user.
        username: Option<String>, max_length 128;
        /// The password.
        password: Option<Secret>, max_length 512;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
        /// The platform.
        platform_uuid: Option<Uuid>;
    }

    /// Queries HTTP endpoints.
    QuerySNSHttpEndpoint, "8.1.2.16",
        Get "/sns/application-endpoints/http" | "/sns/application-endpoints/http/{uuid}", Sync -> [SNSHttpEndpoint]; {}

    /// Creates a DingTalk endpoint.
    CreateSNSDingTalkEndpoint, "8.1.2.17", Post "/sns/application-endpoints/ding-talk", Job -> SNSDingTalkEndpoint; {
        /// Its address.
        url: String, max_length 2048;
        /// Whether everyone is addressed.
        at_all: Option<bool>;
        /// The phone numbers of those who are addressed.
        at_person_phone_numbers: Option<Vec<String>>, nonempty true;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
        /// The platform.
        platform_uuid: Option<Uuid>;
    }

    /// Adds a person whom messages of a DingTalk endpoint address.
    AddSNSDingTalkAtPerson, "8.1.2.18",
        Post "/sns/application-endpoints/ding-talk/at-persons", Job -> SNSDingTalkAtPerson; {
        /// The phone number.
        phone_number: String, max_length 64;
        /// The endpoint.
        endpoint_uuid: Uuid;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Removes a person whom messages of a DingTalk endpoint address.
    RemoveSNSDingTalkAtPerson, "8.1.2.19",
        Delete "/sns/application-endpoints/ding-talk/{endpointUuid}/at-persons/{phoneNumber}", Job; {
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
        /// The endpoint.
        endpoint_uuid: Uuid;
        /// The phone number.
        phone_number: String;
    }

    /// Queries DingTalk endpoints.
    QuerySNSDingTalkEndpoint, "8.1.2.20",
        Get "/sns/application-endpoints/ding-talk" | "/sns/application-endpoints/ding-talk/{uuid}",
        Sync -> [SNSDingTalkEndpoint]; {}

    /// Deletes a notification endpoint.
    DeleteSNSApplicationEndpoint, "8.1.2.21", Delete "/sns/application-endpoints/{uuid}", Job; {
        /// The endpoint.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Updates a notification endpoint.
    UpdateSNSApplicationEndpoint, "8.1.2.22",
        Put "/sns/application-endpoints/{uuid}/actions", Job -> SNSApplicationEndpoint; {
        /// The endpoint.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Queries notification endpoints.
    QuerySNSApplicationEndpoint, "8.1.2.23",
        Get "/sns/application-endpoints" | "/sns/application-endpoints/{uuid}", Sync -> [SNSApplicationEndpoint]; {}

    /// Enables or disables a notification endpoint.
    ChangeSNSApplicationEndpointState, "8.1.2.24",
        Put "/sns/application-endpoints/{uuid}/actions", Job -> SNSApplicationEndpoint; {
        /// The endpoint.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }

    /// Subscribes an endpoint to a notification topic.
    SubscribeSNSTopic, "8.1.2.25", Post "/sns/topics/{topicUuid}/endpoints/{endpointUuid}", Job -> SNSTopicSubscriber; {
        /// The topic.
        topic_uuid: Uuid;
        /// The endpoint.
        endpoint_uuid: Uuid;
    }

    /// Queries which endpoints subscribe to which topics.
    QuerySNSTopicSubscriber, "8.1.2.26",
        Get "/sns/topics/subscribers" | "/sns/topics/subscribers/{uuid}", Sync -> [SNSTopicSubscriber]; {}

    /// Ends the subscription of an endpoint to a notification topic.
    UnsubscribeSNSTopic, "8.1.2.27", Delete "/sns/topics/{topicUuid}/endpoints/{endpointUuid}", Job; {
        /// The topic.
        topic_uuid: Uuid;
        /// The endpoint.
        endpoint_uuid: Uuid;
    }
}

inventories! {
    /// A notification topic.
    SNSTopic {
        uuid: Uuid, name: String, description: String, state: String, lastOpDate: Timestamp, createDate: Timestamp,
    }

    /// A notification platform.
    SNSApplicationPlatform {
        uuid: Uuid, name: String, description: String, type: String, createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// A notification endpoint.
    SNSApplicationEndpoint {
        name: String, uuid: Uuid, description: String, type: String, platformUuid: Uuid, createDate: Timestamp,
        lastOpDate: Timestamp,
    }

    /// A DingTalk endpoint.
    SNSDingTalkEndpoint {
        url: String, atAll: bool, atPersonPhoneNumbers: [String], name: String, uuid: Uuid, description: String,
        type: String, platformUuid: Uuid, createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// A person whom messages of a DingTalk endpoint address.
    SNSDingTalkAtPerson {
        uuid: Uuid, phoneNumber: String, endpointUuid: Uuid,
    }

    /// An endpoint subscribes to a notification topic.
    SNSTopicSubscriber {
        topicUuid: Uuid, endpointUuid: Uuid, createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// An email platform.
    SNSEmailPlatform {
        uuid: Uuid, name: String, description: String, type: String, createDate: Timestamp, lastOpDate: Timestamp,
        smtpServer: String, smtpPort: i64, encryptType: String, username: String,
    }

    /// An email endpoint.
    SNSEmailEndpoint {
        name: String, uuid: Uuid, description: String, type: String, platformUuid: Uuid, createDate: Timestamp,
        lastOpDate: Timestamp, email: String,
    }

    /// An HTTP endpoint.
    SNSHttpEndpoint {
        name: String, uuid: Uuid, description: String, type: String, platformUuid: Uuid, createDate: Timestamp,
        lastOpDate: Timestamp, url: String, username: String,
    }
}

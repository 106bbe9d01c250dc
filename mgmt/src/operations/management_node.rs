//! 11.1: the node itself.

use gantry_common::error::ErrorKind;
use serde_json::{Value, json};

use crate::{
    api::{Caller, Operation, SyncOperation, query, sync},
    clock::Timestamp,
    failure::Failure,
    operation,
    resource::ManagementNode,
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        query::<QueryManagementNode>(ManagementNode::declaration),
        sync::<GetVersion>(),
        sync::<GetCurrentTime>(),
        sync::<IsReadyToGo>(),
    ]
}

operation! {
    /// Queries management nodes.
    QueryManagementNode, "11.1.1", Get "/management-nodes" | "/management-nodes/{uuid}", Sync -> [ManagementNode]; {}
}

/// The version of the published API that is served; clients choose their behaviour by it.
const API_VERSION: &str = "3.0.0";

operation! {
    /// The version of the API.
    GetVersion, "11.1.2", Put "/management-nodes/actions", Sync -> { version: String, success: bool },
        open true, writes Some(false); {}
}

impl SyncOperation for GetVersion {
    async fn answer(self, _caller: Caller) -> Result<Value, Failure> {
        Ok(json!({ "version": API_VERSION, "success": true }))
    }
}

operation! {
    /// The node's clock.
    GetCurrentTime, "11.1.3",
        Put "/management-nodes/actions", Sync -> { currentTime: (i64), success: bool }, open true, writes Some(false); {}
}

impl SyncOperation for GetCurrentTime {
    async fn answer(self, _caller: Caller) -> Result<Value, Failure> {
        let millis = Timestamp::now().millis();
        Ok(json!({ "currentTime": { "MillionSeconds": millis, "Seconds": millis / 1000 }, "success": true }))
    }
}

operation! {
    /// Whether the node takes calls.
    IsReadyToGo, "11.1.4",
        Get "/management-nodes/ready", Sync -> { managementNodeId: String, success: bool }, open true; {
        /// The node that is meant; this one where it is left out.
        management_node_id: Option<String>;
    }
}

impl SyncOperation for IsReadyToGo {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let own = caller.node.uuid.to_string();
        match self.management_node_id {
            Some(asked) if asked != own => {
                Err(Failure::argument("managementNodeId", asked, format!("this node's id is {own}")))
            }
            _ if caller.node.is_ready() => Ok(json!({ "managementNodeId": own, "success": true })),
            _ => Err(Failure::new(ErrorKind::Busy, "the node is starting: ask again in a moment")),
        }
    }
}

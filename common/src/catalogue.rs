//! The operations of the API as a client needs them: how each is called, what it takes, and when it answers.

use serde::{Deserialize, Serialize};

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CataloguedOperation {
    /// Its published name, such as `CreateZone`.
    pub name: String,
    /// The title of its chapter in the published reference; empty for additions to it.
    pub chapter: String,
    /// What it does.
    pub description: String,
    /// Its HTTP method.
    pub method: String,
    /// Its paths below `/zstack/v1`, with `{name}` for parameters.
    pub paths: Vec<String>,
    /// The key that wraps its parameters in the body; `None` where it has no body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_key: Option<String>,
    /// When it answers.
    pub answer: CataloguedAnswer,
    /// Whether it is called without a session.
    #[serde(default, skip_serializing_if = "is_false")]
    pub open: bool,
    /// Whether the node only checks its calls and does not carry them out yet.
    #[serde(default, skip_serializing_if = "is_false")]
    pub planned: bool,
    /// What it takes, besides tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<CataloguedParameter>,
    /// For a query, the fields that conditions, sorting and the answer know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

/// When an operation answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CataloguedAnswer {
    /// At once.
    Sync,
    /// At once, with the inventories that conditions choose.
    Query,
    /// By job.
    Job,
}

/// One parameter of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CataloguedParameter {
    /// Its name.
    pub name: String,
    /// What it means; empty where that is not said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it holds.
    pub holds: ParameterShape,
    /// Where it stands.
    pub location: ParameterLocation,
    /// Whether a call must carry it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// The texts it may be, where they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// What a parameter holds, as far as writing it down goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ParameterShape {
    /// Text, ids and addresses included.
    Text,
    /// Text that must not be seen by others.
    Secret,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of texts.
    List,
    /// A map from texts to texts.
    Map,
    /// A map from texts to lists of texts.
    MapOfLists,
    /// Any JSON document.
    Json,
}

/// Where a parameter stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ParameterLocation {
    /// In the path.
    Path,
    /// In the query string.
    Query,
    /// In the body.
    Body,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_false(value: &bool) -> bool {
    !value
}

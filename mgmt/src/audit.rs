//! Writing down who called what: every call that changes something, and every call that was refused.
//!
//! A call that becomes a job is written down with its job, in one transaction, and so is its end. Of what it asked for only
//! the ids of resources are kept, so that no password can be.

use std::{any::TypeId, net::IpAddr};

use gantry_common::{
    error::ErrorKind,
    id::{AuditUuid, JobUuid, SessionUuid},
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    api::{Declaration, Location, Method, Parameter, ParameterKind, Principal, ReplyType},
    clock::Timestamp,
    failure::Failure,
    node::Node,
    resource::{AuditState, AuditedCall},
};

/// How many ids are kept of one call.
const MOST_IDS: usize = 50;

/// Where a call comes from.
#[derive(Debug, Clone, Copy)]
pub struct CallSource {
    /// On whose behalf it is made.
    pub principal: Principal,
    /// Its session.
    pub session: Option<SessionUuid>,
    /// Its address; none for what the node begins on behalf of an account.
    pub from: Option<IpAddr>,
}

/// A call, as it is written down before it is known what becomes of it.
pub fn begin(
    declaration: &Declaration,
    origin: &CallSource,
    parameters: &Map<String, Value>,
    job: Option<JobUuid>,
) -> AuditedCall {
    let now = Timestamp::now();
    let named = |parameter: &Parameter| parameters.get(&parameter.name).map(texts).unwrap_or_default();
    let (in_path, others): (Vec<&Parameter>, Vec<&Parameter>) = declaration
        .parameters
        .iter()
        .filter(|parameter| names_resource(parameter))
        .partition(|parameter| parameter.location == Location::Path);
    let mut ids: Vec<String> = in_path.into_iter().chain(others).flat_map(named).collect();
    ids.truncate(MOST_IDS);
    // A call about a session may need none: that one is meant.
    let about = declaration.parameters.iter().filter(|parameter| is_session(parameter)).flat_map(named).next();
    let session = origin.session.map(|session| session.to_string()).or(about);
    AuditedCall {
        uuid: AuditUuid::random(),
        account_uuid: origin.principal.account(),
        session_mark: session.as_deref().map(mark),
        api_name: declaration.name.to_owned(),
        resource_uuids: (!ids.is_empty()).then(|| ids.join(",")),
        client_address: origin.from.map(|from| from.to_canonical().to_string()),
        job_uuid: job,
        state: AuditState::Running,
        error_code: None,
        duration: None,
        create_date: now,
        last_op_date: now,
        makes: declaration.method == Method::Post && !answers_session(declaration),
    }
}

/// Tells the calls of a session from those of others. The session's id itself is as good as a password.
fn mark(session: &str) -> String {
    hex::encode(&Sha256::digest(session.to_lowercase())[..8])
}

fn is_session(parameter: &Parameter) -> bool {
    parameter.id == Some(TypeId::of::<SessionUuid>())
}

fn names_resource(parameter: &Parameter) -> bool {
    let by_kind = matches!(parameter.kind, ParameterKind::Uuid | ParameterKind::UuidList);
    let by_name = matches!(parameter.kind, ParameterKind::Text | ParameterKind::TextList)
        && (parameter.name.ends_with("Uuid") || parameter.name.ends_with("Uuids"));
    (by_kind || by_name) && !is_session(parameter)
}

fn texts(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().filter(|text| text.len() <= 36).map(str::to_owned);
    match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    }
}

fn answers_session(declaration: &Declaration) -> bool {
    declaration.reply.iter().any(|field| field.holds == ReplyType::Inventory("Session"))
}

/// Writes down a call that was answered at once.
pub async fn answered(
    node: &Node,
    declaration: &Declaration,
    mut audit: AuditedCall,
    outcome: &Result<Value, Failure>,
) {
    match outcome {
        Ok(reply) => {
            audit.state = AuditState::Succeeded;
            let made = &reply["inventory"];
            if answers_session(declaration) {
                // Whoever has logged in is somebody.
                audit.account_uuid = made["accountUuid"].as_str().and_then(|uuid| uuid.parse().ok());
                audit.session_mark = made["uuid"].as_str().map(mark);
            }
        }
        Err(failure) => {
            audit.state = AuditState::Failed;
            audit.error_code = Some(failure.kind.code().to_owned());
        }
    }
    write(node, audit).await;
}

/// Writes down a call that was refused. What was refused because the node could not take it was no call.
pub async fn refused(node: &Node, mut audit: AuditedCall, failure: &Failure) {
    if matches!(failure.kind, ErrorKind::Busy | ErrorKind::Internal) {
        return;
    }
    audit.state = AuditState::Refused;
    audit.error_code = Some(failure.kind.code().to_owned());
    audit.job_uuid = None;
    write(node, audit).await;
}

async fn write(node: &Node, mut audit: AuditedCall) {
    audit.last_op_date = Timestamp::now();
    let millis = audit.last_op_date.millis() - audit.create_date.millis();
    audit.duration = Some(u64::try_from(millis).unwrap_or_default());
    let most = node.settings.now().audit_max;
    let api = audit.api_name.clone();
    if let Err(failure) = node.store.write(move |tx| tx.record_audit(&audit, most).map_err(Failure::from)).await {
        tracing::error!(api, error = %failure, "a call could not be written down");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{api::Declared, operation, secret::Secret};

    operation! {
        /// An operation of the test.
        LendThing, "0.0", Put "/things/{uuid}/actions", Job; {
            /// The new password.
            password: Secret;
            borrower_uuids: Vec<gantry_common::id::VmUuid>;
            session_uuid: Option<SessionUuid>;
            lender_uuid: String;
            uuid: gantry_common::id::VmUuid;
        }
    }

    #[test]
    fn of_a_call_the_ids_are_kept_what_it_is_about_first_and_nothing_that_is_secret() {
        let session = SessionUuid::random();
        let parameters = json!({
            "password": "hunter2", "borrowerUuids": ["b1", "b2"], "sessionUuid": session, "lenderUuid": "l", "uuid": "u",
        });
        let Value::Object(parameters) = parameters else { panic!("an object") };
        let origin = CallSource { principal: Principal::Stranger, session: None, from: None };
        let audit = begin(LendThing::declaration(), &origin, &parameters, None);
        assert_eq!(audit.resource_uuids.as_deref(), Some("u,b1,b2,l"));
        let mark = audit.session_mark.clone().unwrap();
        assert!(mark.len() == 16 && !session.to_string().contains(&mark));
        assert!(!format!("{audit:?}").contains("hunter2") && !format!("{audit:?}").contains(&session.to_string()));
    }
}

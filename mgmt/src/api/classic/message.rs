//! A message, as a client sends it.

use serde_json::{Map, Value};

use crate::{api::parse_body, failure::Failure};

/// A message with its session taken out of its fields.
#[derive(Debug, PartialEq)]
pub struct Message {
    /// Its class, such as `org.zstack.header.zone.APIQueryZoneMsg`.
    pub class: String,
    /// The package in that.
    pub package: String,
    /// The operation in that: `QueryZone`.
    pub name: String,
    /// The operation's parameters, and what clients put into every message.
    pub fields: Map<String, Value>,
    /// The uuid of the caller's session.
    pub session: Option<String>,
}

impl Message {
    /// Reads a message from a request's body.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let mut body = parse_body(body)?.into_iter();
        let (Some((class, content)), None) = (body.next(), body.next()) else {
            let remedy = "one message is needed, as {\"org.zstack.header.zone.APIQueryZoneMsg\": {…}}";
            return Err(Failure::argument("body", "", remedy));
        };
        let mut fields = match content {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            other => return Err(Failure::argument(&class, other, "the message's fields must be an object")),
        };
        let (package, last) = class.rsplit_once('.').unwrap_or(("", &class));
        let Some(name) = last.strip_prefix("API").and_then(|name| name.strip_suffix("Msg")) else {
            let remedy = "a message's class ends in API, the operation's name and Msg, as APIQueryZoneMsg does";
            return Err(Failure::argument("body", &class, remedy));
        };
        let session = match fields.shift_remove("session") {
            None | Some(Value::Null) => None,
            Some(session) => match session["uuid"].as_str() {
                Some(uuid) => Some(uuid.to_owned()),
                // What it holds may be a session in another form: it is not repeated.
                None => return Err(Failure::argument("session", "******", "{\"uuid\": …} is needed")),
            },
        };
        let (package, name) = (package.to_owned(), name.to_owned());
        Ok(Self { class, package, name, fields, session })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: Value) -> Result<Message, Failure> {
        Message::parse(body.to_string().as_bytes())
    }

    #[test]
    fn a_message_is_its_class_its_fields_and_its_session() {
        let body = json!({ "org.zstack.kvm.APIAddKVMHostMsg": { "name": "a", "session": { "uuid": "5e55" } } });
        let message = parse(body).unwrap();
        assert_eq!((message.package.as_str(), message.name.as_str()), ("org.zstack.kvm", "AddKVMHost"));
        assert_eq!(message.session.as_deref(), Some("5e55"));
        assert_eq!(Value::Object(message.fields), json!({ "name": "a" }));
        assert_eq!(parse(json!({ "APIGetVersionMsg": null })).unwrap().name, "GetVersion");
    }

    #[test]
    fn what_is_no_message_is_refused_without_repeating_the_session() {
        for body in [json!({}), json!({ "a.APIBMsg": {}, "a.APICMsg": {} }), json!({ "a.QueryZone": {} }), json!([1])] {
            assert!(parse(body).is_err());
        }
        assert!(parse(json!({ "a.APIQueryZoneMsg": [] })).is_err());
        let failure = parse(json!({ "a.APIQueryZoneMsg": { "session": "5e55" } })).unwrap_err();
        assert!(!failure.details.contains("5e55"), "{failure}");
    }
}

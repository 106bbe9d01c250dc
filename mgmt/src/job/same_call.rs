//! A call that comes again under its job id is the same call, and not another one that uses the id by mistake.

use serde_json::{Map, Value};

use super::Accepted;
use crate::{failure::Failure, node::Node, store::JobRecord};

/// Tells the call's operation and checked parameters from all others. It is made with the node's key: parameters may hold
/// passwords, and nobody may find one by trying.
pub(super) fn digest(node: &Node, accepted: &Accepted) -> String {
    node.seal.mark(canonical(accepted.declaration.name, &accepted.parameters).as_bytes())
}

/// The same text for the same parameters, in whatever order they came.
fn canonical(api: &str, parameters: &Map<String, Value>) -> String {
    let mut parameters = Value::Object(parameters.clone());
    parameters.sort_all_objects();
    format!("{api} {parameters}")
}

/// Refuses a call under the id of a job that was another one.
pub(super) fn require_same(known: &JobRecord, repeat: &JobRecord) -> Result<(), Failure> {
    let other = |what: &str| {
        let remedy = format!("it is the id of an earlier call {what}: use a new one for each call");
        Err(Failure::argument("X-Job-UUID", known.uuid, remedy))
    };
    if known.account_uuid != repeat.account_uuid {
        other("of another account")
    } else if known.api != repeat.api {
        other(&format!("of {}", known.api))
    } else if known.call_digest != repeat.call_digest {
        other(&format!("of {} with other parameters", known.api))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(api: &str, parameters: Value) -> String {
        let Value::Object(parameters) = parameters else { panic!("an object") };
        canonical(api, &parameters)
    }

    #[test]
    fn the_order_of_parameters_makes_no_difference_and_their_values_do() {
        let first = text("A", json!({ "x": 1, "y": { "a": ["1", "2"], "b": [] } }));
        assert_eq!(first, text("A", json!({ "y": { "b": [], "a": ["1", "2"] }, "x": 1 })));
        for other in [
            text("B", json!({ "x": 1, "y": { "a": ["1", "2"], "b": [] } })),
            text("A", json!({ "x": 2, "y": { "a": ["1", "2"], "b": [] } })),
            text("A", json!({ "x": 1, "y": { "a": ["2", "1"], "b": [] } })),
            text("A", json!({ "x": 1 })),
        ] {
            assert_ne!(first, other);
        }
    }
}

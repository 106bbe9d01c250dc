//! A node that is killed after a stored step of an operation, and started again.

use std::os::unix::process::ExitStatusExt as _;

use serde_json::Value;

use crate::{ALWAYS, ApiError, Call, Client, Footprint, Lab, Management, eventually, text};

/// How a call went.
enum Went {
    /// The node died, and this is what it made of the call when it was back.
    Crashed(Result<Value, ApiError>),
    /// The operation has fewer steps.
    Through(Result<Value, ApiError>),
}

/// Has the node die after this many stored steps of the operation; meanwhile, `while_down` happens.
fn crash_at(node: &mut Management, steps: usize, operation: &str, call: &Call, while_down: impl FnOnce()) -> Went {
    assert!(node.terminate().success());
    node.start_again(&[("GANTRY_FAIL_POINT", &format!("{operation}:{steps}"))]);
    let client = node.client();
    all_connected(&client);
    let job = Client::new_job();
    client.submit(&job, call);
    let died = eventually(&format!("{operation} at step {steps}"), ALWAYS, || {
        node.ended().map(Some).or_else(|| client.has_ended(&job).then_some(None))
    });
    let Some(status) = died else { return Went::Through(client.wait_for_job(&job)) };
    assert_eq!(status.signal(), Some(9), "the node ended otherwise than by its fail point: {status}");
    while_down();
    node.start_again(&[]);
    // The caller who got no answer asks again, and gets the same job.
    Went::Crashed(client.call_as(&job, call))
}

/// Has the node die after each stored step of an operation in turn, until the operation gets through. It must come to
/// its result every time; `look` sees the result, and whether the node had not died, and takes the result back.
///
/// # Panics
/// When it does not come to its result, or has too few steps.
pub fn at_every_step(
    node: &mut Management,
    operation: &str,
    at_least: usize,
    mut make_call: impl FnMut() -> Call,
    mut look: impl FnMut(Value, bool),
) {
    for steps in 0.. {
        let (outcome, through) = match crash_at(node, steps, operation, &make_call(), || {}) {
            Went::Through(outcome) => (outcome, true),
            Went::Crashed(outcome) => (outcome, false),
        };
        look(outcome.unwrap_or_else(|error| panic!("after {steps} steps: {error:?}")), through);
        if through {
            assert!(steps >= at_least, "only {steps} steps were tried");
            return;
        }
    }
}

/// Has the node die after this many stored steps, of which there are more.
///
/// # Errors
/// What the node, when it was back, made of the call.
///
/// # Panics
/// When the node does not die.
pub fn crash_midway(
    node: &mut Management,
    steps: usize,
    operation: &str,
    call: &Call,
    while_down: impl FnOnce(),
) -> Result<Value, ApiError> {
    match crash_at(node, steps, operation, call, while_down) {
        Went::Crashed(outcome) => outcome,
        Went::Through(outcome) => panic!("the node did not die at step {steps}: {outcome:?}"),
    }
}

/// Waits until every host and every image store is connected.
///
/// # Panics
/// When one stays away.
pub fn all_connected(client: &Client) {
    eventually("the hosts are connected", ALWAYS, || {
        let connected = |host: &Value| text(host, "status") == "Connected";
        client.query("/hosts", &[]).iter().chain(&client.query("/backup-storage", &[])).all(connected).then_some(())
    });
}

/// Looks whether what there is now is what there was.
///
/// # Panics
/// When it is not.
pub fn nothing_is_left_since(before: &Footprint, client: &Client, lab: &Lab) {
    let difference = before.difference(&Footprint::take(client, lab));
    assert!(difference.is_empty(), "something is left:\n{}", difference.join("\n"));
}

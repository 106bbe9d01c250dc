//! A job that finds in the inventory what it works on has it from its turn to its end, whatever becomes of the record.

use super::*;
use crate::job::FindLocks;

operation! {
    /// An operation of the test: it works on a thing, and on whatever the thing belongs to.
    FollowThing, "0.0", Post "/things/followed", Job; {}
}

const THING: &str = "thing";

impl JobOperation for FollowThing {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![THING.to_owned()]
    }

    const FIND_LOCKS: Option<FindLocks<Self>> = Some(|_, tx| Ok(tx.node_fact("belongs to")?.into_iter().collect()));

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("follow", |tx, run| {
            let claims = tx.claims_of(run.job)?;
            claims.iter().try_for_each(|claim| say(tx, &claim.resource))
        })]
    }
}

#[tokio::test]
async fn what_a_thing_came_to_belong_to_while_the_job_waited_is_waited_for_and_had() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    let mut before = node.jobs.queues.queue(vec![THING.to_owned()]);
    before.turn().await;
    let uuid = JobUuid::random();
    let call = Accepted {
        declaration: FollowThing::declaration(),
        handler: JobHandler::of::<FollowThing>(),
        ..call(&node, uuid, json!({}))
    };
    accept(&node, call).await.unwrap();
    node.store.write(|tx| Ok::<_, Failure>(tx.set_node_fact("belongs to", "vm")?)).await.unwrap();
    let mut others = node.jobs.queues.queue(vec!["vm".to_owned()]);
    others.turn().await;
    drop(before);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let said = || node.store.read(|tx| Ok::<_, Failure>(tx.node_fact("said")?));
    assert_eq!(said().await.unwrap(), None, "it did not wait for the VM");
    drop(others);
    assert_eq!(ended(&node, uuid).await.phase, JobPhase::Succeeded);
    assert_eq!(said().await.unwrap().as_deref(), Some("vm "));
    assert_eq!(node.store.read(move |tx| tx.claims_of(uuid)).await.unwrap(), []);
}

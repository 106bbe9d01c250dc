use super::*;
use crate::job::cancel;

/// A stored AddImage at this step, which nobody drives: its second step is the download.
async fn adding_image(node: &Arc<Node>, phase: JobPhase, step: u32) -> JobUuid {
    let record = JobRecord { api: "AddImage".to_owned(), ..stored(node, phase, step, Value::Null, None) };
    let uuid = record.uuid;
    node.store.write(move |tx| tx.insert_job(&record).map_err(Failure::from)).await.unwrap();
    uuid
}

async fn wanted_by(node: &Node, uuid: JobUuid) -> Option<AccountUuid> {
    node.store.read(move |tx| tx.job(uuid).map_err(Failure::from)).await.unwrap().unwrap().cancelled_by
}

#[tokio::test]
async fn a_job_can_be_cancelled_until_its_last_step_that_allows_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    for step in [0, 1] {
        let uuid = adding_image(&node, JobPhase::Running, step).await;
        for _ in 0..2 {
            cancel(&node, uuid, node.admin).await.unwrap();
        }
        assert_eq!(wanted_by(&node, uuid).await, Some(node.admin));
    }
    let uuid = adding_image(&node, JobPhase::Running, 2).await;
    let refused = cancel(&node, uuid, node.admin).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::StateForbids);
    assert!(refused.details.contains("nothing left to do that can be broken off"), "{refused}");
    assert_eq!(wanted_by(&node, uuid).await, None);
}

#[tokio::test]
async fn a_job_that_has_failed_cannot_be_cancelled_and_goes_on_being_undone() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    let uuid = adding_image(&node, JobPhase::Undoing, 2).await;
    let refused = cancel(&node, uuid, node.admin).await.unwrap_err();
    assert!(refused.details.contains("is being undone already"), "{refused}");
}

#[tokio::test]
async fn a_waiting_job_that_is_cancelled_has_ended_and_does_nothing_when_its_turn_comes() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    let record = stored(&node, JobPhase::Waiting, 0, Value::Null, None);
    let copy = record.clone();
    node.store.write(move |tx| tx.insert_job(&copy).map_err(Failure::from)).await.unwrap();
    cancel(&node, record.uuid, node.admin).await.unwrap();
    let job = ended(&node, record.uuid).await;
    assert_eq!(job.result.as_ref().unwrap()["error"]["code"], "SYS.1013");
    // It is driven as it was before.
    drive(&node, &record).await;
    assert_eq!(said(&node).await, "");
    assert_eq!(ended(&node, record.uuid).await, job);
}

#[tokio::test]
async fn a_job_is_cancelled_by_its_own_account_or_by_admin() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    let uuid = adding_image(&node, JobPhase::Running, 0).await;
    let refused = cancel(&node, uuid, AccountUuid::random()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::UnknownPath);
    assert_eq!(wanted_by(&node, uuid).await, None);
}

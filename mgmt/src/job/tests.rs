mod cancelling;
mod found_locks;

use std::{sync::Arc, time::Duration};

use gantry_common::{
    error::ErrorKind,
    id::{AccountUuid, DiskOfferingUuid, JobUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Accepted, JobHandler, JobOperation, Run, Step, accept, resume_jobs, runner::work};
use crate::{
    api::{Declared, Principal},
    config::Overrides,
    failure::Failure,
    node::{Node, Start},
    operation, operations,
    resource::{Account, AccountType, DiskOffering},
    secret::Secret,
    store::{JobPhase, JobRecord, Tx},
};

operation! {
    /// An operation of the test: its steps write down what they do.
    BuildThing, "0.0", Post "/things", Job; {
        /// The step that fails, from 1; none where it is 0.
        failing: u32;
        /// Whether it is a fault of the program that makes it fail.
        faulty: Option<bool>;
        /// A secret.
        password: Option<Secret>;
    }
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Building {
    done: Vec<String>,
}

fn say(tx: &Tx<'_>, what: &str) -> Result<(), Failure> {
    let said = tx.node_fact("said")?.unwrap_or_default();
    Ok(tx.set_node_fact("said", &format!("{said}{what} "))?)
}

async fn say_remotely(run: &Run<BuildThing>, what: &'static str) -> Result<(), Failure> {
    run.node.store.write(move |tx| say(tx, what)).await
}

fn fail_at(params: &BuildThing, step: u32) -> Result<(), Failure> {
    if params.failing == step { Err(Failure::new(ErrorKind::Refused, format!("step {step} failed"))) } else { Ok(()) }
}

impl JobOperation for BuildThing {
    type State = Building;

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("one", |tx, run| {
                fail_at(run.params, 1)?;
                run.state.done.push("one".to_owned());
                say(tx, "+one")
            })
            .undo_record(|tx, _| say(tx, "-one")),
            Step::remote("two", |mut run: Run<Self>| async move {
                say_remotely(&run, "+two").await?;
                assert!(run.params.faulty != Some(true), "a fault of the test's operation");
                fail_at(&run.params, 2)?;
                run.state.done.push("two".to_owned());
                Ok(run.state)
            })
            .undo_remote(|run: Run<Self>| async move {
                say_remotely(&run, "-two").await?;
                Ok(run.state)
            }),
            Step::record("three", |tx, run| {
                say(tx, "+three")?;
                fail_at(run.params, 3)?;
                run.state.done.push("three".to_owned());
                Ok(())
            })
            .undo_record(|tx, _| say(tx, "-three")),
        ]
    }

    fn reply(&self, _tx: &Tx<'_>, state: &Building) -> Result<Value, Failure> {
        Ok(json!({ "done": state.done }))
    }
}

async fn node(dir: &tempfile::TempDir) -> Arc<Node> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Overrides { data: Some(dir.path().to_owned()), ..Overrides::default() }.finish();
    Node::open(Start { config, admin_password: Some("x".to_owned()), failpoint: None }).await.unwrap()
}

fn call(node: &Node, uuid: JobUuid, parameters: Value) -> Accepted {
    let Value::Object(parameters) = parameters else { panic!("an object") };
    Accepted {
        uuid,
        declaration: BuildThing::declaration(),
        handler: JobHandler::of::<BuildThing>(),
        parameters,
        principal: Principal::Operator(node.admin),
        session_uuid: None,
        audit: None,
        webhook: None,
        origin: None,
    }
}

async fn ended(node: &Node, uuid: JobUuid) -> JobRecord {
    loop {
        let job = node.store.read(move |tx| tx.job(uuid).map_err(Failure::from)).await.unwrap().unwrap();
        if job.finished_date.is_some() {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn said(node: &Node) -> String {
    let said = node.store.read(|tx| tx.node_fact("said").map_err(Failure::from)).await.unwrap();
    said.unwrap_or_default().trim().to_owned()
}

#[tokio::test]
async fn a_job_does_its_steps_in_order_and_answers_its_reply() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    let uuid = accept(&node, call(&node, JobUuid::random(), json!({ "failing": 0 }))).await.unwrap();
    let job = ended(&node, uuid).await;
    assert_eq!((job.phase, job.result), (JobPhase::Succeeded, Some(json!({ "done": ["one", "two", "three"] }))));
    assert_eq!(said(&node).await, "+one +two +three");
}

#[tokio::test]
async fn a_step_that_fails_unwinds_the_steps_before_it_and_itself_where_it_may_be_half_done() {
    for (failing, expected) in [(1, ""), (2, "+one +two -two -one"), (3, "+one +two -two -one")] {
        let dir = tempfile::tempdir().unwrap();
        let node = node(&dir).await;
        let uuid = accept(&node, call(&node, JobUuid::random(), json!({ "failing": failing }))).await.unwrap();
        let job = ended(&node, uuid).await;
        assert_eq!(job.phase, JobPhase::Failed);
        assert_eq!(job.result.unwrap()["error"]["details"], json!(format!("step {failing} failed")));
        assert_eq!(said(&node).await, expected, "step {failing}");
    }
}

#[tokio::test]
async fn a_fault_of_the_program_in_a_step_is_a_failure_that_is_undone() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    let parameters = json!({ "failing": 0, "faulty": true });
    let uuid = accept(&node, call(&node, JobUuid::random(), parameters)).await.unwrap();
    let job = ended(&node, uuid).await;
    assert_eq!(job.result.unwrap()["error"]["code"], "SYS.1000");
    assert_eq!(said(&node).await, "+one +two -two -one");
}

#[tokio::test]
async fn the_same_call_under_the_same_id_is_one_job_however_often_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    let uuid = JobUuid::random();
    let parameters = json!({ "failing": 0, "password": "hunter2" });
    let calls = (0..20).map(|_| accept(&node, call(&node, uuid, parameters.clone())));
    for accepted in futures_util::future::join_all(calls).await {
        assert_eq!(accepted.unwrap(), uuid);
    }
    ended(&node, uuid).await;
    // Also once it has ended, and after the node's restart.
    assert_eq!(accept(&node, call(&node, uuid, parameters.clone())).await.unwrap(), uuid);
    assert_eq!(said(&node).await, "+one +two +three");
    drop(node);
    let node = self::node(&dir).await;
    assert_eq!(accept(&node, call(&node, uuid, parameters)).await.unwrap(), uuid);
    assert_eq!(said(&node).await, "+one +two +three");
}

#[tokio::test]
async fn another_call_under_the_id_of_an_earlier_one_is_refused_and_the_difference_named() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    let uuid = JobUuid::random();
    let parameters = json!({ "failing": 0, "password": "hunter2" });
    accept(&node, call(&node, uuid, parameters.clone())).await.unwrap();
    let refused = async |accepted: Accepted| accept(&node, accepted).await.unwrap_err();
    for other in [json!({ "failing": 1, "password": "hunter2" }), json!({ "failing": 0, "password": "hunter3" })] {
        let failure = refused(call(&node, uuid, other)).await;
        assert_eq!(failure.kind, ErrorKind::InvalidArgument);
        assert!(failure.details.contains("X-Job-UUID") && failure.details.contains("other parameters"), "{failure}");
        assert!(!failure.details.contains("hunter"), "{failure}");
    }
    let stranger =
        Accepted { principal: Principal::Operator(AccountUuid::random()), ..call(&node, uuid, parameters.clone()) };
    assert!(refused(stranger).await.details.contains("another account"));
    let other = operations::all().into_iter().find(|operation| operation.declaration.name == "CreateZone").unwrap();
    let other = Accepted { declaration: other.declaration, ..call(&node, uuid, json!({ "failing": 0 })) };
    assert!(refused(other).await.details.contains("an earlier call of BuildThing"));
    ended(&node, uuid).await;
    assert_eq!(said(&node).await, "+one +two +three");
}

#[tokio::test]
async fn a_caller_that_hangs_up_at_once_leaves_no_job_that_nobody_drives() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    let uuid = JobUuid::random();
    let mut calling = Box::pin(accept(&node, call(&node, uuid, json!({ "failing": 0 }))));
    assert!(futures_util::poll!(&mut calling).is_pending());
    drop(calling);
    while node.store.read(move |tx| tx.job(uuid).map_err(Failure::from)).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(ended(&node, uuid).await.phase, JobPhase::Succeeded);
}

#[tokio::test]
async fn a_secret_is_sealed_while_the_job_waits_and_gone_when_it_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    let parameters = json!({ "failing": 0, "password": "hunter2" });
    let uuid = JobUuid::random();
    accept(&node, call(&node, uuid, parameters)).await.unwrap();
    let job = ended(&node, uuid).await;
    assert_eq!(job.params, json!({}));
    drop(node);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "{}", path.display());
        }
    }
}

fn stored(node: &Node, phase: JobPhase, step: u32, state: Value, result: Option<Value>) -> JobRecord {
    JobRecord {
        uuid: JobUuid::random(),
        number: 1,
        api: "BuildThing".to_owned(),
        params: Value::Object(Map::from_iter([("failing".to_owned(), json!(0))])),
        call_digest: String::new(),
        account_uuid: node.admin,
        session_uuid: None,
        webhook: None,
        origin: None,
        phase,
        step,
        state,
        cancelled_by: None,
        result,
        accepted_date: crate::clock::Timestamp::now(),
        finished_date: None,
    }
}

async fn drive(node: &Arc<Node>, record: &JobRecord) {
    let ticket = node.jobs.queues.queue_again(record.number, Vec::new());
    work::<BuildThing>(node.clone(), ticket, record.clone()).await;
}

#[tokio::test]
async fn a_job_that_was_cut_off_goes_on_from_its_last_stored_step() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    let record = stored(&node, JobPhase::Running, 1, json!({ "done": ["one"] }), None);
    let copy = record.clone();
    node.store.write(move |tx| tx.insert_job(&copy).map_err(Failure::from)).await.unwrap();
    drive(&node, &record).await;
    let job = ended(&node, record.uuid).await;
    assert_eq!(job.result, Some(json!({ "done": ["one", "two", "three"] })));
    assert_eq!(said(&node).await, "+two +three");
}

#[tokio::test]
async fn an_unwinding_that_was_cut_off_goes_on_and_keeps_the_first_error() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    let error = json!({ "error": { "code": "SYS.1011" } });
    let record = stored(&node, JobPhase::Undoing, 2, json!({ "done": ["one"] }), Some(error.clone()));
    let copy = record.clone();
    node.store.write(move |tx| tx.insert_job(&copy).map_err(Failure::from)).await.unwrap();
    drive(&node, &record).await;
    let job = ended(&node, record.uuid).await;
    assert_eq!((job.phase, job.result), (JobPhase::Failed, Some(error)));
    assert_eq!(said(&node).await, "-two -one");
}

#[tokio::test]
async fn an_open_job_of_an_operation_that_is_gone_ends_with_an_error_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    let record = stored(&node, JobPhase::Running, 0, Value::Null, None);
    let copy = record.clone();
    node.store.write(move |tx| tx.insert_job(&copy).map_err(Failure::from)).await.unwrap();
    assert_eq!(resume_jobs(&node).await.unwrap(), 1);
    assert!(
        ended(&node, record.uuid).await.result.unwrap()["error"]["details"].as_str().unwrap().contains("BuildThing")
    );
}

#[tokio::test]
async fn what_a_job_adds_is_its_accounts_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir).await;
    let now = crate::clock::Timestamp::now();
    let account = Account {
        uuid: AccountUuid::random(),
        name: "one".to_owned(),
        description: None,
        kind: AccountType::Normal,
        create_date: now,
        last_op_date: now,
        password_hash: String::new(),
    };
    let one = account.uuid;
    let params = |uuid: DiskOfferingUuid| json!({ "name": "o", "diskSize": 1 << 30, "resourceUuid": uuid });
    let of = |account_uuid, number, uuid: DiskOfferingUuid| JobRecord {
        uuid: JobUuid::random(),
        api: "CreateDiskOffering".to_owned(),
        params: params(uuid),
        account_uuid,
        number,
        ..stored(&node, JobPhase::Running, 0, Value::Null, None)
    };
    let (first, second) = (DiskOfferingUuid::random(), DiskOfferingUuid::random());
    let jobs = [of(one, 1, first), of(node.admin, 2, second)];
    let ids: Vec<JobUuid> = jobs.iter().map(|job| job.uuid).collect();
    let record = node.store.write(move |tx| {
        tx.insert(&account)?;
        for job in &jobs {
            tx.insert_job(job)?;
        }
        Ok::<_, Failure>(())
    });
    record.await.unwrap();
    assert_eq!(resume_jobs(&node).await.unwrap(), 2);
    for job in ids {
        let job = ended(&node, job).await;
        assert_eq!(job.phase, JobPhase::Succeeded, "{:?}", job.result);
    }
    let owner = async |uuid: DiskOfferingUuid| {
        let owner = node.store.read(move |tx| tx.owner(uuid).map_err(Failure::from)).await.unwrap();
        owner.map(|owner| owner.account_uuid)
    };
    assert_eq!((owner(first).await, owner(second).await), (Some(one), Some(node.admin)));
    node.store.write(move |tx| tx.delete::<DiskOffering>(first).map_err(Failure::from)).await.unwrap();
    assert_eq!(owner(first).await, None, "what is gone is nobody's");
}

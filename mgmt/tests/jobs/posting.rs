use std::time::Duration;

use gantry_common::id::{AccountUuid, JobUuid, ZoneUuid};
use gantry_mgmt::{
    clock::Timestamp,
    failure::Failure,
    store::{JobPhase, JobRecord},
};
use serde_json::{Value, json};

use super::{
    client::{Call, eventually},
    process::Process,
    receiver::{Receiver, nobody, url},
};

fn zone(name: &str) -> Call {
    Call::post("/zones", json!({ "name": name }))
}

#[tokio::test]
async fn a_result_is_posted_with_the_jobs_id_and_whether_it_succeeded() {
    let (process, receiver) = (Process::start().await, Receiver::listen().await);
    let client = process.client().await;
    let good = zone("good").webhook(&receiver.url());
    let (_, reply) = client.run(&good).await;
    let posted = receiver.result_of(good.job).await;
    assert_eq!((posted.success.as_str(), &posted.body), ("true", &reply));
    assert_eq!(posted.body["inventory"]["name"], "good");

    let bad = Call::delete(&format!("/zones/{}", ZoneUuid::random())).webhook(&receiver.url());
    let (status, reply) = client.run(&bad).await;
    let posted = receiver.result_of(bad.job).await;
    assert_eq!((status, posted.success.as_str(), &posted.body), (503, "false", &reply));
    assert_eq!(posted.body["error"]["code"], "SYS.1009");
    assert_eq!(receiver.posted().len(), 2);
}

#[tokio::test]
async fn a_result_whose_receiver_was_away_arrives_when_it_is_back() {
    let process = Process::start().await;
    let client = process.client().await;
    let address = nobody().await;
    let call = zone("patient").webhook(&url(address));
    let (_, reply) = client.run(&call).await;
    let receiver = Receiver::listen_at(address).await;
    assert_eq!(receiver.result_of(call.job).await.body, reply);
}

#[tokio::test]
async fn a_result_that_had_not_arrived_when_the_node_was_killed_arrives_after_its_restart() {
    let mut process = Process::start().await;
    let client = process.client().await;
    let address = nobody().await;
    let call = zone("surviving").webhook(&url(address));
    let (_, reply) = client.run(&call).await;
    process.kill();
    let receiver = Receiver::listen_at(address).await;
    process.start_again().await;
    let posted = receiver.result_of(call.job).await;
    assert_eq!((posted.success.as_str(), posted.body), ("true", reply));
}

/// A job that ended so long ago and whose result is still to be posted.
fn ended(ago: Duration, webhook: String) -> JobRecord {
    let then = Timestamp::from_millis(Timestamp::now().millis() - i64::try_from(ago.as_millis()).unwrap());
    JobRecord {
        uuid: JobUuid::random(),
        number: 1,
        api: "CreateZone".to_owned(),
        params: json!({}),
        call_digest: String::new(),
        account_uuid: AccountUuid::random(),
        session_uuid: None,
        webhook: Some(webhook),
        origin: None,
        phase: JobPhase::Succeeded,
        step: 0,
        state: Value::Null,
        cancelled_by: None,
        result: Some(json!({ "late": true })),
        accepted_date: then,
        finished_date: Some(then),
    }
}

#[tokio::test]
async fn a_result_is_given_up_after_a_day_and_not_before() {
    let mut process = Process::start().await;
    process.kill();
    let address = nobody().await;
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let (late, later) = (ended(hours(23), url(address)), ended(hours(25), url(address)));
    for job in [late.clone(), later.clone()] {
        process.store().write(move |tx| tx.insert_job(&job).map_err(Failure::from)).await.unwrap();
    }
    process.start_again().await;
    // Whether it still tries can be seen in its inventory alone.
    eventually("the later one is given up", async || {
        process.kill();
        let uuid = later.uuid;
        let job = process.store().read(move |tx| tx.job(uuid).map_err(Failure::from)).await.unwrap().unwrap();
        process.start_again().await;
        job.webhook.is_none().then_some(())
    })
    .await;
    let receiver = Receiver::listen_at(address).await;
    assert_eq!(receiver.result_of(late.uuid).await.body, json!({ "late": true }));
    assert_eq!(receiver.posted().len(), 1);
}

use serde_json::json;

use super::{
    client::{Call, code, details},
    process::Process,
};

#[tokio::test]
async fn a_call_that_is_repeated_at_once_and_after_a_crash_and_once_it_is_done_is_made_once() {
    let mut process = Process::start().await;
    let client = process.client().await;
    let call = Call::post("/zones", json!({ "name": "once" }));
    let calls = (0..30).map(|_| client.submit(&call));
    for (status, reply) in futures_util::future::join_all(calls).await {
        assert_eq!(status, 202, "{reply}");
        assert!(reply["location"].as_str().unwrap().ends_with(&call.job.to_string()));
    }
    let first = client.end_of(call.job).await;
    process.kill();
    process.start_again().await;
    assert_eq!(client.run(&call).await, first);
    assert_eq!(client.query("/zones").await.len(), 1);
}

#[tokio::test]
async fn the_id_of_a_call_is_not_taken_for_another_one() {
    let process = Process::start().await;
    let client = process.client().await;
    let call = Call::post("/zones", json!({ "name": "first" }));
    client.run(&call).await;
    let renamed = Call::post("/zones", json!({ "name": "second" })).job(call.job);
    let (status, reply) = client.submit(&renamed).await;
    assert_eq!((status, code(&reply)), (400, "SYS.1007"));
    assert!(details(&reply).contains("CreateZone with other parameters"), "{reply}");
    let offering = json!({ "name": "o", "cpuNum": 1, "memorySize": 1 << 30 });
    let other = Call::post("/instance-offerings", offering).job(call.job);
    let (status, reply) = client.submit(&other).await;
    assert_eq!((status, code(&reply)), (400, "SYS.1007"));
    assert!(details(&reply).contains("an earlier call of CreateZone"), "{reply}");
    assert_eq!((client.query("/zones").await.len(), client.query("/instance-offerings").await.len()), (1, 0));
}

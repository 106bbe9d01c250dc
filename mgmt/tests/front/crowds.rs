//! Many clients, many requests, many jobs.

use std::time::Duration;

use gantry_mgmt::api::Limits;
use serde_json::json;

use crate::connection::Front;

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_connection_too_many_is_told_so_and_the_others_go_on() {
    let front = Front::serve(Limits { connections: 2, ..Limits::default() }).await;
    let mut first = front.log_in().await;
    let mut second = front.again(&first).await;
    assert_eq!(second.get("/zstack/v1/zones").await.status, 200);
    let mut third = front.connect().await;
    let answer = third.answer().await.unwrap();
    assert_eq!((answer.status, answer.code()), (503, "SYS.1003"));
    assert!(answer.head.contains("retry-after: 1\r\n"), "{}", answer.head);
    assert!(third.is_cut().await);
    assert_eq!(first.get("/zstack/v1/zones").await.status, 200);
    assert_eq!(second.get("/zstack/v1/zones").await.status, 200);
    drop(second);
    // The node learns of it when it looks.
    loop {
        let mut next = front.again(&first).await;
        next.send("GET", "/zstack/v1/zones", &[], "").await;
        if next.answer().await.is_some_and(|answer| answer.status == 200) {
            break;
        }
    }
}

#[tokio::test]
async fn a_session_with_too_many_requests_waits_and_then_is_told_so_while_others_go_on() {
    let front = Front::serve(Limits { requests_per_session: 3, turn_patience: SHORT, ..Limits::default() }).await;
    let busy = front.log_in().await;
    let mut other = front.log_in().await;
    let hold = front.hold_writer().await;
    let mut waiting = Vec::new();
    for number in 0..3 {
        let mut client = front.again(&busy).await;
        let body = json!({ "params": { "name": format!("zone {number}") } });
        client.send("POST", "/zstack/v1/zones", &[], &body.to_string()).await;
        waiting.push(client);
    }
    let mut one_more = front.again(&busy).await;
    let refused = loop {
        let answer = one_more.get("/zstack/v1/zones").await;
        // Until the three are at work.
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((refused.status, refused.code()), (503, "SYS.1003"));
    assert!(refused.head.contains("retry-after: 1\r\n"), "{}", refused.head);
    assert!(refused.body["error"]["details"].as_str().unwrap().starts_with("3 requests of one session are at work"));
    assert_eq!(other.get("/zstack/v1/zones").await.status, 200);
    drop(hold);
    for client in &mut waiting {
        assert_eq!(client.answer().await.unwrap().status, 202);
    }
    assert_eq!(one_more.get("/zstack/v1/zones").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_are_answered_and_nothing_is_lost_while_thousands_of_jobs_run() {
    const CALLERS: usize = 20;
    const JOBS_EACH: usize = 100;
    let front = Front::serve(Limits::default()).await;
    let first = front.log_in().await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let mut client = front.again(&first).await;
        callers.spawn(async move {
            let mut locations = Vec::new();
            for number in 0..JOBS_EACH {
                let body = json!({ "params": { "name": format!("zone {caller} {number}") } });
                let answer = client.call("POST", "/zstack/v1/zones", &body).await;
                assert_eq!(answer.status, 202, "{}", answer.body);
                locations.push(answer.body["location"].as_str().unwrap().to_owned());
            }
            (client, locations)
        });
    }
    let mut watcher = front.log_in().await;
    let mut looks = 0;
    let mut accepted = Vec::new();
    while accepted.len() < CALLERS {
        let answer = watcher.get("/zstack/v1/zones?q=name~=zone%25&limit=100&replyWithCount=true").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        looks += 1;
        while let Some(caller) = callers.try_join_next() {
            accepted.push(caller.unwrap());
        }
    }
    assert!(looks > 0);
    for (mut client, locations) in accepted {
        for location in locations {
            let ended = client.ended(&location[location.find("/zstack").unwrap()..]).await;
            assert_eq!(ended.status, 200, "{}", ended.body);
        }
    }
    let count = watcher.get("/zstack/v1/zones?count=true").await;
    assert_eq!(count.body["total"], json!(CALLERS * JOBS_EACH));
}

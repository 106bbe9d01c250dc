//! A node whose store does not come back in time, and clients that do not wait for it.

use std::time::Duration;

use gantry_mgmt::{api::Limits, failure::Failure};
use serde_json::json;

use crate::connection::Front;

const SHORT: Duration = Duration::from_millis(300);
const JOB: &str = "5d94103e19254d8696c0f05489c259ab";

#[tokio::test]
async fn a_query_is_answered_by_the_deadline_whatever_holds_it_up() {
    let front = Front::serve(Limits { answer_deadline: SHORT, ..Limits::default() }).await;
    let mut client = front.log_in().await;
    // Every reader there is, and more that queue before the query.
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Arc::new(std::sync::Mutex::new(held));
    for _ in 0..100 {
        let (store, held) = (front.node.store.clone(), held.clone());
        tokio::spawn(async move {
            let look = store.read(move |_| {
                let _ = held.lock().unwrap().recv();
                Ok::<_, Failure>(())
            });
            look.await.unwrap();
        });
    }
    let late = loop {
        let answer = client.get("/zstack/v1/zones").await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((late.status, late.code()), (503, "SYS.1001"));
    assert!(late.body["error"]["details"].as_str().unwrap().ends_with("ask again"), "{}", late.body);
    drop(hold);
    assert_eq!(client.get("/zstack/v1/zones").await.status, 200);
}

#[tokio::test]
async fn a_call_that_is_answered_by_the_deadline_is_not_lost() {
    let front = Front::serve(Limits { answer_deadline: SHORT, ..Limits::default() }).await;
    let mut client = front.log_in().await;
    let hold = front.hold_writer().await;
    let body = json!({ "params": { "name": "zone" } }).to_string();
    client.send("POST", "/zstack/v1/zones", &[("X-Job-UUID", JOB)], &body).await;
    let late = client.answer().await.unwrap();
    assert_eq!((late.status, late.code()), (503, "SYS.1001"));
    assert!(late.body["error"]["details"].as_str().unwrap().contains("what it began goes on"), "{}", late.body);
    drop(hold);
    assert_eq!(client.ended(&format!("/zstack/v1/api-jobs/{JOB}")).await.status, 200);
    // Sent again, it is the same call.
    client.send("POST", "/zstack/v1/zones", &[("X-Job-UUID", JOB)], &body).await;
    assert_eq!(client.answer().await.unwrap().status, 202);
    assert_eq!(client.get("/zstack/v1/zones?count=true").await.body["total"], json!(1));
}

#[tokio::test]
async fn a_call_whose_client_hangs_up_is_carried_out_all_the_same() {
    let front = Front::serve(Limits::default()).await;
    let mut client = front.log_in().await;
    let hold = front.hold_writer().await;
    let mut hasty = front.again(&client).await;
    let body = json!({ "params": { "name": "zone" } }).to_string();
    hasty.send("POST", "/zstack/v1/zones", &[("X-Job-UUID", JOB)], &body).await;
    // It is at work once the session has no other turn left.
    while front.node.turns.at_work() == 0 {
        tokio::task::yield_now().await;
    }
    drop(hasty);
    assert_eq!(client.get("/zstack/v1/zones?count=true").await.body["total"], json!(0));
    drop(hold);
    assert_eq!(client.ended(&format!("/zstack/v1/api-jobs/{JOB}")).await.status, 200);
}

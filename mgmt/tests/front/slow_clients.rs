//! Clients that keep the node waiting, on purpose or because they have died.

use std::time::Duration;

use gantry_mgmt::api::Limits;
use tokio::io::AsyncWriteExt;

use crate::connection::Front;

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let front = Front::serve(Limits { head_patience: SHORT, ..Limits::default() }).await;
    let mut client = front.connect().await;
    client.write("GET /zstack/v1/zones HTTP/1.1\r\nHost: x\r\n").await;
    // It goes on as long as it is let.
    while client.stream.write_all(b"X").await.is_ok() {
        tokio::time::sleep(SHORT / 20).await;
    }
    assert_eq!(front.connect().await.get("/zstack/v1/nothing").await.status, 404);
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let front = Front::serve(Limits { head_patience: SHORT, ..Limits::default() }).await;
    assert!(front.connect().await.is_cut().await);
    let mut client = front.connect().await;
    assert_eq!(client.get("/zstack/v1/nothing").await.status, 404);
    assert!(client.is_cut().await);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let front = Front::serve(Limits { body_patience: SHORT, ..Limits::default() }).await;
    let mut client = front.connect().await;
    client.write("POST /zstack/api HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{").await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.code()), (408, "SYS.1408"));
    assert!(client.is_cut().await);
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answers_is_cut() {
    let front = Front::serve(Limits { write_patience: SHORT, ..Limits::default() }).await;
    let mut client = front.connect().await;
    // Each answer repeats the path.
    let request = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(50_000));
    while client.stream.write_all(request.as_bytes()).await.is_ok() {}
}

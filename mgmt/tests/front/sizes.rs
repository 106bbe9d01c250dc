//! Requests that are too large.

use gantry_mgmt::api::Limits;
use serde_json::json;

use crate::connection::Front;

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_one_that_fits_is_not() {
    let front = Front::serve(Limits { body_bytes: 10_000, ..Limits::default() }).await;
    let mut client = front.log_in().await;
    let zone = |size: usize| json!({ "params": { "name": "zone", "userTags": ["x".repeat(size)] } });
    let answer = client.call("POST", "/zstack/v1/zones", &zone(10_000)).await;
    assert_eq!((answer.status, answer.code()), (413, "SYS.1413"));
    assert!(answer.body["error"]["details"].as_str().unwrap().contains("10000 bytes at most"), "{}", answer.body);
    // The whole of it was read, so the connection goes on.
    assert_eq!(client.call("POST", "/zstack/v1/zones", &zone(9_000)).await.status, 202);
    // One that does not say its size.
    client.write("POST /zstack/v1/zones HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for _ in 0..20 {
        client.write(&format!("400\r\n{}\r\n", "x".repeat(0x400))).await;
    }
    client.write("0\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 413);
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_too_much_is_told_at_once() {
    let front = Front::serve(Limits::default()).await;
    let mut client = front.connect().await;
    client
        .write("POST /zstack/api HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.unwrap().status, 413);
}

#[tokio::test]
async fn a_body_without_end_is_not_read_to_its_end() {
    let front = Front::serve(Limits { body_bytes: 10_000, ..Limits::default() }).await;
    let mut client = front.connect().await;
    client.write("POST /zstack/api HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n").await;
    let (mut reader, mut writer) = client.stream.into_split();
    let writing = tokio::spawn(async move {
        let block = vec![b'x'; 1 << 20];
        while tokio::io::AsyncWriteExt::write_all(&mut writer, &block).await.is_ok() {}
    });
    let mut answer = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut answer).await;
    writing.await.unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let front = Front::serve(Limits { head_bytes: 20_000, ..Limits::default() }).await;
    let mut client = front.log_in().await;
    client.send("GET", "/zstack/v1/zones", &[("X-Long", &"x".repeat(15_000))], "").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    client.send("GET", "/zstack/v1/zones", &[("X-Long", &"x".repeat(25_000))], "").await;
    assert_eq!(client.answer().await.unwrap().status, 431);
    assert!(client.is_cut().await);
    let mut client = front.log_in().await;
    let many: Vec<(String, &str)> = (0..200).map(|number| (format!("X-{number}"), "x")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    client.send("GET", "/zstack/v1/zones", &many, "").await;
    assert_eq!(client.answer().await.unwrap().status, 431);
}

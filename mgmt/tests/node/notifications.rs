use gantry_mgmt::{
    clock::Timestamp,
    failure::Failure,
    notification::Notice,
    resource::{ConnectionStatus, Host, Machine, NotificationType},
};
use serde_json::{Value, json};

use super::{
    api::{Api, details},
    wire::RunningAgent,
    world::World,
};

fn contents(found: &[Value]) -> Vec<&str> {
    found.iter().map(|notification| notification["content"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_host_that_goes_and_comes_back_is_told() {
    let api = Api::start().await;
    let agent = RunningAgent::start(&api.node.authority).await;
    let world = World::with_host(&api, agent.host).await;
    let (host, address) = (agent.host, agent.address);
    let path = format!("/notifications?q=resourceUuid={host}&sort=%2BcreateDate");
    api.node.fleet.watch(agent.endpoint());
    api.node.fleet.wait_connected(host, std::time::Duration::from_secs(60)).await.unwrap();
    assert!(api.inventories(&path).await.is_empty(), "a host that was there and is there is no news");
    agent.stop().await;
    let found = api.eventually(&path, |found| !found.is_empty()).await;
    assert_eq!((&found[0]["type"], &found[0]["status"]), (&json!("Warning"), &json!("Unread")));
    assert_eq!(found[0]["resourceType"], json!("HostVO"));
    let arguments: Vec<String> = serde_json::from_str(found[0]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments[0], world.host.to_string());
    assert_eq!(arguments.len(), found[0]["content"].as_str().unwrap().matches("%s").count());
    let _again = RunningAgent::start_as(super::wire::identity(&api.node.authority, host), address).await;
    api.node.fleet.redial_now(host);
    let found =
        api.eventually(&path, |found| contents(found).iter().any(|text| text.contains("Connected again"))).await;
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn a_host_that_comes_for_the_first_time_is_no_news() {
    let api = Api::start().await;
    let agent = RunningAgent::start(&api.node.authority).await;
    World::with_host(&api, agent.host).await;
    let expected = agent.host;
    let waiting = api.node.store.write(move |tx| {
        let mut machine = tx.get::<Machine>(expected)?.unwrap();
        machine.facts = None;
        machine.status = ConnectionStatus::Disconnected;
        machine.status_reason = Some("nobody answered yet".to_owned());
        tx.save(&machine)?;
        let mut host = tx.get::<Host>(expected)?.unwrap();
        host.status = ConnectionStatus::Disconnected;
        tx.save(&host)?;
        Ok::<_, Failure>(())
    });
    waiting.await.unwrap();
    api.node.fleet.watch(agent.endpoint());
    api.eventually("/hosts?q=status=Connected", |hosts| !hosts.is_empty()).await;
    assert!(api.inventories("/notifications").await.is_empty());
}

async fn tell(api: &Api, text: &str) {
    Notice::new(NotificationType::Info, "it happened: %s", [text.to_owned()]).tell(&api.node).await;
}

#[tokio::test]
async fn notifications_are_marked_and_deleted() {
    let api = Api::start().await;
    for text in ["a", "b", "b"] {
        tell(&api, text).await;
    }
    let found = api.inventories("/notifications").await;
    assert_eq!(found.len(), 2, "what nobody has read yet is not told twice");
    let uuids: Vec<&Value> = found.iter().map(|notification| &notification["uuid"]).collect();
    api.act("/notifications", "updateNotificationsStatus", json!({ "uuids": uuids, "status": "Read" })).await.unwrap();
    assert_eq!(api.get("/notifications?q=status=Read&count=true").await["total"], json!(2));
    tell(&api, "b").await;
    assert_eq!(
        api.get("/notifications?count=true").await["total"],
        json!(3),
        "what was read and happens again is news"
    );
    let unknown = json!({ "uuids": [uuids[0], api.node.uuid.to_string()], "status": "Unread" });
    let refused = api.act("/notifications", "updateNotificationsStatus", unknown).await.unwrap_err();
    assert!(details(&refused).contains("uuids"), "{refused}");
    assert_eq!(api.get("/notifications?q=status=Read&count=true").await["total"], json!(2), "all or none");
    let refused =
        api.act("/notifications", "updateNotificationsStatus", json!({ "uuids": uuids, "status": "Seen" })).await;
    assert!(details(&refused.unwrap_err()).contains("Unread, Read"));
    let (a, b) = (uuids[0].as_str().unwrap(), uuids[1].as_str().unwrap());
    api.delete(&format!("/notifications?uuids={a}&uuids={b}")).await.unwrap();
    api.delete(&format!("/notifications?uuids={a}")).await.expect("what is gone is no error");
    assert_eq!(api.get("/notifications?count=true").await["total"], json!(1));
}

#[tokio::test]
async fn no_more_notifications_are_kept_than_the_settings_allow() {
    let api = Api::start().await;
    api.set("notification", "maxNumber", "3").await.unwrap();
    for number in 0..5 {
        tell(&api, &number.to_string()).await;
    }
    let found = api.inventories("/notifications").await;
    let mut kept: Vec<&str> = found.iter().map(|notification| notification["arguments"].as_str().unwrap()).collect();
    kept.sort_unstable();
    assert_eq!(kept, ["[\"2\"]", "[\"3\"]", "[\"4\"]"]);
    let month = std::time::Duration::from_secs(40 * 24 * 3600);
    let old = Timestamp::now().minus(month);
    let gone = api.node.store.write(move |tx| tx.drop_old_notifications(old)).await.unwrap();
    assert_eq!(gone, 0);
    let gone = api
        .node
        .store
        .write(|tx| tx.drop_old_notifications(Timestamp::now().plus(std::time::Duration::from_secs(1))))
        .await;
    assert_eq!(gone.unwrap(), 3);
}

#[tokio::test]
async fn a_notice_stands_with_its_resource() {
    let api = Api::start().await;
    let world = World::with_host(&api, gantry_common::id::HostUuid::random()).await;
    Notice::new(NotificationType::Error, "it broke", []).about::<Host>(world.host).tell(&api.node).await;
    let found = api.inventories(&format!("/notifications?q=resourceUuid={}", world.host)).await;
    assert_eq!((&found[0]["resourceType"], &found[0]["type"]), (&json!("HostVO"), &json!("Error")));
}

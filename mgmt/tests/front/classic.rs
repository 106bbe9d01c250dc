//! The classic protocol, as its clients speak it.

use gantry_mgmt::api::Limits;
use serde_json::{Value, json};

use crate::{
    connection::{Connection, Front},
    served_node::{digest, right_digest},
};

/// A client at the door.
struct Client {
    connection: Connection,
    session: Option<String>,
}

impl Client {
    async fn at(front: &Front) -> Self {
        let mut client = Self { connection: front.connect().await, session: None };
        let reply = client.log_in(&right_digest()).await;
        client.session = Some(reply["inventory"]["uuid"].as_str().unwrap().to_owned());
        client
    }

    async fn log_in(&mut self, password: &str) -> Value {
        let message = json!({ "accountName": "admin", "password": password });
        let (class, reply) = self.send("org.zstack.header.identity.APILogInByAccountMsg", message).await;
        assert_eq!(class, "org.zstack.header.identity.APILogInReply");
        reply
    }

    /// Sends a message, waits until it is done, and answers the class and the fields of its reply.
    async fn send(&mut self, class: &str, mut fields: Value) -> (String, Value) {
        if let Some(session) = &self.session {
            fields["session"] = json!({ "uuid": session });
        }
        let mut answer = self.connection.call("POST", "/zstack/api/", &json!({ class: fields })).await;
        while answer.status == 200 && answer.body["state"] == "Processing" {
            let job = answer.body["uuid"].as_str().unwrap().to_owned();
            answer = self.connection.get(&format!("/zstack/api/result/{job}")).await;
        }
        assert_eq!((answer.status, &answer.body["state"]), (200, &json!("Done")), "{}", answer.body);
        let result: Value = serde_json::from_str(answer.body["result"].as_str().unwrap()).unwrap();
        let (class, reply) = result.as_object().unwrap().iter().next().unwrap();
        (class.clone(), reply.clone())
    }

    async fn made(&mut self, class: &str, fields: Value) -> String {
        let (_, reply) = self.send(class, fields).await;
        assert_eq!(reply["success"], true, "{reply}");
        reply["inventory"]["uuid"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn messages_make_query_and_delete() {
    let front = Front::serve(Limits::default()).await;
    let mut client = Client::at(&front).await;
    let zone = client.made("org.zstack.header.zone.APICreateZoneMsg", json!({ "name": "west" })).await;
    client.made("org.zstack.header.zone.APICreateZoneMsg", json!({ "name": "east" })).await;
    let cluster = json!({ "name": "c", "zoneUuid": zone, "hypervisorType": "KVM", "timeout": 3000 });
    client.made("org.zstack.header.cluster.APICreateClusterMsg", cluster).await;

    let query =
        json!({ "conditions": [{ "name": "cluster.name", "op": "in", "value": "b,c" }], "replyWithCount": true });
    let (class, reply) = client.send("org.zstack.header.zone.APIQueryZoneMsg", query).await;
    assert_eq!(class, "org.zstack.header.zone.APIQueryZoneReply");
    assert_eq!((&reply["success"], &reply["total"], reply.get("schema")), (&json!(true), &json!(1), None));
    assert_eq!((&reply["inventories"][0]["uuid"], &reply["inventories"][0]["name"]), (&json!(zone), &json!("west")));

    let (class, refused) = client.send("org.zstack.header.zone.APIDeleteZoneMsg", json!({ "uuid": zone })).await;
    assert_eq!(class, "org.zstack.header.zone.APIDeleteZoneEvent");
    // Whether the node lets it go or keeps it for its cluster, it says so in the event.
    assert!(refused["success"].is_boolean(), "{refused}");
}

#[tokio::test]
async fn what_fails_says_so_in_the_reply() {
    let front = Front::serve(Limits::default()).await;
    let mut client = Client::at(&front).await;
    let code = |reply: &Value| reply["error"]["code"].as_str().unwrap_or_default().to_owned();

    let mut stranger = Client { connection: front.connect().await, session: None };
    let reply = stranger.log_in(&digest("wrong")).await;
    assert_eq!((&reply["success"], code(&reply).as_str()), (&json!(false), "ID.1000"));
    let zones = "org.zstack.header.zone.APIQueryZoneMsg";
    assert_eq!(code(&stranger.send(zones, json!({})).await.1), "ID.1003");
    stranger.session = Some("5d94103e19254d8696c0f05489c259ab".to_owned());
    assert_eq!(code(&stranger.send(zones, json!({})).await.1), "ID.1001");

    let (class, reply) = client.send("org.zstack.header.zone.APICreateZoneMsg", json!({})).await;
    assert_eq!(class, "org.zstack.header.zone.APICreateZoneEvent");
    assert_eq!(reply["error"]["details"], "name '' is not usable: CreateZone needs it in the message");
    let doubtful = json!({ "conditions": [{ "name": "name", "op": "?=", "value": "a%" }] });
    let (_, reply) = client.send(zones, doubtful).await;
    assert_eq!(code(&reply), "SYS.1006");
    assert!(reply["error"]["details"].as_str().unwrap().contains("unknown QueryOp type[?=]"), "{reply}");
    let (class, reply) = client.send("org.zstack.moon.APIQueryMoonMsg", json!({})).await;
    assert_eq!((class.as_str(), code(&reply).as_str()), ("org.zstack.moon.APIQueryMoonReply", "SYS.1002"));
    let (class, reply) = client.send("org.zstack.header.zone.APIDeleteZoneMsg", json!({ "uuid": "x" })).await;
    assert_eq!((class.as_str(), code(&reply).as_str()), ("org.zstack.header.zone.APIDeleteZoneEvent", "SYS.1007"));
}

#[tokio::test]
async fn what_is_no_message_is_refused_by_status() {
    let front = Front::serve(Limits::default()).await;
    let mut client = front.connect().await;
    for body in [json!([]), json!({}), json!({ "a.APIBMsg": {}, "a.APICMsg": {} }), json!({ "zone": {} })] {
        let answer = client.call("POST", "/zstack/api", &body).await;
        assert_eq!((answer.status, answer.code()), (400, "SYS.1007"), "{body}");
    }
    assert_eq!(client.get("/zstack/api").await.status, 405);
    assert_eq!(client.get("/zstack/api/results").await.status, 404);
    assert_eq!(client.get("/zstack/apis").await.status, 404);
    let answer = client.get("/zstack/api/result/5d94103e19254d8696c0f05489c259ab").await;
    assert_eq!((answer.status, answer.code()), (404, "SYS.1404"));
}

#[tokio::test]
async fn a_session_and_a_job_are_the_same_at_both_doors() {
    let front = Front::serve(Limits::default()).await;
    let mut client = Client::at(&front).await;
    let mut other = front.connect().await;
    other.session = client.session.clone();
    let location = other.call("POST", "/zstack/v1/zones", &json!({ "params": { "name": "z" } })).await.body["location"]
        .as_str()
        .unwrap()
        .to_owned();
    let job = location.rsplit('/').next().unwrap();
    other.ended(&format!("/zstack/v1/api-jobs/{job}")).await;
    let answer = client.connection.get(&format!("/zstack//api/result/{job}")).await;
    assert!(answer.body["result"].as_str().unwrap().starts_with("{\"org.zstack.header.zone.APICreateZoneEvent\":"));
    let (_, reply) =
        client.send("org.zstack.header.identity.APILogOutMsg", json!({ "sessionUuid": other.session })).await;
    assert_eq!(reply["success"], true);
    assert_eq!(other.get("/zstack/v1/zones").await.code(), "ID.1001");
}

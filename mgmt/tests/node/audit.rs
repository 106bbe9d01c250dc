//! What is written down of calls.

use serde_json::{Value, json};

use super::{
    api::Api,
    served_node::{digest, right_digest},
    tenants::make_account,
};

async fn audits(api: &Api, query: &str) -> Vec<Value> {
    api.inventories(&format!("/audits?{query}")).await
}

/// The only call that is found.
async fn audit(api: &Api, query: &str) -> Value {
    let mut found = audits(api, query).await;
    assert_eq!(found.len(), 1, "{query}: {found:?}");
    found.remove(0)
}

#[tokio::test]
async fn every_change_is_written_down_with_its_end_and_every_refusal() {
    let api = Api::start().await;
    let zone = api.post("/zones", json!({ "name": "z" })).await.unwrap()["inventory"]["uuid"].clone();
    let made = audit(&api, "q=apiName=CreateZone").await;
    assert_eq!((&made["state"], &made["resourceUuids"]), (&json!("Succeeded"), &zone));
    assert_eq!((&made["accountUuid"], &made["clientAddress"]), (&json!(api.node.admin), &json!("127.0.0.1")));
    assert!(made["jobUuid"].is_string() && made["duration"].is_number() && made.get("errorCode").is_none(), "{made}");

    let refused = api.delete(&format!("/zones/{}", gantry_common::id::ZoneUuid::random())).await.unwrap_err();
    let failed = audit(&api, "q=apiName=DeleteZone").await;
    assert_eq!((&failed["state"], &failed["errorCode"]), (&json!("Failed"), &refused["code"]));

    make_account(&api, "one").await.unwrap();
    let one = api.log_in_as("one", "one").await.unwrap();
    let _ = one.post("/zones", json!({ "name": "y" })).await.unwrap_err();
    let _ = one.call(http::Method::GET, "/hosts", Value::Null).await.unwrap_err();
    let _ = one.delete(&format!("/vm-instances/{}", gantry_common::id::VmUuid::random())).await.unwrap_err();
    for (name, code) in [("CreateZone", "ID.1002"), ("QueryHost", "ID.1002"), ("DestroyVmInstance", "SYS.1009")] {
        let refused = audit(&one, &format!("q=state=Refused&q=apiName={name}")).await;
        assert_eq!(refused["errorCode"], json!(code), "{refused}");
    }
    // An account sees its own calls, its login among them.
    let own = audits(&one, "").await;
    let login = audit(&one, "q=apiName=LogInByAccount").await;
    assert_eq!(own.len(), 4, "{own:?}");
    assert!(own.iter().all(|audit| audit["sessionMark"] == login["sessionMark"]), "{own:?}");
    assert!(audits(&api, "").await.len() > 6);
    // What only reads is not written down.
    assert!(audits(&api, "q=apiName~=Query%25&q=state!=Refused").await.is_empty());
}

#[tokio::test]
async fn neither_passwords_nor_sessions_are_written_down() {
    let api = Api::start().await;
    make_account(&api, "one").await.unwrap();
    let one = api.log_in_as("one", "one").await.unwrap();
    let wrong = api.log_in_as("one", "two").await;
    assert!(wrong.is_err());
    let renew = format!("/accounts/sessions/{}/renew", one.session());
    one.call(http::Method::PUT, &renew, json!({ "renewSession": {} })).await.unwrap();
    one.call(http::Method::DELETE, &format!("/accounts/sessions/{}", one.session()), Value::Null).await.unwrap();
    assert_eq!(audit(&api, "q=apiName=LogInByAccount&q=state=Failed").await["errorCode"], json!("ID.1000"));
    let renewed = audit(&api, "q=apiName=RenewSession").await;
    assert_eq!(audit(&api, "q=apiName=LogOut").await["sessionMark"], renewed["sessionMark"]);
    let text = Value::Array(audits(&api, "").await).to_string();
    for secret in [api.session(), one.session(), &digest("one"), &digest("two"), &right_digest()] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn no_more_calls_are_kept_than_are_wanted() {
    let api = Api::start().await;
    api.set("audit", "maxNumber", "100").await.unwrap();
    for number in 0..120 {
        api.post("/zones", json!({ "name": format!("z{number}") })).await.unwrap();
    }
    let kept = api.get("/audits?q=apiName=CreateZone&count=true").await;
    assert_eq!(kept, json!({ "total": 100 }));
}

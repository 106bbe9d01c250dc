use gantry_common::id::HostUuid;
use http::Method;
use serde_json::{Value, json};

use super::{
    api::{Api, details},
    world::World,
};

#[tokio::test]
async fn a_setting_is_found_changed_and_brought_back_to_its_default() {
    let api = Api::start().await;
    let path = "/global-configurations?q=category=vm&q=name=expungePeriod";
    let found = api.get(path).await;
    assert_eq!(found["schema"]["inventories[0]"], json!("org.zstack.core.config.GlobalConfigInventory"));
    assert_eq!(found["inventories"][0]["value"], json!("259200"));
    assert_eq!(found["inventories"][0]["defaultValue"], json!("259200"));
    let changed = api.set("vm", "expungePeriod", "60").await.unwrap();
    assert_eq!(changed["inventory"]["value"], json!("60"));
    assert_eq!(api.node.settings.now().vm_expunge_period.as_secs(), 60);
    assert_eq!(api.inventories(path).await[0]["value"], json!("60"));
    let back = api.act("/global-configurations/vm/expungePeriod", "updateGlobalConfig", json!({})).await.unwrap();
    assert_eq!(back["inventory"]["value"], json!("259200"));
    assert_eq!(api.node.settings.now().vm_expunge_period.as_secs(), 259_200);
}

#[tokio::test]
async fn a_value_that_does_not_fit_and_a_setting_that_does_not_exist_are_refused() {
    let api = Api::start().await;
    let refused = api.set("vm", "expungePeriod", "-1").await.unwrap_err();
    assert_eq!(refused["code"], json!("SYS.1007"));
    assert!(details(&refused).contains("value '-1'") && details(&refused).contains("(seconds)"), "{refused}");
    let refused = api.set("vm", "colour", "red").await.unwrap_err();
    assert!(details(&refused).contains("name 'colour'") && details(&refused).contains("expungePeriod"), "{refused}");
}

#[tokio::test]
async fn overcommit_and_reserve_count_at_once_for_the_hosts_that_are_there() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    let host = format!("/hosts/{}", world.host);
    api.set("host", "cpu.overProvisioning.ratio", "3").await.unwrap();
    api.set("kvm", "reservedMemory", "512M").await.unwrap();
    api.set("mevoco", "overProvisioning.memory", "1.5").await.unwrap();
    let found = &api.inventories(&host).await[0];
    assert_eq!(found["totalCpuCapacity"], json!(6));
    assert_eq!(found["totalMemoryCapacity"], json!(3_u64 << 28));
    assert_eq!(found["availableMemoryCapacity"], json!(3_u64 << 28));
}

#[tokio::test]
async fn no_more_sessions_are_given_than_the_setting_allows() {
    let api = Api::start().await;
    api.set("identity", "session.maxConcurrent", "2").await.unwrap();
    api.log_in().await.unwrap();
    let refused = api.log_in().await.unwrap_err();
    assert!(details(&refused).contains("has 2 sessions already"), "{refused}");
}

#[tokio::test]
async fn a_shorter_session_timeout_holds_for_the_sessions_there_are() {
    let api = Api::start().await;
    api.set("identity", "session.timeout", "60").await.unwrap();
    let before = gantry_mgmt::clock::Timestamp::now();
    let sessions = api.node.store.read(|tx| tx.all::<gantry_mgmt::resource::Session>()).await.unwrap();
    assert!(sessions.iter().all(|session| session.expired_date <= before.plus(std::time::Duration::from_secs(60))));
}

#[tokio::test]
async fn capacity_is_told_of_the_hosts_that_are_named() {
    let api = Api::start().await;
    let world = World::with_host(&api, HostUuid::random()).await;
    api.set("kvm", "reservedMemory", "0").await.unwrap();
    let path = "/hosts/capacities/cpu-memory";
    let of = |query: String| format!("{path}?{query}");
    for query in [
        "all=true".to_owned(),
        format!("hostUuids={}", world.host),
        format!("zoneUuids={}&clusterUuids={}&hypervisorType=KVM", world.zone, world.cluster),
    ] {
        let found = api.get(&of(query)).await;
        assert_eq!((found["totalCpu"].as_u64(), found["managedCpuNum"].as_u64()), (Some(20), Some(2)));
        assert_eq!((found["totalMemory"].as_u64(), found["availableMemory"].as_u64()), (Some(1 << 30), Some(1 << 30)));
    }
    let other = World::with_zone(&api).await;
    assert_eq!(api.get(&of(format!("zoneUuids={other}"))).await["totalCpu"], json!(0));
    assert_eq!(api.get(&of("all=true&hypervisorType=ESX".to_owned())).await["totalCpu"], json!(0));
    let refused = api.call(Method::GET, path, Value::Null).await.unwrap_err();
    assert!(details(&refused).contains("set it to true"), "{refused}");
    let refused = api.call(Method::GET, &of(format!("zoneUuids={}", world.host)), Value::Null).await.unwrap_err();
    assert!(details(&refused).contains("zoneUuids"), "{refused}");
}

#[tokio::test]
async fn the_node_tells_of_itself() {
    let api = Api::start().await;
    let nodes = api.inventories("/management-nodes").await;
    assert_eq!(nodes.len(), 1);
    let uuid = nodes[0]["uuid"].as_str().unwrap();
    assert_eq!(uuid, api.node.uuid.to_string());
    assert!(nodes[0]["joinDate"].is_string() && nodes[0]["heartBeat"].is_string() && nodes[0]["hostName"].is_string());
    assert_eq!(api.inventories(&format!("/management-nodes/{uuid}")).await, nodes);
    assert_eq!(api.get("/management-nodes/ready").await["managementNodeId"], json!(uuid));
    let version = api.act("/management-nodes", "getVersion", json!({})).await.unwrap();
    assert!(version["version"].is_string());
    let time = api.act("/management-nodes", "getCurrentTime", json!({})).await.unwrap();
    let millis = time["currentTime"]["MillionSeconds"].as_i64().unwrap();
    assert_eq!(time["currentTime"]["Seconds"], json!(millis / 1000));
}

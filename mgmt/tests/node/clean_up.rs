use std::{sync::atomic::Ordering, time::Duration};

use gantry_common::{
    agent::DeleteVolume,
    id::{HostUuid, VmUuid},
};
use gantry_mgmt::cleanup::{Cleanup, clean_up};
use serde_json::json;

use super::{
    api::{Api, details},
    wire::RunningAgent,
    world::World,
};

const PATIENCE: Duration = Duration::from_secs(60);

async fn owe(api: &Api, machine: HostUuid, path: &str) {
    let command = DeleteVolume { root: "/root".to_owned(), path: path.to_owned() };
    clean_up(&api.node, machine, Cleanup::Volume(command)).await.unwrap();
}

async fn connect(api: &Api, agent: &RunningAgent) {
    api.node.fleet.watch(agent.endpoint());
    api.node.fleet.wait_connected(agent.host, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn what_a_host_owes_is_done_in_order_when_it_is_back() {
    let api = Api::start().await;
    let agent = RunningAgent::start(&api.node.authority).await;
    World::with_host(&api, agent.host).await;
    let paths = ["/root/c", "/root/a", "/root/b"];
    for path in paths {
        owe(&api, agent.host, path).await;
    }
    let owed = api.inventories("/gc-jobs?q=status=Idle").await;
    assert_eq!(owed.len(), 3);
    assert_eq!((&owed[0]["type"], &owed[0]["runnerClass"]), (&json!("EventBased"), &json!("volume")));
    assert_eq!(owed[0]["managementNodeUuid"], json!(api.node.uuid));
    assert!(owed.iter().any(|job| job["context"].as_str().unwrap().contains("/root/c")), "{owed:?}");
    connect(&api, &agent).await;
    assert_eq!(*agent.double.deleted.lock(), paths);
    assert_eq!(api.get("/gc-jobs?q=status=Done&count=true").await["total"], json!(3));
    api.set("gc", "retentionTime", "0").await.unwrap();
    api.set("gc", "retryInterval", "1").await.unwrap();
    api.eventually("/gc-jobs", <[_]>::is_empty).await;
}

#[tokio::test]
async fn a_clean_up_is_triggered_and_dropped_by_hand() {
    let api = Api::start().await;
    let agent = RunningAgent::start(&api.node.authority).await;
    World::with_host(&api, agent.host).await;
    owe(&api, agent.host, "/root/a").await;
    owe(&api, agent.host, "/root/b").await;
    let owed = api.inventories("/gc-jobs").await;
    let job = |path: &str| {
        let owed = owed.iter().find(|job| job["name"].as_str().unwrap().contains(path)).unwrap();
        format!("/gc-jobs/{}", owed["uuid"].as_str().unwrap())
    };
    let refused = api.act(&job("/root/a"), "triggerGCJob", json!({})).await.unwrap_err();
    assert_eq!(refused["code"], json!("HOST.1000"), "{refused}");
    assert_eq!(api.inventories(&job("/root/a")).await[0]["status"], json!("Idle"));
    api.delete(&job("/root/b")).await.unwrap();
    agent.double.refuses.store(true, Ordering::SeqCst);
    connect(&api, &agent).await;
    let refused = api.act(&job("/root/a"), "triggerGCJob", json!({})).await.unwrap_err();
    assert!(details(&refused).contains("the double refuses"), "{refused}");
    agent.double.refuses.store(false, Ordering::SeqCst);
    api.act(&job("/root/a"), "triggerGCJob", json!({})).await.unwrap();
    api.act(&job("/root/a"), "triggerGCJob", json!({})).await.expect("what is done is done");
    assert_eq!(*agent.double.deleted.lock(), ["/root/a"], "the dropped one is not done");
    assert_eq!(api.inventories(&job("/root/a")).await[0]["status"], json!("Done"));
    let refused = api.act(&format!("/gc-jobs/{}", api.node.uuid), "triggerGCJob", json!({})).await.unwrap_err();
    assert_eq!(refused["code"], json!("SYS.1009"));
}

#[tokio::test]
async fn a_clean_up_that_its_host_keeps_refusing_is_given_up_and_told() {
    let api = Api::start().await;
    api.set("gc", "maxAttempts", "2").await.unwrap();
    let agent = RunningAgent::start(&api.node.authority).await;
    World::with_host(&api, agent.host).await;
    owe(&api, agent.host, "/root/a").await;
    let uuid = api.inventories("/gc-jobs").await[0]["uuid"].as_str().unwrap().to_owned();
    agent.double.refuses.store(true, Ordering::SeqCst);
    connect(&api, &agent).await;
    api.set("gc", "retryInterval", "1").await.unwrap();
    let told = api.eventually(&format!("/notifications?q=resourceUuid={uuid}"), |found| !found.is_empty()).await;
    assert_eq!(told[0]["resourceType"], json!("GcJobVO"));
    agent.double.refuses.store(false, Ordering::SeqCst);
    gantry_mgmt::cleanup::settle(&api.node, agent.host).await.unwrap();
    assert!(agent.double.deleted.lock().is_empty(), "what is given up is left to an operator");
    api.act(&format!("/gc-jobs/{uuid}"), "triggerGCJob", json!({})).await.unwrap();
    assert_eq!(*agent.double.deleted.lock(), ["/root/a"]);
}

#[tokio::test]
async fn a_vm_that_has_come_to_run_where_it_was_to_be_stopped_is_left_alone() {
    let api = Api::start().await;
    let agent = RunningAgent::start(&api.node.authority).await;
    let world = World::with_host(&api, agent.host).await;
    let vm: VmUuid = world.vm(&api, gantry_mgmt::resource::VmInstanceState::Running, Duration::ZERO).await;
    clean_up(&api.node, agent.host, Cleanup::Vm(vm)).await.unwrap();
    api.node
        .store
        .write(move |tx| {
            let known = tx.get::<gantry_mgmt::resource::VmInstance>(vm)?.unwrap();
            tx.save(&gantry_mgmt::resource::VmInstance { host_uuid: Some(world.host), ..known })
        })
        .await
        .unwrap();
    connect(&api, &agent).await;
    // The double fails every command to stop a VM: one that is done was not sent.
    assert_eq!(api.inventories("/gc-jobs").await[0]["status"], json!("Done"));
}

//! VMs that are kept apart.

use std::{collections::HashSet, time::Duration};

use gantry_mgmt::resource::VmInstanceState;
use serde_json::{Value, json};

use super::{
    api::{Api, details},
    wire::RunningAgent,
    world::World,
};

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}

async fn group(api: &Api, name: &str, policy: &str) -> String {
    let made = api.post("/affinity-groups", json!({ "name": name, "policy": policy, "type": "host" })).await.unwrap();
    text(&made["inventory"], "uuid")
}

async fn stopped_vm(api: &Api, world: World) -> String {
    world.vm(api, VmInstanceState::Stopped, Duration::ZERO).await.to_string()
}

async fn join(api: &Api, group: &str, vm: &str) -> Result<Value, Value> {
    api.post(&format!("/affinity-groups/{group}/vm-instances/{vm}"), json!({})).await
}

async fn start(api: &Api, vm: &str) -> Result<Value, Value> {
    api.act(&format!("/vm-instances/{vm}"), "startVmInstance", json!({})).await
}

/// A world of two hosts that run whatever they are told to.
async fn two_hosts(api: &Api) -> (World, [RunningAgent; 2]) {
    let agents = [RunningAgent::start(&api.node.authority).await, RunningAgent::start(&api.node.authority).await];
    let world = World::with_host(api, agents[0].host).await;
    world.another_host(api, agents[1].host).await;
    world.attach_network(api).await;
    for agent in &agents {
        api.node.fleet.watch(agent.endpoint());
        api.node.fleet.wait_connected(agent.host, Duration::from_secs(60)).await.unwrap();
    }
    api.set("kvm", "reservedMemory", "0").await.unwrap();
    (world, agents)
}

#[tokio::test]
async fn a_vm_joins_one_group_and_leaves_it() {
    let api = Api::start().await;
    let world = World::with_host(&api, gantry_common::id::HostUuid::random()).await;
    let vm = stopped_vm(&api, world).await;
    let apart = group(&api, "apart", "antiHard").await;
    let joined = join(&api, &apart, &vm).await.unwrap()["inventory"].clone();
    assert_eq!(
        (&joined["policy"], &joined["type"], &joined["state"]),
        (&json!("ANTIHARD"), &json!("HOST"), &json!("Enabled"))
    );
    assert_eq!(joined["usages"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&joined["usages"][0]["resourceUuid"], &joined["usages"][0]["resourceType"]),
        (&json!(vm), &json!("VmInstanceVO"))
    );
    let again = join(&api, &apart, &vm).await.unwrap();
    assert_eq!(again["inventory"]["usages"], joined["usages"], "joining twice is joining once");
    let tagged = format!("/system-tags?q=resourceUuid={vm}&q=tag=affinityGroupUuid::{apart}");
    assert_eq!(api.inventories(&tagged).await.len(), 1);
    assert_eq!(api.inventories("/vm-instances?q=affinityGroup.name=apart").await[0]["uuid"], json!(vm));
    assert_eq!(api.inventories(&format!("/affinity-groups?q=usages.resourceUuid={vm}")).await[0]["uuid"], json!(apart));

    let other = group(&api, "other", "antiSoft").await;
    let refused = join(&api, &other, &vm).await.unwrap_err();
    assert!(
        details(&refused).contains("'apart'") && details(&refused).contains("RemoveVmFromAffinityGroup"),
        "{refused}"
    );
    let stranger = api.delete(&format!("/affinity-groups/{other}/vm-instances?uuid={vm}")).await.unwrap_err();
    assert!(details(&stranger).contains("'other'"), "{stranger}");
    let left = api.delete(&format!("/affinity-groups/{apart}/vm-instances?uuid={vm}")).await.unwrap();
    assert_eq!(left["inventory"]["usages"], json!([]));
    assert!(api.inventories(&tagged).await.is_empty());
    join(&api, &other, &vm).await.unwrap();

    // Both ends free each other.
    api.delete(&format!("/affinity-groups/{other}")).await.unwrap();
    assert!(api.inventories(&format!("/system-tags?q=resourceUuid={vm}")).await.is_empty());
    join(&api, &apart, &vm).await.unwrap();
    api.delete(&format!("/vm-instances/{vm}")).await.unwrap();
    let gone = join(&api, &other, &vm).await.unwrap_err();
    assert!(details(&gone).contains(&other), "{gone}");
    api.act(&format!("/vm-instances/{vm}"), "expungeVmInstance", json!({})).await.unwrap();
    assert_eq!(api.inventories(&format!("/affinity-groups/{apart}")).await[0]["usages"], json!([]));
}

#[tokio::test]
async fn two_vms_of_a_hard_group_that_start_at_once_get_different_hosts_and_a_third_none() {
    let api = Api::start().await;
    let (world, agents) = two_hosts(&api).await;
    let apart = group(&api, "apart", "antiHard").await;
    let vms = [stopped_vm(&api, world).await, stopped_vm(&api, world).await, stopped_vm(&api, world).await];
    for vm in &vms {
        join(&api, &apart, vm).await.unwrap();
    }
    let (first, second, third) = tokio::join!(start(&api, &vms[0]), start(&api, &vms[1]), start(&api, &vms[2]));
    let outcomes = [first, second, third];
    let hosts: HashSet<String> =
        outcomes.iter().flatten().map(|started| text(&started["inventory"], "hostUuid")).collect();
    assert_eq!(hosts, agents.iter().map(|agent| agent.host.to_string()).collect(), "{outcomes:?}");
    let refusals: Vec<(&String, &Value)> =
        vms.iter().zip(&outcomes).filter_map(|(vm, outcome)| Some((vm, outcome.as_ref().err()?))).collect();
    let [(refused, error)] = refusals[..] else { panic!("one of three is refused: {outcomes:?}") };
    assert_eq!(error["code"], "HOST_ALLOCATION.1001");
    let blockers: Vec<&String> = vms.iter().filter(|vm| *vm != refused).collect();
    assert!(blockers.iter().all(|blocker| details(error).contains(blocker.as_str())), "{error}");

    // The list of candidates says the same of each host.
    let path = format!("/vm-instances/{refused}/starting-target-hosts");
    let candidates = api.get(&path).await;
    assert_eq!((&candidates["hosts"], &candidates["clusters"]), (&json!([]), &json!([])));
    let reasons = candidates["details"].as_array().unwrap();
    assert_eq!(reasons.len(), 2);
    for exclusion in reasons {
        let reason = text(exclusion, "reason");
        assert!(details(error).contains(&reason) && reason.contains("'apart' (antiHard)"), "{exclusion} {error}");
    }
    // Whoever is on a host with another VM of the group can neither join nor have the group enabled.
    let state = |event: &str| json!({ "stateEvent": event });
    let path = format!("/affinity-groups/{apart}");
    api.act(&path, "changeAffinityGroupState", state("disable")).await.unwrap();
    let started = start(&api, refused).await.unwrap();
    let both = api.act(&path, "changeAffinityGroupState", state("enable")).await.unwrap_err();
    assert!(details(&both).contains(refused.as_str()) && details(&both).contains("both on host"), "{both}");
    api.delete(&format!("/affinity-groups/{apart}/vm-instances?uuid={refused}")).await.unwrap();
    api.act(&path, "changeAffinityGroupState", state("enable")).await.unwrap();
    let neighbour = join(&api, &apart, refused).await.unwrap_err();
    assert!(details(&neighbour).contains("stop one of them"), "{neighbour}");
    assert_eq!(started["inventory"]["state"], "Running");
}

#[tokio::test]
async fn a_soft_group_is_spread_and_gives_way() {
    let api = Api::start().await;
    let (world, agents) = two_hosts(&api).await;
    let apart = group(&api, "apart", "antiSoft").await;
    let mut per_host: Vec<String> = Vec::new();
    for _ in 0..4 {
        let vm = stopped_vm(&api, world).await;
        join(&api, &apart, &vm).await.unwrap();
        per_host.push(text(&start(&api, &vm).await.unwrap()["inventory"], "hostUuid"));
    }
    for agent in &agents {
        let there = per_host.iter().filter(|host| **host == agent.host.to_string()).count();
        assert_eq!(there, 2, "{per_host:?}");
    }
    assert_ne!(per_host[0], per_host[1], "the second goes where the first is not");
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let api = Api::start().await;
    let bad = api.post("/affinity-groups", json!({ "name": "x", "policy": "near" })).await.unwrap_err();
    assert!(details(&bad).contains("'near'") && details(&bad).contains("antiSoft, antiHard"), "{bad}");
    let bad =
        api.post("/affinity-groups", json!({ "name": "x", "policy": "antiSoft", "type": "rack" })).await.unwrap_err();
    assert!(details(&bad).contains("'rack'"), "{bad}");
    let apart = group(&api, "apart", "antiSoft").await;
    let nobody = "0123456789abcdef0123456789abcdef";
    assert!(details(&join(&api, &apart, nobody).await.unwrap_err()).contains(nobody));
    let (path, change) = (format!("/affinity-groups/{apart}"), json!({ "name": "away", "description": "d" }));
    let renamed = api.act(&path, "updateAffinityGroup", change).await.unwrap()["inventory"].clone();
    assert_eq!((&renamed["name"], &renamed["description"]), (&json!("away"), &json!("d")));
}

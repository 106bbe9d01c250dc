//! What texts tell of hosts: the operator their names and addresses, an account how many they are, or their ids.

use std::time::Duration;

use gantry_common::id::{HostUuid, VmUuid};
use gantry_mgmt::{
    failure::Failure,
    resource::{VmInstance, VmInstanceState},
    store::on_behalf_of,
};
use serde_json::{Value, json};

use super::{
    api::{Api, details},
    tenants::Tenant,
    world::World,
};

/// A world of two hosts, and an account with a VM that is off.
async fn a_tenant() -> (Api, World, [HostUuid; 2], Tenant) {
    let operator = Api::start().await;
    let hosts = [HostUuid::random(), HostUuid::random()];
    let world = World::with_host(&operator, hosts[0]).await;
    world.another_host(&operator, hosts[1]).await;
    let tenant = Tenant::settle(&operator, world, "tenant").await;
    (operator, world, hosts, tenant)
}

/// Checks that an error names the host neither by its name nor by its address.
fn keeps_to_itself(error: &Value, hosts: [HostUuid; 2]) {
    let text = error.to_string();
    assert!(!text.contains("'host'") && !text.contains("127.0.0.1"), "{text}");
    assert!(!text.contains(&format!("host-{}", hosts[1])), "{text}");
}

#[tokio::test]
async fn an_account_is_told_how_many_hosts_cannot_take_its_vm_and_the_operator_which() {
    let (operator, _, hosts, tenant) = a_tenant().await;
    for host in hosts {
        let state = json!({ "stateEvent": "disable" });
        operator.act(&format!("/hosts/{host}"), "changeHostState", state).await.unwrap();
    }
    let start = async |api: &Api| {
        let refused = api.act(&format!("/vm-instances/{}", tenant.vm), "startVmInstance", json!({})).await.unwrap_err();
        assert_eq!(refused["code"], "HOST_ALLOCATION.1001", "{refused}");
        refused
    };
    let told = start(&operator).await;
    let named = [
        format!("host (127.0.0.1), host-{0} (host-{0}): it is Disabled", hosts[1]),
        format!("host-{0} (host-{0}), host (127.0.0.1): it is Disabled", hosts[1]),
    ];
    assert!(named.iter().any(|named| details(&told).contains(named)), "{told}");
    assert_eq!(told["cause"]["opaque"]["hosts"].as_array().unwrap().len(), 2);
    let told = start(&tenant).await;
    assert!(details(&told).ends_with("no host can take it: 2 hosts: it is Disabled"), "{told}");
    assert_eq!(told.get("cause"), None, "{told}");
    keeps_to_itself(&told, hosts);

    let path = format!("/vm-instances/{}/starting-target-hosts", tenant.vm);
    let list = operator.get(&path).await;
    assert!(list["details"].as_array().unwrap().iter().any(|host| host["name"] == "host"), "{list}");
    let list = tenant.get(&path).await;
    let excluded = list["details"].as_array().unwrap();
    assert!(excluded.iter().all(|host| host["name"] == host["uuid"] && host["reason"] == "it is Disabled"), "{list}");
    assert_eq!((&list["hosts"], excluded.len()), (&json!([]), 2));
    keeps_to_itself(&list, hosts);
}

#[tokio::test]
async fn an_account_is_told_the_id_of_the_host_that_its_vms_share() {
    let (operator, world, hosts, tenant) = a_tenant().await;
    let other = on_behalf_of(tenant.account, world.vm(&operator, VmInstanceState::Stopped, Duration::ZERO)).await;
    for vm in [tenant.vm, other] {
        run_on(&operator, vm, hosts[0]).await;
    }
    let group = json!({ "name": "apart", "policy": "antiHard", "type": "host" });
    let group = tenant.post("/affinity-groups", group).await.unwrap()["inventory"]["uuid"].clone();
    let join = |api: &Api, vm: VmUuid| {
        let (api, path) = (api.clone(), format!("/affinity-groups/{}/vm-instances/{vm}", group.as_str().unwrap()));
        async move { api.post(&path, json!({})).await }
    };
    join(&tenant, tenant.vm).await.unwrap();
    let told = join(&tenant, other).await.unwrap_err();
    assert!(details(&told).contains(&format!("while it is on host {}: VM 'vm' (", hosts[0])), "{told}");
    keeps_to_itself(&told, hosts);
    let told = join(&operator, other).await.unwrap_err();
    assert!(details(&told).contains("while it is on host 'host' (127.0.0.1): VM 'vm' ("), "{told}");
}

async fn run_on(operator: &Api, vm: VmUuid, host: HostUuid) {
    let record = operator.node.store.write(move |tx| {
        let known = tx.get::<VmInstance>(vm)?.unwrap();
        Ok::<_, Failure>(tx.save(&VmInstance { host_uuid: Some(host), state: VmInstanceState::Running, ..known })?)
    });
    record.await.unwrap();
}

//! Interfaces of VMs that come and go.

use std::{sync::atomic::Ordering, time::Duration};

use gantry_common::id::{HostUuid, L2NetworkUuid, VmUuid};
use gantry_mgmt::{
    failure::Failure,
    resource::{L2NetworkClusterRef, L3Network, VmInstance, VmInstanceState},
};
use serde_json::{Value, json};

use super::{
    api::{Api, details},
    wire::RunningAgent,
    world::World,
};

/// Two L3 networks on the same wire: the world's `10.0.0.0/24`, and `10.0.1.0/24` with three addresses.
struct Site {
    api: Api,
    world: World,
    second: String,
}

impl Site {
    async fn start(api: Api, host: HostUuid) -> Self {
        let world = World::with_host(&api, host).await;
        let l2: L2NetworkUuid = api
            .node
            .store
            .write(move |tx| {
                let l2 = tx.get::<L3Network>(world.l3)?.unwrap().l2_network_uuid;
                tx.link(&L2NetworkClusterRef { l2_network_uuid: l2, cluster_uuid: world.cluster })?;
                Ok::<_, Failure>(l2)
            })
            .await
            .unwrap();
        let second = network(&api, l2, "second").await;
        Self { api, world, second }
    }

    async fn off() -> Self {
        Self::start(Api::start().await, HostUuid::random()).await
    }

    /// A running VM on a host that does what it is told.
    async fn running() -> (Self, RunningAgent, VmUuid) {
        let api = Api::start().await;
        let agent = RunningAgent::start(&api.node.authority).await;
        let site = Self::start(api, agent.host).await;
        site.api.node.fleet.watch(agent.endpoint());
        site.api.node.fleet.wait_connected(agent.host, Duration::from_secs(60)).await.unwrap();
        let (vm, host) = (site.vm(VmInstanceState::Running).await, agent.host);
        site.change(vm, move |vm| vm.host_uuid = Some(host)).await;
        (site, agent, vm)
    }

    async fn vm(&self, state: VmInstanceState) -> VmUuid {
        self.world.vm(&self.api, state, Duration::ZERO).await
    }

    async fn change(&self, vm: VmUuid, change: impl FnOnce(&mut VmInstance) + Send + 'static) {
        let changed = self.api.node.store.write(move |tx| {
            let mut vm = tx.get::<VmInstance>(vm)?.unwrap();
            change(&mut vm);
            tx.save(&vm)?;
            Ok::<_, Failure>(())
        });
        changed.await.unwrap();
    }

    async fn attach(&self, vm: VmUuid, l3: &str, params: Value) -> Result<Value, Value> {
        let reply = self.api.post(&format!("/vm-instances/{vm}/l3-networks/{l3}"), params).await?;
        Ok(reply["inventory"].clone())
    }

    async fn nics(&self, vm: VmUuid) -> Vec<Value> {
        self.api.inventories(&format!("/vm-instances/nics?q=vmInstanceUuid={vm}&sort=+deviceId")).await
    }

    async fn detach(&self, nic: &Value) -> Result<Value, Value> {
        let reply = self.api.delete(&format!("/vm-instances/nics/{}", nic["uuid"].as_str().unwrap())).await?;
        Ok(reply["inventory"].clone())
    }

    async fn free(&self, l3: &str) -> usize {
        self.api.inventories(&format!("/l3-networks/{l3}/ip/free")).await.len()
    }
}

async fn network(api: &Api, l2: L2NetworkUuid, name: &str) -> String {
    let made = api.post("/l3-networks", json!({ "name": name, "l2NetworkUuid": l2 })).await.unwrap();
    let uuid = made["inventory"]["uuid"].as_str().unwrap().to_owned();
    let range = json!({
        "name": "three", "startIp": "10.0.1.2", "endIp": "10.0.1.4", "netmask": "255.255.255.0", "gateway": "10.0.1.1",
    });
    api.post(&format!("/l3-networks/{uuid}/ip-ranges"), range).await.unwrap();
    uuid
}

#[tokio::test]
async fn a_vm_that_is_off_gets_an_interface_and_gives_its_address_back() {
    let site = Site::off().await;
    let vm = site.vm(VmInstanceState::Stopped).await;
    let attached = site.attach(vm, &site.second, json!({ "staticIp": "10.0.1.3" })).await.unwrap();
    let nics = &attached["vmNics"];
    assert_eq!((&nics[1]["ip"], &nics[1]["deviceId"]), (&json!("10.0.1.3"), &json!(1)));
    let tags = site.api.inventories(&format!("/system-tags?q=resourceUuid={vm}")).await;
    assert_eq!(tags[0]["tag"], json!(format!("staticIp::{}::10.0.1.3", site.second)));

    let again = site.attach(vm, &site.second, json!({})).await.unwrap_err();
    assert_eq!(again["code"], json!("SYS.1012"), "{again}");
    assert_eq!(site.free(&site.second).await, 2);

    // The one that carries the default route goes: the other one carries it then.
    let left = site.detach(&nics[0]).await.unwrap();
    assert_eq!(left["defaultL3NetworkUuid"], json!(site.second));
    let left = site.detach(&nics[1]).await.unwrap();
    assert_eq!((&left["vmNics"], &left["defaultL3NetworkUuid"]), (&json!([]), &Value::Null));
    assert_eq!(site.free(&site.second).await, 3);
    assert!(site.api.inventories(&format!("/system-tags?q=resourceUuid={vm}")).await.is_empty());

    let first = site.attach(vm, &site.world.l3.to_string(), json!({})).await.unwrap();
    assert_eq!(first["defaultL3NetworkUuid"], json!(site.world.l3));
    assert_eq!(first["vmNics"][0]["deviceId"], json!(0));
}

#[tokio::test]
async fn a_running_vm_is_plugged_at_once_and_what_its_host_refuses_leaves_nothing() {
    let (site, agent, vm) = Site::running().await;
    let mut seen = vec!["10.0.0.2".to_owned()];
    let on_host = || agent.double.nics.lock().iter().map(|nic| nic.ip.to_string()).collect::<Vec<_>>();

    agent.double.refuses.store(true, Ordering::SeqCst);
    let refused = site.attach(vm, &site.second, json!({})).await.unwrap_err();
    assert!(details(&refused).contains("the double refuses"), "{refused}");
    assert_eq!((site.nics(vm).await.len(), site.free(&site.second).await), (1, 3));
    // Whatever became of it there, the host brings it in order.
    assert_eq!(site.api.inventories("/gc-jobs?q=runnerClass=devices&q=status=Idle").await.len(), 1);
    agent.double.refuses.store(false, Ordering::SeqCst);
    gantry_mgmt::cleanup::settle(&site.api.node, agent.host).await.unwrap();
    assert_eq!(on_host(), seen);

    let attached = site.attach(vm, &site.second, json!({})).await.unwrap();
    seen.push(attached["vmNics"][1]["ip"].as_str().unwrap().to_owned());
    assert_eq!(on_host(), seen);
    assert!(!agent.double.nics.lock()[1].is_default);

    // A guest that does not let go keeps the interface, and the interface its address.
    agent.double.refuses.store(true, Ordering::SeqCst);
    site.detach(&attached["vmNics"][0]).await.unwrap_err();
    assert_eq!(site.nics(vm).await.len(), 2);
    agent.double.refuses.store(false, Ordering::SeqCst);
    let left = site.detach(&attached["vmNics"][0]).await.unwrap();
    assert_eq!(left["defaultL3NetworkUuid"], json!(site.second));
    assert_eq!(on_host(), seen[1..]);
    assert!(agent.double.nics.lock()[0].is_default);
}

#[tokio::test]
async fn the_list_of_l3_networks_offers_what_is_admitted_and_explains_the_rest() {
    let site = Site::off().await;
    let vm = site.vm(VmInstanceState::Stopped).await;
    let wire = json!({ "name": "wire", "zoneUuid": site.world.zone, "physicalInterface": "eth1" });
    let wire = site.api.post("/l2-networks/no-vlan", wire).await.unwrap()["inventory"]["uuid"].clone();
    let apart = network(&site.api, wire.as_str().unwrap().parse().unwrap(), "apart").await;
    let l2 = site.api.inventories(&format!("/l3-networks/{}", site.second)).await[0]["l2NetworkUuid"].clone();
    let bare = json!({ "name": "bare", "l2NetworkUuid": l2 });
    let bare = site.api.post("/l3-networks", bare).await.unwrap()["inventory"]["uuid"].as_str().unwrap().to_owned();

    let list = site.api.get(&format!("/vm-instances/{vm}/l3-networks-candidates")).await;
    let offered: Vec<&str> =
        list["inventories"].as_array().unwrap().iter().map(|l3| l3["uuid"].as_str().unwrap()).collect();
    assert_eq!(offered, [&site.second]);
    let reasons = [(site.world.l3.to_string(), "already"), (apart, "AttachL2NetworkToCluster"), (bare, "AddIpRange")];
    assert_eq!(list["details"].as_array().unwrap().len(), reasons.len());
    for (l3, reason) in reasons {
        let refused = site.attach(vm, &l3, json!({})).await.unwrap_err();
        assert!(details(&refused).contains(reason), "{refused}");
        let explained = list["details"].as_array().unwrap().iter().find(|one| one["uuid"] == json!(l3)).unwrap();
        assert_eq!(explained["reason"], refused["details"]);
    }

    let paused = site.vm(VmInstanceState::Paused).await;
    let list = site.api.get(&format!("/vm-instances/{paused}/l3-networks-candidates")).await;
    assert_eq!(list["inventories"], json!([]));
    assert!(list["details"][0]["reason"].as_str().unwrap().contains("is Paused"), "{list}");
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_refused_with_what_could_be() {
    let site = Site::off().await;
    let vm = site.vm(VmInstanceState::Stopped).await;
    for (ip, why) in [("10.0.1.1", "is the gateway"), ("10.0.1.9", "10.0.1.2 to 10.0.1.4"), ("10.9.9.9", "in no range")]
    {
        let refused = site.attach(vm, &site.second, json!({ "staticIp": ip })).await.unwrap_err();
        assert!(details(&refused).contains(why), "{refused}");
    }
    assert_eq!((site.nics(vm).await.len(), site.free(&site.second).await), (1, 3));
}

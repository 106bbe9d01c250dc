//! Where a machine is reached: a new address is tried first, and all that is on the machine goes there together.

use std::{net::Ipv4Addr, time::Duration};

use gantry_common::id::{BackupStorageUuid, HostUuid};
use gantry_mgmt::{
    clock::Timestamp,
    failure::Failure,
    resource::{AdminState, BackupStorage, ConnectionStatus, Machine},
};
use serde_json::json;

use super::{
    api::Api,
    wire::{RunningAgent, identity},
    world::World,
};

/// An image store on the world's host, of which the agent listens on this port.
async fn image_store(api: &Api, world: World, port: u16) -> BackupStorageUuid {
    let (uuid, now) = (BackupStorageUuid::random(), Timestamp::now());
    let storage = BackupStorage {
        uuid,
        name: "images".to_owned(),
        url: "/images".to_owned(),
        description: None,
        total_capacity: 0,
        available_capacity: 0,
        kind: "ImageStoreBackupStorage".to_owned(),
        state: AdminState::Enabled,
        status: ConnectionStatus::Connected,
        hostname: "127.0.0.1".to_owned(),
        username: "root".to_owned(),
        ssh_port: 22,
        create_date: now,
        last_op_date: now,
        machine_uuid: world.host,
    };
    api.node
        .store
        .write(move |tx| {
            let machine = tx.get::<Machine>(world.host)?.unwrap();
            tx.save(&Machine { port, ..machine })?;
            Ok::<_, Failure>(tx.insert(&storage)?)
        })
        .await
        .unwrap();
    uuid
}

#[tokio::test]
async fn a_machine_has_one_address_and_a_wrong_one_is_refused_without_letting_go_of_it() {
    let api = Api::start().await;
    let identity = identity(&api.node.authority, HostUuid::random());
    let agent = RunningAgent::start_as(identity, (Ipv4Addr::UNSPECIFIED, 0).into()).await;
    let (host, port) = (agent.host, agent.address.port());
    let store = image_store(&api, World::with_host(&api, host).await, port).await;
    api.node.fleet.watch(agent.endpoint_at((Ipv4Addr::LOCALHOST, port).into()));
    api.node.fleet.wait_connected(host, Duration::from_secs(60)).await.unwrap();
    let addresses = async || {
        let known = api.inventories(&format!("/hosts/{host}")).await.remove(0)["managementIp"].clone();
        (known, api.inventories(&format!("/backup-storage/{store}")).await.remove(0)["hostname"].clone())
    };
    let path = format!("/backup-storage/image-store/{store}");
    let move_store = |hostname: &str| api.act(&path, "updateImageStoreBackupStorage", json!({ "hostname": hostname }));

    // The agent listens there on no port.
    let refused = move_store("::1").await.unwrap_err();
    assert_eq!(refused["code"], json!("HOST.1001"), "{refused}");
    assert!(api.node.fleet.is_connected(host), "the machine was let go of");
    assert_eq!(addresses().await, (json!("127.0.0.1"), json!("127.0.0.1")));

    move_store("127.0.0.2").await.unwrap();
    assert_eq!(addresses().await, (json!("127.0.0.2"), json!("127.0.0.2")));
    let to = json!({ "managementIp": "127.0.0.3" });
    api.act(&format!("/hosts/{host}"), "updateHost", to).await.unwrap();
    assert_eq!(addresses().await, (json!("127.0.0.3"), json!("127.0.0.3")));
    assert!(api.node.fleet.is_connected(host));
}

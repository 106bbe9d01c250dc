//! Accounts that each have something of their own.

use std::{ops::Deref, time::Duration};

use gantry_common::id::{AccountUuid, ImageUuid, VmUuid, VolumeUuid};
use gantry_mgmt::{
    clock::Timestamp,
    failure::Failure,
    resource::{AdminState, GuestPlatform, Image, MediaStatus, MediaType, VmInstanceState, Volume, VolumeType},
    store::on_behalf_of,
};
use serde_json::{Value, json};

use super::{api::Api, served_node::digest, world::World};

/// An account, and the API as it sees it.
pub struct Tenant {
    api: Api,
    pub account: AccountUuid,
    pub vm: VmUuid,
    pub nic: String,
    pub volume: VolumeUuid,
    pub image: ImageUuid,
    pub tag: String,
}

impl Deref for Tenant {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// Makes an account whose password is its name.
pub async fn make_account(operator: &Api, name: &str) -> Result<AccountUuid, Value> {
    let made = operator.post("/accounts", json!({ "name": name, "password": digest(name) })).await?;
    assert_eq!((&made["inventory"]["type"], &made["inventory"]["name"]), (&json!("Normal"), &json!(name)));
    Ok(made["inventory"]["uuid"].as_str().unwrap().parse().unwrap())
}

impl Tenant {
    /// An account with a VM that is off, its interface and volume, an image, and a tag on the VM.
    pub async fn settle(operator: &Api, world: World, name: &str) -> Self {
        let account = make_account(operator, name).await.unwrap();
        let api = operator.log_in_as(name, name).await.unwrap();
        let (vm, volume, image) = on_behalf_of(account, async {
            let vm = world.vm(operator, VmInstanceState::Stopped, Duration::ZERO).await;
            let (volume, image) = (volume_of(vm), image_called(name));
            let uuids = (vm, volume.uuid, image.uuid);
            let record = operator.node.store.write(move |tx| {
                tx.insert(&volume)?;
                tx.insert(&image)?;
                Ok::<_, Failure>(())
            });
            record.await.unwrap();
            uuids
        })
        .await;
        let nic = api.inventories("/vm-instances/nics").await[0]["uuid"].as_str().unwrap().to_owned();
        let tag = json!({ "resourceType": "VmInstanceVO", "resourceUuid": vm, "tag": format!("of {name}") });
        let tag = api.post("/user-tags", tag).await.unwrap()["inventory"]["uuid"].as_str().unwrap().to_owned();
        Self { api, account, vm, nic, volume, image, tag }
    }
}

fn volume_of(vm: VmUuid) -> Volume {
    let now = Timestamp::now();
    Volume {
        uuid: VolumeUuid::random(),
        name: "root".to_owned(),
        description: None,
        primary_storage_uuid: None,
        vm_instance_uuid: Some(vm),
        disk_offering_uuid: None,
        root_image_uuid: None,
        install_path: None,
        kind: VolumeType::Root,
        format: "qcow2".to_owned(),
        size: 1 << 30,
        actual_size: None,
        device_id: Some(0),
        state: AdminState::Enabled,
        status: MediaStatus::Ready,
        create_date: now,
        last_op_date: now,
        is_shareable: false,
        host_uuid: None,
    }
}

fn image_called(name: &str) -> Image {
    let now = Timestamp::now();
    Image {
        uuid: ImageUuid::random(),
        name: format!("image of {name}"),
        description: None,
        state: AdminState::Enabled,
        status: MediaStatus::Ready,
        size: 1 << 20,
        actual_size: 1 << 20,
        md5_sum: None,
        url: "http://192.0.2.1/image".to_owned(),
        export_url: None,
        export_md5_sum: None,
        media_type: MediaType::RootVolumeTemplate,
        guest_os_type: None,
        kind: "zstack".to_owned(),
        platform: GuestPlatform::Linux,
        format: "qcow2".to_owned(),
        system: false,
        create_date: now,
        last_op_date: now,
    }
}

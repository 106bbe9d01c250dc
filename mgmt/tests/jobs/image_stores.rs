use gantry_common::id::ImageUuid;
use serde_json::json;

use super::{
    client::{Call, code, details, eventually},
    image_web::{ImageWeb, PIECES},
    site::Site,
};

async fn with_image() -> (Site, String) {
    let (site, web) = (Site::start().await, ImageWeb::serve(PIECES).await);
    let image = site.client.make("/images", site.image(&web.url)).await;
    (site, image)
}

fn migrate(image: &str, from: impl ToString, to: impl ToString) -> Call {
    let stores = json!({ "srcBackupStorageUuid": from.to_string(), "dstBackupStorageUuid": to.to_string() });
    Call::put_with(&format!("/backup-storage/images/{image}/actions"), "backupStorageMigrateImage", stores)
}

#[tokio::test]
async fn an_image_is_in_one_store_after_it_moved_and_in_none_twice() {
    let (site, image) = with_image().await;
    let candidates = format!("/backup-storage/{}/migration-candidates", site.storage);
    let found = site.client.query(&candidates).await;
    assert_eq!((found.len(), &found[0]["uuid"]), (1, &json!(site.other)));

    for (from, to, expected) in
        [(site.storage, site.storage, "dstBackupStorageUuid"), (site.other, site.storage, "srcBackupStorageUuid")]
    {
        let (status, reply) = site.client.run(&migrate(&image, from, to)).await;
        assert_eq!((status, code(&reply)), (503, "SYS.1007"), "{reply}");
        assert!(details(&reply).starts_with(expected), "{reply}");
    }
    let (status, reply) = site.client.run(&migrate(&image, site.storage, site.other)).await;
    assert_eq!(status, 200, "{reply}");
    let copies = &reply["inventory"]["backupStorageRefs"];
    assert_eq!((copies.as_array().map(Vec::len), &copies[0]["backupStorageUuid"]), (Some(1), &json!(site.other)));
    assert_eq!(copies[0]["status"], "Ready");
    assert_eq!((site.files().len(), site.other_files().len()), (0, 3), "{:?}", site.other_files());
    // There and back: no file has the name of an earlier one.
    let before = site.other_files();
    for (from, to) in [(site.other, site.storage), (site.storage, site.other)] {
        assert_eq!(site.client.run(&migrate(&image, from, to)).await.0, 200);
    }
    assert!(site.files().is_empty() && !site.other_files().iter().any(|file| before.contains(file)));
}

#[tokio::test]
async fn how_full_a_store_is_is_known_soon_after_an_image_came_or_went() {
    let (site, web) = (Site::start().await, ImageWeb::serve(PIECES).await);
    let is_left = async |bytes: u64| {
        eventually("the store's capacity is known", async || {
            let store = site.client.query(&format!("/backup-storage/{}", site.storage)).await.remove(0);
            (store["availableCapacity"] == json!(bytes)).then_some(())
        })
        .await;
    };
    is_left(1 << 40).await;
    site.leave(1 << 39);
    let image = site.client.make("/images", site.image(&web.url)).await;
    is_left(1 << 39).await;
    site.leave(1 << 38);
    assert_eq!(site.client.run(&Call::delete(&format!("/images/{image}"))).await.0, 200);
    let expunge = Call::put(&format!("/images/{image}/actions"), "expungeImage");
    assert_eq!(site.client.run(&expunge).await.0, 200);
    is_left(1 << 38).await;
}

#[tokio::test]
async fn what_is_nobodys_is_reclaimed_and_counted() {
    let (site, _) = with_image().await;
    let before = site.files();
    let orphan = before[0].parent().unwrap().with_file_name(ImageUuid::random().to_string());
    std::fs::create_dir(&orphan).unwrap();
    for file in &before {
        std::fs::copy(file, orphan.join(file.file_name().unwrap())).unwrap();
    }
    let path = format!("/backup-storage/image-store/{}/actions", site.storage);
    let call = Call::put(&path, "reclaimSpaceFromImageStore");
    let (status, reply) = site.client.run(&call).await;
    assert_eq!((status, &reply["reclaimedFiles"]), (200, &json!(3)), "{reply}");
    assert!(reply["reclaimedBytes"].as_u64().unwrap() > 0, "{reply}");
    assert_eq!(site.files(), before);
    assert!(!orphan.exists());
    let (_, reply) = site.client.run(&Call::put(&path, "reclaimSpaceFromImageStore")).await;
    assert_eq!(reply, json!({ "reclaimedFiles": 0, "reclaimedBytes": 0 }));
    let (status, reply) = site.client.run(&Call::put(&path, "reconnectImageStoreBackupStorage")).await;
    assert_eq!((status, &reply["inventory"]["totalCapacity"]), (200, &json!(1_u64 << 40)), "{reply}");
}

#[tokio::test]
async fn an_images_size_is_read_from_its_file_and_its_guest_agent_is_a_tag() {
    let (site, image) = with_image().await;
    let path = format!("/images/{image}/actions");
    let (status, reply) = site.client.run(&Call::put(&path, "syncImageSize")).await;
    assert_eq!((status, &reply["inventory"]["size"]), (200, &json!(PIECES << 20)), "{reply}");
    let file = reply["inventory"]["backupStorageRefs"][0]["installPath"].as_str().unwrap().to_owned();

    let qga = format!("/images/{image}/qga");
    for enable in [false, true, true, false] {
        let call = Call::put_with(&path, "setImageQga", json!({ "enable": enable }));
        assert_eq!(site.client.run(&call).await.0, 200);
        assert_eq!(site.client.get(&qga).await, (200, json!({ "uuid": image, "enable": enable })));
        let tags = site.client.query(&format!("/system-tags?q=resourceUuid={image}")).await;
        let tags: Vec<&str> = tags.iter().filter_map(|tag| tag["tag"].as_str()).collect();
        assert_eq!(tags, if enable { vec!["qemuga"] } else { vec![] });
    }

    std::fs::remove_file(&file).unwrap();
    let (status, reply) = site.client.run(&Call::put(&path, "syncImageSize")).await;
    assert_eq!((status, code(&reply)), (503, "HOST.1007"), "{reply}");
    assert!(details(&reply).contains(&file), "{reply}");
}

#[tokio::test]
async fn an_image_is_deleted_recovered_and_expunged_from_single_stores() {
    let (site, web) = (Site::start().await, ImageWeb::serve(PIECES).await);
    let mut image = site.image(&web.url);
    image["backupStorageUuids"] = json!([site.storage, site.other]);
    let image = site.client.make("/images", image).await;
    let (path, actions) = (format!("/images/{image}"), format!("/images/{image}/actions"));
    let standing = async || {
        let found = site.client.query(&path).await.remove(0);
        let copies = found["backupStorageRefs"].as_array().unwrap().iter();
        let mut copies: Vec<(String, String)> = copies
            .map(|copy| (&copy["backupStorageUuid"], &copy["status"]))
            .map(|(storage, status)| (storage.as_str().unwrap().to_owned(), status.as_str().unwrap().to_owned()))
            .collect();
        copies.sort();
        (found["status"].as_str().unwrap().to_owned(), copies)
    };
    let copies = |here: &str, there: &str| {
        let mut copies = vec![(site.storage.to_string(), here.to_owned()), (site.other.to_string(), there.to_owned())];
        copies.sort();
        copies
    };
    let in_other = json!({ "backupStorageUuids": [site.other] });
    let delete_other = || Call::delete(&format!("{path}?backupStorageUuids={}", site.other));
    let act = |action: &str, params: &serde_json::Value| Call::put_with(&actions, action, params.clone());

    for _ in 0..2 {
        assert_eq!(site.client.run(&delete_other()).await.0, 200);
        assert_eq!(standing().await, ("Ready".to_owned(), copies("Ready", "Deleted")));
    }
    let (status, reply) = site.client.run(&migrate(&image, site.other, site.storage)).await;
    assert!(status == 503 && details(&reply).contains("is Deleted in backup storage"), "{reply}");
    let of_ready = json!({ "backupStorageUuids": [site.storage] });
    let (status, reply) = site.client.run(&act("expungeImage", &of_ready)).await;
    assert_eq!((status, code(&reply)), (503, "SYS.1010"), "{reply}");
    assert!(details(&reply).contains("is Ready in backup storage"), "{reply}");
    assert_eq!(site.client.run(&act("recoverImage", &in_other)).await.0, 200);
    assert_eq!(standing().await, ("Ready".to_owned(), copies("Ready", "Ready")));

    assert_eq!(site.client.run(&Call::delete(&path)).await.0, 200);
    assert_eq!(standing().await, ("Deleted".to_owned(), copies("Deleted", "Deleted")));
    assert_eq!(site.client.run(&act("recoverImage", &of_ready)).await.0, 200);
    assert_eq!(standing().await, ("Ready".to_owned(), copies("Ready", "Deleted")));
    assert_eq!((site.files().len(), site.other_files().len()), (3, 3));
    assert_eq!(site.client.run(&act("expungeImage", &json!({}))).await.0, 200);
    assert_eq!(standing().await, ("Ready".to_owned(), vec![(site.storage.to_string(), "Ready".to_owned())]));
    assert_eq!((site.files().len(), site.other_files().len()), (3, 0));

    let (_, reply) = site.client.run(&delete_other()).await;
    assert!(details(&reply).starts_with("backupStorageUuids"), "{reply}");
    assert_eq!(site.client.run(&Call::delete(&path)).await.0, 200);
    assert_eq!(site.client.run(&act("expungeImage", &json!({}))).await.0, 200);
    assert!(site.client.query(&path).await.is_empty() && site.files().is_empty());
}

use gantry_common::id::ImageUuid;
use serde_json::json;

use super::{
    client::Call,
    image_web::{ImageWeb, PIECES},
    site::Site,
};

#[tokio::test]
async fn jobs_of_one_resource_keep_their_order_also_when_the_node_is_killed() {
    let (mut site, web) = (Site::start().await, ImageWeb::serve(1).await);
    let uuid = ImageUuid::random();
    let mut image = site.image(&web.url);
    image["resourceUuid"] = json!(uuid);
    let mut calls = vec![Call::post("/images", image)];
    // Only a deleted image can be recovered: in any other order some of these fail.
    for _ in 0..10 {
        calls.push(Call::delete(&format!("/images/{uuid}")));
        calls.push(Call::put(&format!("/images/{uuid}/actions"), "recoverImage"));
    }
    for call in &calls {
        assert_eq!(site.client.submit(call).await.0, 202);
    }
    site.process.kill();
    web.allowed.send_replace(PIECES);
    site.process.start_again().await;
    for call in &calls {
        let (status, reply) = site.client.end_of(call.job).await;
        assert_eq!(status, 200, "{}: {reply}", call.path);
    }
}

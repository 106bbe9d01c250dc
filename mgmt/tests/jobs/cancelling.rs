use std::path::PathBuf;

use gantry_common::id::{ImageUuid, JobUuid};
use serde_json::{Value, json};

use super::{
    client::{Call, code, details, eventually},
    image_web::{ImageWeb, PIECES},
    receiver::Receiver,
    site::Site,
};

/// The download has begun, and the file is there.
async fn is_downloading(site: &Site, web: &ImageWeb) {
    eventually("the download begins", async || (web.reading() == 1 && !site.files().is_empty()).then_some(())).await;
}

async fn was_cancelled(site: &Site, job: JobUuid) {
    let (status, reply) = site.client.end_of(job).await;
    assert_eq!((status, code(&reply)), (503, "SYS.1013"), "{reply}");
    assert!(details(&reply).contains("AddImage was cancelled by account"), "{reply}");
    assert_eq!(site.client.query("/images").await, Vec::<Value>::new());
    assert_eq!(site.files(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_cancelled_download_ends_at_once_and_nothing_of_it_is_left() {
    let (site, web, receiver) = (Site::start().await, ImageWeb::serve(1).await, Receiver::listen().await);
    let call = Call::post("/images", site.image(&web.url)).webhook(&receiver.url());
    site.client.submit(&call).await;
    is_downloading(&site, &web).await;
    assert_eq!(site.client.cancel(call.job).await, (200, json!({})));
    // The web server would let it wait for ever.
    was_cancelled(&site, call.job).await;
    assert_eq!(receiver.result_of(call.job).await.success, "false");
    eventually("the agent has let go of the web server", async || (web.reading() == 0).then_some(())).await;
    assert_eq!(site.client.cancel(call.job).await, (200, json!({})), "it is cancelled already");
}

#[tokio::test]
async fn a_job_that_waits_is_cancelled_without_waiting() {
    let (site, web) = (Site::start().await, ImageWeb::serve(1).await);
    let image = ImageUuid::random();
    let mut params = site.image(&web.url);
    params["resourceUuid"] = json!(image);
    let (running, waiting) = (Call::post("/images", params), Call::delete(&format!("/images/{image}")));
    for call in [&running, &waiting] {
        assert_eq!(site.client.submit(call).await.0, 202);
    }
    assert_eq!(site.client.cancel(waiting.job).await.0, 200);
    let (status, reply) = site.client.poll(waiting.job).await;
    assert_eq!((status, code(&reply)), (503, "SYS.1013"));
    web.allowed.send_replace(PIECES);
    assert_eq!(site.client.end_of(running.job).await.0, 200);
    assert_eq!(site.client.query("/images").await[0]["status"], "Ready", "it was not deleted");
}

#[tokio::test]
async fn a_cancelled_job_is_cancelled_also_if_the_node_is_killed_then() {
    let (mut site, web) = (Site::start().await, ImageWeb::serve(1).await);
    let call = Call::post("/images", site.image(&web.url));
    site.client.submit(&call).await;
    is_downloading(&site, &web).await;
    assert_eq!(site.client.cancel(call.job).await.0, 200);
    site.process.kill();
    web.allowed.send_replace(PIECES);
    site.process.start_again().await;
    was_cancelled(&site, call.job).await;
}

#[tokio::test]
async fn what_has_ended_or_never_was_cannot_be_cancelled() {
    let (site, web) = (Site::start().await, ImageWeb::serve(PIECES).await);
    let call = Call::post("/images", site.image(&web.url));
    assert_eq!(site.client.run(&call).await.0, 200);
    let (status, reply) = site.client.cancel(call.job).await;
    assert_eq!((status, code(&reply)), (503, "SYS.1010"));
    assert!(details(&reply).contains("has Succeeded already"), "{reply}");
    assert_eq!(site.client.query("/images").await.len(), 1);
    let (status, reply) = site.client.cancel(JobUuid::random()).await;
    assert_eq!((status, code(&reply)), (404, "SYS.1404"));
}
